/** A finished clip beside reference and another clip: one video, looked at in three ways. */

import { el, ownEvents } from "./lib/dom.js";
import { addPanel, addressOf, after } from "./lib/host.js";
import { drawView } from "./views/compare_drawing.js";
import { words } from "./views/compare_words.js";

const HEIGHT = 240; // of the canvas
const REMEMBERED = "aa_compare_view"; // in the node's properties
const VIEWS = /** @type {const} */ (["beside", "slider", "difference"]);
const STEP = 0.02; // of the width, that an arrow key moves the divider

/** @typedef {typeof VIEWS[number]} View */
/** @typedef {{title: string, left: number, width: number}} Part pixels of the video */
/**
 * @typedef {object} Shown what a run has shown
 * @property {Part[]} parts from left to right, the result last
 * @property {number} width
 * @property {number} height
 * @property {number} fps
 * @property {number} frames
 */

/** @type {import("./animate_anyone.js").Feature} */
export const compare = { nodes: { Compare: addCompare } };

/**
 * Give a node the player of its comparison.
 *
 * @param {any} node
 */
function addCompare(node) {
  const view = compareView((chosen) => {
    node.properties[REMEMBERED] = chosen;
  });
  addPanel(node, "compare", view.element, { height: HEIGHT });

  function recall() {
    view.choose(node.properties?.[REMEMBERED] ?? VIEWS[0]);
  }

  after(node, "onConfigure", recall);
  after(node, "onExecuted", (/** @type {any} */ message) => {
    const shown = message?.aa_compare?.[0];
    if (shown) {
      const { filename, subfolder, type } = shown;
      view.show(addressOf({ filename, subfolder, type }), shown);
    }
  });
  after(node, "onRemoved", view.stop);
  recall();
}

/**
 * Return the panel's element, how to let it show a video or another view, and how to end it.
 *
 * @param {(view: View) => void} remember
 */
