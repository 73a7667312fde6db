/** The player of a comparison: its elements, playing, scrubbing and the divider. */

import { el, ownEvents } from "../lib/dom.js";
import { drawView } from "./compare_drawing.js";
import { words } from "./compare_words.js";

export const VIEWS = /** @type {const} */ (["beside", "slider", "difference"]);
const STEP = 0.02; // of the width, that an arrow key moves the divider
const MOVES = /** @type {Record<string, number>} */ ({
  ArrowLeft: -STEP,
  ArrowDown: -STEP,
  ArrowRight: STEP,
  ArrowUp: STEP,
});
const ENDS = /** @type {Record<string, number>} */ ({ Home: 0, End: 1 });

/** @typedef {typeof VIEWS[number]} View */
/** @typedef {{title: "reference" | "other" | "result", left: number, width: number}} Part pixels of the video */
/**
 * @typedef {object} Shown the result of a run
 * @property {Part[]} parts from left to right, the result last
 * @property {number} width
 * @property {number} height
 * @property {number} fps
 * @property {number} frames
 */

export class ComparePlayer {
  /** @param {(view: View) => void} remember called when the user chooses a view */
  constructor(remember) {
    /** @type {Shown | null} */
    this.shown = null;
    /** @type {View} */
    this.wanted = VIEWS[0];
    this.divider = 0.5; // part of the width, from the left
    this.waiting = 0; // for the next frame of the video
    this.lost = false; // whether the video is gone; the server keeps it until a restart

    this.video = el("video", { muted: true, loop: true, playsInline: true, preload: "auto" });
    this.canvas = el("canvas", { class: "aa-compare-picture" });
    this.note = el("div", { class: "aa-compare-note", role: "status" }, words("empty"));
    this.play = this.button(words("play"), () => this.toggle());
    this.loop = this.button(words("loop"), () => this.toggleLoop());
    this.scrub = el("input", {
      class: "aa-grow",
      type: "range",
      min: "0",
      max: "0",
      value: "0",
      "aria-label": words("scrub"),
      oninput: () => this.seek(Number(this.scrub.value)),
    });
    this.play.disabled = this.scrub.disabled = true;
    this.loop.setAttribute("aria-pressed", "true");
    this.place = el("span", { class: "aa-compare-place" });
    this.views = VIEWS.map((name) => {
      const button = this.button(words(name), () => {
        remember(name);
        this.choose(name);
      });
      button.dataset.view = name;
      return button;
    });
    const element = el(
      "div",
      { class: "aa-panel aa-compare", role: "group", "aria-label": words("label") },
      el("div", { class: "aa-row" }, ...this.views),
      el("div", { class: "aa-grow aa-compare-stage" }, this.canvas),
      this.note,
      el("div", { class: "aa-row" }, this.play, this.loop, this.scrub, this.place),
    );
    this.element = ownEvents(element);
    this.listen();
  }

  /**
   * @param {string} text
   * @param {() => void} onclick
   */
  button(text, onclick) {
    return el("button", { type: "button", onclick }, text);
  }

