/** The state of one pose stage: the clip, the corrections, the chosen joint and the view. */

import { readCorrections, withEdit, withoutEdits, writeCorrections } from "./corrections.js";
import { addressIn, jointsAt } from "./drawing.js";

/** @typedef {import("./payload.js").Stage} Stage */
/** @typedef {import("./corrections.js").Corrections} Corrections */
/** @typedef {{person: number, point: number}} Chosen */
/** @typedef {{corrections: Corrections, unreadable: string | null}} Before a change */

const UNDO_STEPS = 200;

export class StageState {
  /** @param {() => void} changed called after the corrections have changed by hand */
  constructor(changed) {
    this.changed = changed;
    /** @type {Stage | null} */
    this.stage = null;
    /** @type {HTMLImageElement | null} */
    this.picture = null;
    /** @type {Corrections} */
    this.corrections = { canvas: null, edits: [] };
    /** The original text, if it cannot be read. @type {string | null} */
    this.unreadable = null;
    this.reason = "";
    this.problem = ""; // why the last answer cannot be shown
    /** States for undo. @type {Before[]} */
    this.past = [];
    this.frame = 0;
    /** @type {Chosen} */
    this.chosen = { person: 0, point: 4 };
    this.layers = { driver: true, result: true, reference: true, picture: true };
    this.scope = "this";
    this.span = [0, 0];
    this.dirty = false; // whether corrections have changed since the last run
  }

  /** Return the value for the prompt and the workflow. */
  get text() {
    return this.unreadable ?? writeCorrections(this.corrections);
  }

  /** @param {string} text anything else, such as the null of an older workflow, counts as empty */
  set text(text) {
    const given = typeof text === "string" ? text : "";
    this.unreadable = null;
    this.past = [];
    try {
      this.corrections = readCorrections(given);
    } catch (error) {
      this.corrections = { canvas: null, edits: [] };
      this.unreadable = given;
      this.reason = error instanceof Error ? error.message : String(error);
    }
  }

  /** @param {Stage} stage */
  show(stage) {
    this.stage = stage;
    this.frame = Math.min(this.frame, Math.max(stage.frames - 1, 0));
    this.chosen.person = Math.min(this.chosen.person, Math.max(stage.people - 1, 0));
    this.dirty = this.text !== stage.corrections;
    this.problem = "";
  }

  /** Return the joints of the frame that is shown. */
  figures() {
    return this.stage ? jointsAt(this.stage, this.frame, this.corrections) : [];
  }

  /** Return the chosen joint as it is shown, if there is one. */
  joint() {
    return this.figures()[this.chosen.person]?.[this.chosen.point];
  }

  /** Return the frames of a correction, by the chosen scope. */
  reach() {
    const last = Math.max((this.stage?.frames ?? 1) - 1, 0);
    const [from, to] = this.span.map((frame) => Math.min(Math.max(Math.trunc(frame), 0), last));
    const reaches = {
      this: [this.frame, this.frame],
      rest: [this.frame, last],
      all: [0, last],
      span: [Math.min(from, to), Math.max(from, to)],
    };
    const [first, end] = reaches[/** @type {keyof typeof reaches} */ (this.scope)];
    return { first, last: end };
  }

  /** Whether the shown frame is outside the scope; then no correction is made. */
  get outside() {
    const { first, last } = this.reach();
    return this.frame < first || this.frame > last;
  }

  /**
   * Put the chosen joint at a position in the frame that is shown.
   *
   * @param {number} x pixels of the stage's canvas
   * @param {number} y
   */
  put(x, y) {
    const stage = this.stage;
    if (!stage) {
      return;
    }
    const { person, point } = this.chosen;
    const at = (this.frame * stage.people + person) * stage.points + point;
    const round = (/** @type {number} */ value) => Math.round(value * 100) / 100;
    if (stage.result.seen[at]) {
      const { xy } = stage.result;
      const [left, top] = [xy[2 * at] * stage.step, xy[2 * at + 1] * stage.step];
      this.add({ move: [round(x - left), round(y - top)] });
    } else {
      this.add({ place: [round(x), round(y)] });
    }
  }

  /** Hide the chosen joint. */
  hide() {
    this.add({ hide: true });
  }

  /** Delete the corrections of the chosen joint. */
  reset() {
    if (this.stage) {
      const where = { ...addressIn(this.stage, this.chosen), ...this.reach() };
      this.replace(withoutEdits(this.ownEdits(), where));
    }
  }

  /** Delete all corrections. */
  clear() {
    this.replace([]);
  }

  /** Undo the last change. */
  undo() {
    const before = this.past.pop();
    if (before) {
      Object.assign(this, before);
      this.dirty = true;
      this.changed();
    }
  }

  /** @param {{move: [number, number]} | {place: [number, number]} | {hide: true}} what */
  add(what) {
    if (this.stage && this.unreadable === null && !this.outside) {
      const edit = { ...addressIn(this.stage, this.chosen), ...this.reach(), ...what };
      this.replace(withEdit(this.ownEdits(), edit));
    }
  }

  /** @param {import("./corrections.js").Edit[]} edits in pixels of the stage's canvas */
  replace(edits) {
    const { corrections, unreadable } = this;
    this.past.push({ corrections, unreadable });
    this.past.splice(0, this.past.length - UNDO_STEPS);
    const size = this.stage?.canvas;
    this.corrections = { canvas: size ? [size.width, size.height] : null, edits };
    this.unreadable = null;
    this.dirty = true;
    this.changed();
  }

  /** Return the edits converted to pixels of the stage's canvas. */
  ownEdits() {
    const { canvas, edits } = this.corrections;
    const size = this.stage?.canvas;
    if (!size || !canvas || (canvas[0] === size.width && canvas[1] === size.height)) {
      return edits;
    }
    const [x, y] = [size.width / canvas[0], size.height / canvas[1]];
    return edits.map((edit) => scaled(edit, x, y));
  }
}

/**
 * @param {import("./corrections.js").Edit} edit
 * @param {number} x
 * @param {number} y
 * @returns {import("./corrections.js").Edit}
 */
function scaled(edit, x, y) {
  const { move, place } = edit;
  return {
    ...edit,
    ...(move ? { move: [move[0] * x, move[1] * y] } : {}),
    ...(place ? { place: [place[0] * x, place[1] * y] } : {}),
  };
}
