/** The live preview: plays the sheet of frames that Animate sends while it samples. */

import { el, ownEvents } from "./lib/dom.js";
import { addPanel, after, api, namesOf } from "./lib/host.js";
import { texts } from "./lib/texts.js";

const QUIET_HEIGHT = 34; // of the canvas, while there is nothing to play
const HEIGHT = 190; // of the canvas
const FPS = 8;
const EDGE = 1; // pixels at the border of a tile, in which its neighbours may show

/**
 * The arrangement of the tiles on a sheet.
 *
 * @typedef {object} Grid
 * @property {string} node that sends it
 * @property {number} columns
 * @property {number} rows
 * @property {number[]} frames numbers of the frames, row by row
 * @property {number} total frames of the clip
 */

const words = texts({
  en: {
    label: "Live preview",
    empty: "While it samples, the clip plays here.",
    play: "Play",
    pause: "Pause",
    frame: "frame {frame} of {total}",
    picture: "Estimate of the clip",
  },
  zh: {
    label: "生成中的片段",
    empty: "采样时在此播放片段。",
    play: "播放",
    pause: "暂停",
    frame: "第 {frame} 帧，共 {total} 帧",
    picture: "片段的当前估计",
  },
});

/** @type {import("./animate_anyone.js").Feature} */
export const feature = { nodes: { Animate: addPreview } };

/**
 * Give a node the player of its estimate.
 *
 * @param {any} node
 */
function addPreview(node) {
  const view = playerView();
  const widget = addPanel(node, "live_preview", view.element, { height: QUIET_HEIGHT });
  node.onDrawBackground = () => {}; // the page would also draw the sheet itself, as a still picture
  let gone = false; // whether the node was removed, perhaps while a sheet was being read
  let came = 0; // sheets received so far
  let shown = 0; // the newest of them that is read; they may become ready in another order
  /** @type {Map<string, Grid>} */
  const grids = new Map(); // by the node that runs; a subgraph runs several

  function onGrid(/** @type {any} */ event) {
    grids.set(event.detail.node, event.detail);
  }

  async function onSheet(/** @type {any} */ event) {
    const { blob, nodeId, displayNodeId } = event.detail;
    const grid = grids.get(nodeId);
    if (!grid || !namesOf(node).includes(String(displayNodeId ?? nodeId))) {
      return;
    }
    const mine = (came += 1);
    const sheet = await createImageBitmap(blob);
    if (gone || mine < shown) {
      sheet.close();
      return;
    }
    shown = mine;
    view.show(sheet, grid);
    widen(node, widget);
  }

  api.addEventListener("animate_anyone.preview", onGrid);
  api.addEventListener("b_preview_with_metadata", onSheet);
  after(node, "onRemoved", () => {
    gone = true;
    api.removeEventListener("animate_anyone.preview", onGrid);
    api.removeEventListener("b_preview_with_metadata", onSheet);
    view.stop();
  });
}

/**
 * Make room for the picture, once.
 *
 * @param {any} node
 * @param {any} widget
 */
function widen(node, widget) {
  if (widget.options.getMinHeight() === HEIGHT) {
    return;
  }
  widget.options.getMinHeight = () => HEIGHT;
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
  node.setDirtyCanvas?.(true, true);
}

/** Return the player's element and its functions `show` (of a sheet) and `stop`. */
function playerView() {
  const canvas = el("canvas", { class: "aa-grow aa-preview-picture", role: "img" });
  const place = el("span", { class: "aa-grow" }, words("empty"));
  const button = el("button", { type: "button", onclick: toggle, hidden: true });
  const element = el(
    "div",
    { class: "aa-panel aa-preview", role: "group", "aria-label": words("label") },
    canvas,
    el("div", { class: "aa-row" }, button, place),
  );
  /** @type {ImageBitmap | null} */
  let sheet = null;
  /** @type {Grid | null} */
  let grid = null;
  let tile = 0;
  let timer = 0;
  canvas.hidden = true;
  canvas.setAttribute("aria-label", words("picture"));

  function draw() {
    const context = canvas.getContext("2d");
    if (!sheet || !grid || !context) {
      return;
    }
    tile %= grid.frames.length;
    const width = sheet.width / grid.columns;
    const height = sheet.height / grid.rows;
    const left = (tile % grid.columns) * width + EDGE;
    const top = Math.floor(tile / grid.columns) * height + EDGE;
    canvas.width = Math.round(width - 2 * EDGE);
    canvas.height = Math.round(height - 2 * EDGE);
    const size = /** @type {const} */ ([canvas.width, canvas.height]);
    context.drawImage(sheet, left, top, ...size, 0, 0, ...size);
    place.textContent = words("frame", { frame: grid.frames[tile] + 1, total: grid.total });
  }

  function next() {
    tile += 1;
    draw();
  }

  function play() {
    stop();
    timer = setInterval(next, 1000 / FPS);
    button.textContent = words("pause");
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    button.textContent = words("play");
  }

  function toggle() {
    (timer ? stop : play)();
  }

  /**
   * @param {ImageBitmap} newSheet
   * @param {Grid} newGrid
   */
  function show(newSheet, newGrid) {
    const first = !sheet;
    sheet?.close();
    sheet = newSheet;
    grid = newGrid;
    canvas.hidden = button.hidden = false;
    draw();
    if (first) {
      play();
    }
  }

  return { element: ownEvents(element), show, stop };
}
