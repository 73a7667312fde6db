/** The drawing of windows: one row per window, frames from left to right, height is the share. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{frames: number[], shares: number[]}} Window */

/**
 * Return the drawing of a plan.
 *
 * @param {{frames: number, windows: Window[]}} plan of the server
 */
export function drawWindows({ frames, windows }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${frames} ${windows.length}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [row, window] of windows.entries()) {
    for (const run of runs(window)) {
      svg.append(
        path("aa-windows-extent", band(run, row)),
        path("aa-windows-weight", profile(run, row)),
      );
    }
  }
  return svg;
}

/**
 * Return the runs of consecutive frames of a window; a window that wraps around has two.
 *
 * @param {Window} window
 * @returns {{first: number, shares: number[]}[]}
 */
function runs({ frames, shares }) {
  /** @type {{first: number, shares: number[]}[]} */
  const found = [];
  for (const [place, frame] of frames.entries()) {
    const last = found.at(-1);
    if (last && frame === last.first + last.shares.length) {
      last.shares.push(shares[place]);
    } else {
      found.push({ first: frame, shares: [shares[place]] });
    }
  }
  return found;
}

/**
 * @param {{first: number, shares: number[]}} run
 * @param {number} row
 */
function band({ first, shares }, row) {
  return `M${first} ${row + 0.06}h${shares.length}v0.88h${-shares.length}z`;
}

/**
 * @param {{first: number, shares: number[]}} run
 * @param {number} row
 */
function profile({ first, shares }, row) {
  const floor = row + 0.94;
  const steps = shares.map((share) => `V${(floor - 0.88 * share).toFixed(3)}h1`);
  return `M${first} ${floor}${steps.join("")}V${floor}z`;
}

/**
 * @param {string} kind
 * @param {string} shape
 */
function path(kind, shape) {
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("class", kind);
  element.setAttribute("d", shape);
  return element;
}