function compareView(remember) {
  /** @type {Shown | null} */
  let shown = null;
  /** @type {View} */
  let wanted = VIEWS[0];
  let divider = 0.5; // part of the width, from the left
  let waiting = 0; // for the next frame of the video

  const video = el("video", { muted: true, loop: true, playsInline: true, preload: "auto" });
  const canvas = el("canvas", { class: "aa-compare-picture" });
  const note = el("div", { class: "aa-compare-note", role: "status" }, words("empty"));
  const play = el("button", { type: "button", onclick: toggle, disabled: true }, words("play"));
  const scrub = el("input", {
    class: "aa-grow",
    type: "range",
    min: "0",
    max: "0",
    value: "0",
    disabled: true,
    "aria-label": words("scrub"),
    oninput: () => seek(Number(scrub.value)),
  });
  const place = el("span", { class: "aa-compare-place" });
  const loop = el("button", {
    type: "button",
    "aria-pressed": "true",
    onclick: () => {
      video.loop = !video.loop;
      loop.setAttribute("aria-pressed", String(video.loop));
    },
  });
  loop.textContent = words("loop");
  const buttons = VIEWS.map((name) => {
    const onclick = () => {
      remember(name);
      choose(name);
    };
    return el("button", { type: "button", "data-view": name, onclick }, words(name));
  });
  const element = el(
    "div",
    { class: "aa-panel aa-compare", role: "group", "aria-label": words("label") },
    el("div", { class: "aa-row" }, ...buttons),
    el("div", { class: "aa-grow aa-compare-stage" }, canvas),
    note,
    el("div", { class: "aa-row" }, play, loop, scrub, place),
  );

  /** Return the view that can be shown: without another clip there is but one. */
  function possible() {
    return shown && !partOf("other") ? VIEWS[0] : wanted;
  }

  /** @param {string} title */
  function partOf(title) {
    return shown?.parts.find((part) => part.title === title);
  }

  /** Show view, divider and frame as they are now. */
  function update() {
    const view = possible();
    for (const button of buttons) {
      const name = /** @type {View} */ (button.dataset.view);
      button.setAttribute("aria-pressed", String(name === view));
      button.disabled = Boolean(shown) && name !== VIEWS[0] && !partOf("other");
      button.title = button.disabled ? words("needsOther") : "";
    }
    if (!shown) {
      return;
    }
    note.textContent = noteOf(view);
    describeCanvas(view);
    const frame = Math.min(shown.frames - 1, Math.floor(video.currentTime * shown.fps + 0.01));
    scrub.value = String(frame);
    place.textContent = words("frame", { frame: frame + 1, total: shown.frames });
    drawView(canvas, video, shown, view, divider);
  }

  /** @param {View} view */
  function noteOf(view) {
    if (view === "beside") {
      return (shown?.parts ?? []).map((part) => words(/** @type {any} */ (part.title))).join(" | ");
    }
    return words(view === "slider" ? "sliderNote" : "amplified");
  }

  /** @param {View} view */
  function describeCanvas(view) {
    const slides = view === "slider";
    canvas.setAttribute("role", slides ? "slider" : "img");
    canvas.setAttribute("aria-label", slides ? words("divider") : words("picture", { view: words(view) }));
    for (const [name, value] of Object.entries({ min: 0, max: 100, now: Math.round(100 * divider) })) {
      if (slides) {
        canvas.setAttribute(`aria-value${name}`, String(value));
      } else {
        canvas.removeAttribute(`aria-value${name}`);
      }
    }
    canvas.tabIndex = slides ? 0 : -1;
  }

  /** @param {View} view */
  function choose(view) {
    wanted = VIEWS.includes(view) ? view : VIEWS[0];
    update();
  }

  /** @param {number} frame */
  function seek(frame) {
    if (shown) {
      video.pause();
      video.currentTime = (frame + 0.5) / shown.fps;
    }
  }

  function toggle() {
    if (video.paused) {
      video.play();
    } else {
      video.pause();
    }
  }

  /** Draw each frame as it comes, for as long as the video plays. */
  function follow() {
    update();
    cancelAnimationFrame(waiting);
    if (!video.paused) {
      waiting = requestAnimationFrame(follow);
    }
  }

  /** @param {number} at part of the width */
  function slide(at) {
    divider = Math.min(1, Math.max(0, at));
    update();
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    if (possible() === "slider" && event.buttons & 1) {
      canvas.setPointerCapture(event.pointerId);
      const box = canvas.getBoundingClientRect();
      const width = Math.min(box.width, (box.height * canvas.width) / canvas.height);
      slide((event.clientX - box.left - (box.width - width) / 2) / width);
    }
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const moves = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP };
    const ends = { Home: 0, End: 1 };
    if (possible() !== "slider") {
      return;
    }
    if (event.key in moves) {
      slide(divider + moves[/** @type {keyof typeof moves} */ (event.key)]);
    } else if (event.key in ends) {
      slide(ends[/** @type {keyof typeof ends} */ (event.key)]);
    } else {
      return;
    }
    event.preventDefault();
  }

  /**
   * @param {string} address
   * @param {Shown} newShown
   */
  function show(address, newShown) {
    shown = newShown;
    scrub.max = String(shown.frames - 1);
    scrub.disabled = play.disabled = false;
    video.src = address;
    video.play().catch(() => {}); // the page may not let it begin by itself
    update();
  }

  function stop() {
    cancelAnimationFrame(waiting);
    video.pause();
    video.removeAttribute("src");
    video.load();
  }

  for (const kind of ["play", "loadeddata", "seeked"]) {
    video.addEventListener(kind, follow);
  }
  for (const kind of ["play", "pause"]) {
    video.addEventListener(kind, () => {
      play.textContent = words(video.paused ? "play" : "pause");
    });
  }
  video.addEventListener("error", () => {
    if (video.hasAttribute("src")) {
      note.textContent = words("lost");
    }
  });
  canvas.addEventListener("pointerdown", drag);
  canvas.addEventListener("pointermove", drag);
  canvas.addEventListener("keydown", press);
  return { element: ownEvents(element), show, choose, stop };
}
