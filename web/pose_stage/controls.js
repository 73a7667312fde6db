/** The buttons and fields of a pose stage. */

import { el, ownEvents } from "../lib/dom.js";
import { nameOf } from "./payload.js";
import { words } from "./words.js";

/** @typedef {import("./state.js").StageState} StageState */

const LAYERS = /** @type {const} */ (["driver", "result", "reference", "picture"]);
const SCOPES = /** @type {const} */ (["this", "rest", "all", "span"]);

/**
 * Build the elements; `refresh` updates them from the state.
 *
 * @param {StageState} state
 * @param {object} act what the buttons do
 * @param {() => void} act.redraw
 * @param {() => void} act.toggle play or pause
 * @param {(factor: number | null) => void} act.zoom null fits the picture
 * @param {() => void} act.update run the node
 */
export function buildControls(state, act) {
  const canvas = el("canvas", {
    class: "aa-stage-canvas",
    tabIndex: 0,
    role: "application",
    "aria-label": words("canvas"),
  });
  const hint = el("div", { class: "aa-stage-hint" });
  const play = button(words("play"), act.toggle);
  const frame = field("range", words("frame"), (value) => {
    state.frame = value;
    act.redraw();
  });
  const counter = el("span", { class: "aa-stage-counter" });
  const fps = field("number", words("fps"), () => {});
  Object.assign(fps, { min: "1", max: "60", value: "12", title: words("fps") });
  const layers = LAYERS.map((name) =>
    toggle(words(name), () => {
      state.layers[name] = !state.layers[name];
      act.redraw();
    }),
  );
  const zoom = [
    button("−", () => act.zoom(1 / 1.25), words("zoomOut")),
    button("+", () => act.zoom(1.25), words("zoomIn")),
    button(words("fit"), () => act.zoom(null)),
  ];
  const person = select(words("person"), (value) => {
    state.chosen = { ...state.chosen, person: Number(value) };
    act.redraw();
  });
  const joint = select(words("joint"), (value) => {
    state.chosen = { ...state.chosen, point: Number(value) };
    act.redraw();
  });
  const scope = select(words("scope"), (value) => {
    state.scope = value;
    if (value === "span") {
      state.span = [state.frame, Math.max((state.stage?.frames ?? 1) - 1, 0)];
    }
    act.redraw();
  });
  scope.append(...SCOPES.map((name) => el("option", { value: name, textContent: words(name) })));
  const ends = [0, 1].map((end) =>
    field("number", words(end ? "to" : "from"), (value) => {
      state.span[end] = value - 1; // the fields count from 1, as the counter does
      act.redraw();
    }),
  );
  const hide = button(words("hide"), () => (state.joint()?.seen ? state.hide() : state.reset()), words("hideTitle"));
  const place = button(words("place"), () => putIntoTheMiddle(state), words("placeTitle"));
  const reset = button(words("reset"), () => state.reset(), words("resetTitle"));
  const undo = button(words("undo"), () => state.undo());
  const clear = button(words("clear"), () => state.clear(), words("clearTitle"));
  const update = button(words("update"), act.update, words("updateTitle"));
  const status = el("span", { class: "aa-grow", role: "status" });
  const report = el("details", { class: "aa-stage-report" }, el("summary", { textContent: words("report") }));
  const facts = el("div");
  report.append(facts);

  const panel = ownEvents(
    el(
      "div",
      { class: "aa-panel aa-stage" },
      el("div", { class: "aa-row" }, play, frame, counter, fps),
      el("div", { class: "aa-row" }, ...layers, ...zoom),
      el("div", { class: "aa-stage-view aa-grow" }, canvas, hint),
      el("div", { class: "aa-row" }, person, joint, scope, ...ends),
      el("div", { class: "aa-row" }, hide, place, reset, undo, clear),
      el("div", { class: "aa-row" }, update, status),
      report,
    ),
  );

  let built = /** @type {object | null} */ (null);

  function refresh() {
    const { stage, corrections } = state;
    const last = Math.max((stage?.frames ?? 1) - 1, 0);
    frame.max = String(last);
    frame.value = String(state.frame);
    counter.textContent = stage ? `${state.frame + 1} / ${stage.frames}` : "";
    layers.forEach((element, place) => pressed(element, state.layers[LAYERS[place]]));
    layers[0].hidden = !stage?.driver;
    layers[2].hidden = !stage?.reference;
    layers[3].hidden = !state.picture;
    if (stage && built !== stage) {
      fillChoices(state, person, joint);
      facts.replaceChildren(...factsOf(stage));
      built = stage;
    }
    person.hidden = (stage?.people ?? 1) < 2;
    person.value = String(state.chosen.person);
    joint.value = String(state.chosen.point);
    scope.value = state.scope;
    ends.forEach((element, end) => {
      element.hidden = state.scope !== "span";
      Object.assign(element, { min: "1", max: String(last + 1), value: String(state.span[end] + 1) });
    });
    const shown = state.joint();
    hide.textContent = words(shown && !shown.seen && shown.edited ? "show" : "hide");
    hide.disabled = !shown || state.outside || (!shown.seen && !shown.edited);
    place.disabled = !shown || state.outside || shown.seen;
    reset.disabled = !shown?.edited;
    undo.disabled = !state.past.length;
    clear.disabled = !corrections.edits.length && state.unreadable === null;
    [play, frame, fps, person, joint, scope, ...zoom, ...layers].forEach((element) => {
      element.disabled = !stage;
    });
    status.textContent = statusOf(state);
    report.hidden = !stage;
    hint.textContent =
      state.unreadable !== null ? words("malformed", { reason: state.reason }) : state.problem || (stage ? "" : words("empty"));
    hint.hidden = !hint.textContent;
  }

  return { panel, canvas, play, frame, fps, update, hint, refresh };
}

