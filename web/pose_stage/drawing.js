/** Drawing skeletons on a canvas, and finding their joints. */

import { editsAt } from "./corrections.js";
import { placeOf } from "./payload.js";

/** @typedef {import("./payload.js").Stage} Stage */
/** @typedef {import("./payload.js").Layer} Layer */
/** @typedef {import("./corrections.js").Corrections} Corrections */
/** @typedef {{x: number, y: number, seen: boolean, edited: boolean}} Joint */
/** @typedef {{scale: number, left: number, top: number}} View pixels of the element per pixel */

const FULL_SIDE = 512; // shorter side for which the widths below hold
const LIMB_PX = 8;
const HAND_PX = 2;
const JOINT_PX = 4;
const FACE_PX = 2;
const BODY = 18;

/**
 * Return the joints of the result in a frame, corrections applied; person by person.
 *
 * @param {Stage} stage
 * @param {number} frame
 * @param {Corrections} corrections
 * @returns {Joint[][]}
 */
export function jointsAt(stage, frame, corrections) {
  const { result, step, points, people } = stage;
  const scale = corrections.canvas
    ? [stage.canvas.width / corrections.canvas[0], stage.canvas.height / corrections.canvas[1]]
    : [1, 1];
  const edits = editsAt(corrections.edits, frame);
  const figures = [];
  for (let person = 0; person < people; person += 1) {
    const joints = [];
    for (let point = 0; point < points; point += 1) {
      const at = (frame * people + person) * points + point;
      /** @type {Joint} */
      const joint = {
        x: result.xy[2 * at] * step,
        y: result.xy[2 * at + 1] * step,
        seen: Boolean(result.seen[at]),
        edited: false,
      };
      joints.push(joint);
    }
    figures.push(joints);
  }
  for (const edit of edits.values()) {
    const part = stage.parts[edit.part];
    const joint = part && figures[edit.person]?.[part[0] + edit.joint];
    if (!joint) {
      continue;
    }
    joint.edited = true;
    if (edit.move) {
      joint.x += edit.move[0] * scale[0];
      joint.y += edit.move[1] * scale[1];
    } else if (edit.place) {
      Object.assign(joint, { x: edit.place[0] * scale[0], y: edit.place[1] * scale[1], seen: true });
    } else {
      joint.seen = false;
    }
  }
  return figures;
}

/**
 * Return the visible joint that is nearest to a point, or null if none is near.
 *
 * @param {Joint[][]} figures
 * @param {number} x pixels of the stage's canvas
 * @param {number} y
 * @param {number} reach pixels
 */
export function nearest(figures, x, y, reach) {
  let best = null;
  let least = reach;
  figures.forEach((joints, person) => {
    joints.forEach((joint, point) => {
      const distance = Math.hypot(joint.x - x, joint.y - y);
      // At equal distance a joint of the body is taken before one of face or hand.
      const cost = point < BODY ? distance : distance * 1.5;
      if (joint.seen && cost < least) {
        least = cost;
        best = { person, point };
      }
    });
  });
  return /** @type {{person: number, point: number} | null} */ (best);
}

/**
 * Draw a frame.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Stage} stage
 * @param {object} what
 * @param {number} what.frame
 * @param {Joint[][]} what.figures of `jointsAt`
 * @param {View} what.view
 * @param {{driver: boolean, result: boolean, reference: boolean, picture: boolean}} what.layers
 * @param {HTMLImageElement | null} what.picture
 * @param {{person: number, point: number} | null} what.chosen
 */