  /** Connect the events of video, pointer and keys. */
  listen() {
    for (const kind of ["play", "loadeddata", "seeked"]) {
      this.video.addEventListener(kind, () => this.follow());
    }
    for (const kind of ["play", "pause"]) {
      this.video.addEventListener(kind, () => {
        this.play.textContent = words(this.video.paused ? "play" : "pause");
      });
    }
    this.video.addEventListener("error", () => {
      this.lost = this.video.hasAttribute("src");
      this.update();
    });
    this.canvas.addEventListener("pointerdown", (event) => this.drag(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
  }

  /**
   * Show a video, and begin to play it.
   *
   * @param {string} address
   * @param {Shown} shown
   */
  show(address, shown) {
    this.shown = shown;
    this.lost = false;
    this.scrub.max = String(shown.frames - 1);
    this.scrub.disabled = this.play.disabled = false;
    this.video.src = address;
    this.begin();
    this.update();
  }

  /** @param {View} view */
  choose(view) {
    this.wanted = VIEWS.includes(view) ? view : VIEWS[0];
    this.update();
  }

  /** Stop playing and drawing. */
  stop() {
    cancelAnimationFrame(this.waiting);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** Play. The page may forbid it, and a lost video is reported elsewhere. */
  begin() {
    this.video.play().catch(() => {});
  }

  toggle() {
    if (this.video.paused) {
      this.begin();
    } else {
      this.video.pause();
    }
  }

  toggleLoop() {
    this.video.loop = !this.video.loop;
    this.loop.setAttribute("aria-pressed", String(this.video.loop));
  }

  /** @param {number} frame */
  seek(frame) {
    if (this.shown) {
      this.video.pause();
      this.video.currentTime = (frame + 0.5) / this.shown.fps;
    }
  }

  /** Draw each frame while the video plays. */
  follow() {
    this.update();
    cancelAnimationFrame(this.waiting);
    if (!this.video.paused) {
      this.waiting = requestAnimationFrame(() => this.follow());
    }
  }

  /** Return whether there is a clip to compare the result with. */
  hasOther() {
    return Boolean(this.shown?.parts.some((part) => part.title === "other"));
  }

  /** Return the view that can be shown: without another clip there is only one. */
  possible() {
    return this.shown && !this.hasOther() ? VIEWS[0] : this.wanted;
  }

  /** Show the current view, divider and frame. */
  update() {
    const { shown, video } = this;
    const view = this.possible();
    this.views.forEach((button, at) => {
      button.setAttribute("aria-pressed", String(VIEWS[at] === view));
      button.disabled = Boolean(shown) && at > 0 && !this.hasOther();
      button.title = button.disabled ? words("needsOther") : "";
    });
    if (!shown) {
      return;
    }
    this.note.textContent = this.lost ? words("lost") : noteOf(view, shown);
    this.describe(view);
    const frame = Math.min(shown.frames - 1, Math.floor(video.currentTime * shown.fps + 0.01));
    this.scrub.value = String(frame);
    this.place.textContent = words("frame", { frame: frame + 1, total: shown.frames });
    drawView(this.canvas, video, shown, view, this.divider);
  }

  /**
   * Tell what the picture is to who cannot see it: in one view it is a slider.
   *
   * @param {View} view
   */
  describe(view) {
    const { canvas } = this;
    const slides = view === "slider";
    const label = slides ? words("divider") : words("picture", { view: words(view) });
    canvas.setAttribute("role", slides ? "slider" : "img");
    canvas.setAttribute("aria-label", label);
    const values = { min: 0, max: 100, now: Math.round(100 * this.divider) };
    for (const [name, value] of Object.entries(values)) {
      if (slides) {
        canvas.setAttribute(`aria-value${name}`, String(value));
      } else {
        canvas.removeAttribute(`aria-value${name}`);
      }
    }
    canvas.tabIndex = slides ? 0 : -1;
  }

  /** @param {number} at part of the width */
  slide(at) {
    this.divider = Math.min(1, Math.max(0, at));
    this.update();
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const { canvas } = this;
    if (this.possible() === "slider" && event.buttons & 1) {
      canvas.setPointerCapture(event.pointerId);
      const box = canvas.getBoundingClientRect();
      const width = Math.min(box.width, (box.height * canvas.width) / canvas.height);
      this.slide((event.clientX - box.left - (box.width - width) / 2) / width);
    }
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (this.possible() !== "slider" || !(event.key in MOVES || event.key in ENDS)) {
      return;
    }
    this.slide(ENDS[event.key] ?? this.divider + MOVES[event.key]);
    event.preventDefault();
  }
}

/**
 * @param {View} view
 * @param {Shown} shown
 */
function noteOf(view, shown) {
  if (view === "beside") {
    return shown.parts.map((part) => words(part.title)).join(" | ");
  }
  return words(view === "slider" ? "sliderNote" : "amplified");
}