/** @param {StageState} state */
function statusOf({ corrections, dirty, outside, stage }) {
  const count = corrections.edits.length;
  if (outside) {
    return words("outside");
  }
  if (dirty) {
    return words("changed");
  }
  if (count) {
    return words("edits", { count });
  }
  return stage ? words("none") : "";
}

/** @param {StageState} state */
function putIntoTheMiddle(state) {
  if (state.stage) {
    const { width, height } = state.stage.canvas;
    state.put(width / 2, height / 2);
  }
}

/**
 * @param {StageState} state
 * @param {HTMLSelectElement} person
 * @param {HTMLSelectElement} joint
 */
function fillChoices(state, person, joint) {
  const stage = /** @type {import("./payload.js").Stage} */ (state.stage);
  const people = Array.from({ length: stage.people }, (_, i) => i);
  person.replaceChildren(
    ...people.map((i) => el("option", { value: String(i), textContent: `${words("person")} ${i + 1}` })),
  );
  joint.replaceChildren(
    ...Object.entries(stage.parts).map(([part, [start, stop]]) =>
      el(
        "optgroup",
        { label: part.replace("_", " ") },
        ...Array.from({ length: stop - start }, (_, i) =>
          el("option", { value: String(start + i), textContent: nameOf(stage, start + i) }),
        ),
      ),
    ),
  );
}

/** @param {import("./payload.js").Stage} stage */
function factsOf(stage) {
  const lines = [];
  const bones = Object.entries(stage.report?.bones ?? {});
  if (bones.length) {
    lines.push(el("strong", { textContent: words("ratios") }));
    for (const [bone, [ratio, source]] of bones) {
      lines.push(el("div", { textContent: `${bone}: ×${ratio.toFixed(3)} (${source})` }));
    }
  }
  const missing = Object.entries(stage.missing).filter(([, share]) => share > 0.001);
  if (missing.length) {
    const shares = missing.map(([part, share]) => `${part.replace("_", " ")} ${(100 * share).toFixed(0)} %`);
    lines.push(el("strong", { textContent: words("missing") }), el("div", { textContent: shares.join(", ") }));
  }
  const notes = [...stage.notes, ...(stage.report?.warnings ?? [])];
  if (notes.length) {
    lines.push(el("strong", { textContent: words("notes") }));
    lines.push(...notes.map((note) => el("div", { textContent: note })));
  }
  return lines;
}

/**
 * @param {string} text
 * @param {() => void} onclick
 * @param {string} [title]
 */
function button(text, onclick, title) {
  return el("button", { type: "button", textContent: text, title, "aria-label": title, onclick });
}

/**
 * @param {string} text
 * @param {() => void} onclick
 */
function toggle(text, onclick) {
  return el("button", { type: "button", textContent: text, "aria-pressed": "false", onclick });
}

/**
 * @param {HTMLButtonElement} element
 * @param {boolean} on
 */
function pressed(element, on) {
  element.setAttribute("aria-pressed", String(on));
}

/**
 * @param {"range" | "number"} type
 * @param {string} label
 * @param {(value: number) => void} then
 */
function field(type, label, then) {
  const input = el("input", { type, "aria-label": label, value: "0" });
  input.addEventListener("input", () => then(Number(input.value) || 0));
  return input;
}

/**
 * @param {string} label
 * @param {(value: string) => void} then
 */
function select(label, then) {
  const element = el("select", { "aria-label": label });
  element.addEventListener("change", () => then(element.value));
  return element;
}
