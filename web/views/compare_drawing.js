/** The three views of one video that holds several clips side by side. */

const DOUBLINGS = 2; // of the difference, which is so shown 4 times amplified
const LINE = 2; // pixels of the panel, of the divider
const HANDLE = 6; // pixels of the panel, radius

/** @typedef {import("./compare_player.js").Part} Part */
/** @typedef {import("./compare_player.js").Shown} Shown */
/** @typedef {import("./compare_player.js").View} View */

/**
 * Draw the current frame of the video.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLVideoElement} video
 * @param {Shown} shown
 * @param {View} view
 * @param {number} divider 0..1 from the left
 */
export function drawView(canvas, video, shown, view, divider) {
  const context = canvas.getContext("2d");
  const result = shown.parts[shown.parts.length - 1];
  const other = shown.parts.find((part) => part.title === "other");
  const width = view === "beside" ? shown.width : result.width;
  if (canvas.width !== width || canvas.height !== shown.height) {
    canvas.width = width;
    canvas.height = shown.height;
  }
  if (!context || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    return;
  }
  context.globalCompositeOperation = "copy";
  if (view === "beside" || !other) {
    context.drawImage(video, 0, 0, width, shown.height, 0, 0, width, shown.height);
    return;
  }
  drawPart(context, video, result, 0, 1);
  if (view === "slider") {
    context.globalCompositeOperation = "source-over";
    drawPart(context, video, other, 0, divider);
    drawDivider(context, divider);
    return;
  }
  context.globalCompositeOperation = "difference";
  drawPart(context, video, other, 0, 1);
  context.globalCompositeOperation = "lighter";
  for (let times = 0; times < DOUBLINGS; times += 1) {
    context.drawImage(canvas, 0, 0);
  }
}

/**
 * Draw a part's columns between two fractions of its width.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLVideoElement} video
 * @param {Part} part
 * @param {number} from 0..1
 * @param {number} to 0..1
 */
function drawPart(context, video, part, from, to) {
  const { height } = context.canvas;
  const left = part.width * from;
  const width = part.width * (to - from);
  if (width > 0) {
    context.drawImage(video, part.left + left, 0, width, height, left, 0, width, height);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} divider
 */
function drawDivider(context, divider) {
  const { width, height, clientWidth, clientHeight } = context.canvas;
  const pixel = Math.max(width / (clientWidth || width), height / (clientHeight || height));
  const x = width * divider;
  context.fillStyle = "#fff";
  context.strokeStyle = "#1a5fb4";
  context.lineWidth = pixel;
  context.fillRect(x - (LINE * pixel) / 2, 0, LINE * pixel, height);
  context.beginPath();
  context.arc(x, height / 2, HANDLE * pixel, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}
