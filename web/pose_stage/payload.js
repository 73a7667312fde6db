/** The server's payload for the pose stage, unpacked once so that drawing a frame is fast. */

/**
 * Skeletons over frames, flat arrays in the order frame, person, point.
 *
 * @typedef {object} Layer
 * @property {number} frames
 * @property {number} people
 * @property {number} points
 * @property {Int16Array} xy in steps
 * @property {Uint8Array} seen 1 where a point is seen, else 0
 */

/**
 * @typedef {object} Stage
 * @property {{width: number, height: number}} canvas in pixels
 * @property {number} frames
 * @property {number} people
 * @property {number} points
 * @property {number} step pixels of one unit of `xy`
 * @property {Record<string, [number, number]>} parts first point and the one after the last
 * @property {number[][]} edges from, to, red, green, blue
 * @property {number[][]} joints red, green, blue
 * @property {string[]} names of the body's joints
 * @property {Layer} result before corrections
 * @property {Layer | null} driver
 * @property {Layer | null} reference
 * @property {Uint8Array | null} guessed 1 where extraction had to guess a point of the result
 * @property {any} report
 * @property {string[]} notes
 * @property {string} corrections text that the run had
 * @property {Record<string, number>} missing share of unseen points by part
 */

export const VERSION = 2;

/**
 * Return a payload as a record.
 *
 * @param {any} payload
 * @returns {Stage}
 */
export function readPayload(payload) {
  if (payload?.version !== VERSION) {
    throw new Error(`pose stage got a payload of version ${payload?.version}, not ${VERSION}`);
  }
  const [width, height] = payload.canvas;
  const { frames, people, points, step, parts, skeleton } = payload;
  const { report, notes, missing, corrections } = payload;
  return {
    canvas: { width, height },
    frames,
    people,
    points,
    step,
    parts,
    edges: skeleton.edges,
    joints: skeleton.joints,
    names: skeleton.names,
    result: layer({ frames, people, points, ...payload.result }),
    driver: payload.driver ? layer(payload.driver) : null,
    reference: payload.reference ? layer(payload.reference) : null,
    guessed: payload.guessed ? bits(payload.guessed, frames * people * points) : null,
    report,
    notes,
    missing,
    corrections,
  };
}

/**
 * Return the name of a point, such as "right wrist" or "left hand 8".
 *
 * @param {Stage} stage
 * @param {number} point
 */
export function nameOf(stage, point) {
  const { part, joint } = placeOf(stage, point);
  const name = part === "body" ? stage.names[joint] : `${part} ${joint}`;
  return name.replaceAll("_", " ");
}

/**
 * Return part and joint of a point.
 *
 * @param {Stage} stage
 * @param {number} point
 */
export function placeOf(stage, point) {
  for (const [part, [start, stop]] of Object.entries(stage.parts)) {
    if (point >= start && point < stop) {
      return { part, joint: point - start };
    }
  }
  throw new Error(`pose stage has no point ${point}`);
}

/**
 * @param {any} packed
 * @returns {Layer}
 */
function layer({ frames, people, points, xy, seen }) {
  return {
    frames,
    people,
    points,
    xy: new Int16Array(bytes(xy).buffer),
    seen: bits(seen, frames * people * points),
  };
}

/**
 * Return bits as numbers, the lowest of a byte first.
 *
 * @param {string} text in base64
 * @param {number} count
 */
function bits(text, count) {
  const packed = bytes(text);
  return Uint8Array.from({ length: count }, (_, at) => (packed[at >> 3] >> (at & 7)) & 1);
}

/** @param {string} text in base64 */
function bytes(text) {
  const characters = atob(text);
  const result = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i += 1) {
    result[i] = characters.charCodeAt(i);
  }
  return result;
}