export function draw(context, stage, { frame, figures, view, layers, picture, chosen }) {
  const { width, height } = stage.canvas;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  context.setTransform(view.scale, 0, 0, view.scale, view.left, view.top);
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  if (layers.picture && picture) {
    drawPicture(context, picture, width, height);
  }
  const unit = Math.min(width, height) / FULL_SIDE;
  if (layers.result) {
    figures.forEach((joints) => drawFigure(context, stage, joints, unit));
  }
  if (layers.driver && stage.driver) {
    drawThin(context, stage, stage.driver, frame, unit * 2, "#aaa");
  }
  if (layers.reference && stage.reference) {
    drawThin(context, stage, stage.reference, 0, unit * 3, "#fff");
  }
  if (layers.result) {
    drawMarks(context, stage, { frame, figures, chosen, size: 1 / view.scale });
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLImageElement} picture
 * @param {number} width
 * @param {number} height
 */
function drawPicture(context, picture, width, height) {
  const scale = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
  const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
  context.globalAlpha = 0.6;
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
  context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Stage} stage
 * @param {Joint[]} joints
 * @param {number} unit
 */
function drawFigure(context, stage, joints, unit) {
  context.lineCap = "round";
  for (const [a, b, red, green, blue] of stage.edges) {
    const [from, to] = [joints[a], joints[b]];
    if (from.seen && to.seen) {
      context.lineWidth = (a < BODY && b < BODY ? LIMB_PX : HAND_PX) * unit;
      context.strokeStyle = `rgb(${red} ${green} ${blue})`;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
      context.stroke();
    }
  }
  joints.forEach((joint, point) => {
    if (joint.seen) {
      const [red, green, blue] = stage.joints[point];
      const radius = (point < BODY ? JOINT_PX : FACE_PX) * unit;
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.beginPath();
      context.arc(joint.x, joint.y, radius, 0, 2 * Math.PI);
      context.fill();
    }
  });
}

/**
 * Draw the body of a layer in thin lines of one colour.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Stage} stage
 * @param {Layer} layer
 * @param {number} frame
 * @param {number} width
 * @param {string} colour
 */
function drawThin(context, stage, layer, frame, width, colour) {
  const row = Math.min(frame, layer.frames - 1);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.beginPath();
  for (let person = 0; person < layer.people; person += 1) {
    const start = (row * layer.people + person) * layer.points;
    for (const [a, b] of stage.edges) {
      const ends = [start + a, start + b];
      if (a < BODY && b < BODY && ends.every((at) => layer.seen[at])) {
        context.moveTo(layer.xy[2 * ends[0]] * stage.step, layer.xy[2 * ends[0] + 1] * stage.step);
        context.lineTo(layer.xy[2 * ends[1]] * stage.step, layer.xy[2 * ends[1] + 1] * stage.step);
      }
    }
  }
  context.stroke();
}

/**
 * Draw rings around corrected joints, around joints that extraction guessed, and the chosen one.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Stage} stage
 * @param {{frame: number, figures: Joint[][], size: number,
 *   chosen: {person: number, point: number} | null}} what size: of a pixel of the element
 */
function drawMarks(context, stage, { frame, figures, chosen, size }) {
  figures.forEach((joints, person) => {
    joints.forEach((joint, point) => {
      const isChosen = chosen?.person === person && chosen?.point === point;
      const at = (frame * stage.people + person) * stage.points + point;
      const guessed = point < BODY && stage.guessed && stage.guessed[at];
      if (!isChosen && !(joint.seen && (joint.edited || guessed))) {
        return;
      }
      context.lineWidth = 2 * size;
      context.strokeStyle = isChosen ? "#62a0ea" : joint.edited ? "#fff" : "#f5c211";
      context.setLineDash(joint.seen && !guessed ? [] : [3 * size, 3 * size]);
      context.beginPath();
      context.arc(joint.x, joint.y, (isChosen ? 9 : 6) * size, 0, 2 * Math.PI);
      context.stroke();
      context.setLineDash([]);
    });
  });
}

/**
 * Return the joint record's address in corrections.
 *
 * @param {Stage} stage
 * @param {{person: number, point: number}} chosen
 */
export function addressIn(stage, chosen) {
  return { person: chosen.person, ...placeOf(stage, chosen.point) };
}
