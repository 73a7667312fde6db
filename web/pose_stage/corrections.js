/**
 * Corrections by hand, by the rule of animate_anyone/pose/corrections.py: of the edits that
 * cover a joint in a frame, only the last one counts.
 */

export const VERSION = 1;
export const KINDS = ["move", "place", "hide"];
const JOINTS = /** @type {Record<string, number>} */ ({
  body: 18,
  left_hand: 21,
  right_hand: 21,
  face: 68,
  feet: 6,
});
const LARGEST_PERSON = 999;
const LARGEST_FRAME = 10_000_000;
const LARGEST_PX = 16_384;

/**
 * @typedef {object} Edit
 * @property {number} person
 * @property {string} part
 * @property {number} joint
 * @property {number} first frame
 * @property {number} last frame, included
 * @property {[number, number]} [move] pixels
 * @property {[number, number]} [place] pixels
 * @property {true} [hide]
 */

/**
 * @typedef {object} Corrections
 * @property {[number, number] | null} canvas on which they were made
 * @property {Edit[]} edits
 */

/**
 * Return the corrections that a text holds; throws if the text is not valid.
 *
 * @param {string} text
 * @returns {Corrections}
 */
export function readCorrections(text) {
  if (!text || !text.trim()) {
    return { canvas: null, edits: [] };
  }
  const value = JSON.parse(text);
  if (!value || typeof value !== "object" || Array.isArray(value)) {
    throw new Error("no object");
  }
  if (!Object.keys(value).length) {
    return { canvas: null, edits: [] };
  }
  if (value.version !== VERSION) {
    throw new Error(`version ${value.version}`);
  }
  const edits = value.edits ?? [];
  if (!Array.isArray(edits) || !edits.every(isEdit)) {
    throw new Error("edits");
  }
  const canvas = value.canvas ?? null;
  if (canvas !== null && !isCanvas(canvas)) {
    throw new Error("canvas");
  }
  return { canvas, edits };
}

/**
 * Return corrections as text; empty if there are none.
 *
 * @param {Corrections} corrections
 */
export function writeCorrections({ canvas, edits }) {
  return edits.length ? JSON.stringify({ version: VERSION, canvas, edits }) : "";
}

/**
 * Return edits with one more, without earlier ones that it replaces.
 *
 * @param {Edit[]} edits
 * @param {Edit} added
 */
export function withEdit(edits, added) {
  return [...edits.filter((edit) => !(sameJoint(edit, added) && covers(added, edit))), added];
}

/**
 * Return edits without those of a joint in these frames; longer edits are cut.
 *
 * @param {Edit[]} edits
 * @param {{person: number, part: string, joint: number, first: number, last: number}} where
 */
export function withoutEdits(edits, where) {
  return edits.flatMap((edit) => {
    if (!sameJoint(edit, where) || edit.last < where.first || edit.first > where.last) {
      return [edit];
    }
    const before = { ...edit, last: where.first - 1 };
    const behind = { ...edit, first: where.last + 1 };
    return [before, behind].filter((part) => part.first <= part.last);
  });
}

/**
 * Return the edit in effect for each joint of a frame.
 *
 * @param {Edit[]} edits
 * @param {number} frame
 * @returns {Map<string, Edit>} by `keyOf`
 */
export function editsAt(edits, frame) {
  const found = new Map();
  for (const edit of edits) {
    if (edit.first <= frame && frame <= edit.last) {
      found.set(keyOf(edit), edit);
    }
  }
  return found;
}

/** @param {{person: number, part: string, joint: number}} joint */
export function keyOf({ person, part, joint }) {
  return `${person} ${part} ${joint}`;
}

/**
 * @param {{person: number, part: string, joint: number}} a
 * @param {{person: number, part: string, joint: number}} b
 */
function sameJoint(a, b) {
  return keyOf(a) === keyOf(b);
}

/**
 * @param {{first: number, last: number}} outer
 * @param {{first: number, last: number}} inner
 */
function covers(outer, inner) {
  return outer.first <= inner.first && inner.last <= outer.last;
}

/** @param {any} canvas */
function isCanvas(canvas) {
  return isPair(canvas, LARGEST_PX) && canvas.every((/** @type {number} */ side) => side >= 1);
}

/** @param {any} edit */
function isEdit(edit) {
  const joints = Object.hasOwn(JOINTS, edit?.part) ? JOINTS[edit.part] : 0;
  const kinds = KINDS.filter((kind) => edit?.[kind]);
  return (
    isWhole(edit?.person, LARGEST_PERSON) &&
    isWhole(edit.joint, joints - 1) &&
    isWhole(edit.first, LARGEST_FRAME) &&
    isWhole(edit.last, LARGEST_FRAME) &&
    edit.first <= edit.last &&
    kinds.length === 1 &&
    (kinds[0] === "hide" || isPair(edit[kinds[0]], LARGEST_PX))
  );
}

/**
 * @param {any} value
 * @param {number} largest
 */
function isWhole(value, largest) {
  return Number.isInteger(value) && value >= 0 && value <= largest;
}

/**
 * @param {any} value
 * @param {number} largest absolute value of either number
 */
function isPair(value, largest) {
  const fits = (/** @type {any} */ part) => Number.isFinite(part) && Math.abs(part) <= largest;
  return Array.isArray(value) && value.length === 2 && value.every(fits);
}
