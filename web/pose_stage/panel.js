/** One pose stage: its elements, playing, zooming and dragging. */

import { addressOf, runOnly } from "../lib/host.js";
import { buildControls } from "./controls.js";
import { draw, nearest } from "./drawing.js";
import { readPayload } from "./payload.js";
import { StageState } from "./state.js";
import { words } from "./words.js";

const REACH_PX = 14; // of the pointer around a joint, pixels of the screen
const STEP_PX = 1; // of the arrow keys, pixels of the stage's canvas
const FAR_PX = 10; // with Shift
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

export class PoseStage {
  /**
   * @param {any} node
   * @param {() => void} changed called after the corrections have changed by hand
   */
  constructor(node, changed) {
    this.node = node;
    this.zoom = 1;
    this.pan = { x: 0, y: 0 };
    this.playing = 0; // handle of the next frame
    this.pending = 0; // handle of the next drawing
    this.state = new StageState(() => {
      changed();
      this.redraw();
    });
    this.controls = buildControls(this.state, {
      redraw: () => this.redraw(),
      toggle: () => this.toggle(),
      zoom: (factor) => this.zoomBy(factor),
      update: () => this.update(),
    });
    this.element = this.controls.panel;
    this.canvas = this.controls.canvas;
    this.listen();
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.canvas);
    this.redraw();
  }

  /** Stop playing and drawing. */
  remove() {
    this.observer.disconnect();
    cancelAnimationFrame(this.playing);
    cancelAnimationFrame(this.pending);
  }

  /**
   * Show the result of a run.
   *
   * @param {{payload: any, picture?: any}} answer
   */
  async open(answer) {
    try {
      const response = await fetch(addressOf(answer.payload));
      if (!response.ok) {
        throw new Error(`${response.status} ${response.statusText}`);
      }
      this.state.show(readPayload(await response.json()));
      this.state.picture = answer.picture ? await loaded(addressOf(answer.picture)) : null;
      this.redraw();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.state.problem = words("failed", { reason });
      this.redraw();
    }
  }

  /** Run only this node and the nodes that it needs. */
  update() {
    runOnly(this.node);
  }

  /** Draw again before the next paint of the page, once. */
  redraw() {
    if (!this.pending) {
      this.pending = requestAnimationFrame(() => {
        this.pending = 0;
        this.drawNow();
      });
    }
  }

  /** Update elements and canvas. */
  drawNow() {
    this.controls.refresh();
    const { stage, frame, layers, picture, chosen } = this.state;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth * ratio, this.canvas.clientHeight * ratio];
    if (this.canvas.width !== Math.round(width) || this.canvas.height !== Math.round(height)) {
      this.canvas.width = Math.round(width);
      this.canvas.height = Math.round(height);
    }
    const context = this.canvas.getContext("2d");
    if (stage && context && width && height) {
      const figures = this.state.figures();
      draw(context, stage, { frame, figures, layers, picture, chosen, view: this.view() });
    }
  }

  /** Return the position and scale of the stage's canvas in the element's canvas. */
  view() {
    const { width, height } = this.state.stage?.canvas ?? { width: 1, height: 1 };
    const fit = Math.min(this.canvas.width / width, this.canvas.height / height);
    const scale = fit * this.zoom;
    return {
      scale,
      left: (this.canvas.width - scale * width) / 2 + this.pan.x * scale,
      top: (this.canvas.height - scale * height) / 2 + this.pan.y * scale,
    };
  }

  /**
   * Return where an event happened, in pixels of the stage's canvas, and how long one is on screen.
   *
   * @param {MouseEvent} event
   */
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect(); // as it is on screen, the graph's zoom included
    const perScreen = this.canvas.width / box.width;
    const view = this.view();
    return {
      x: ((event.clientX - box.left) * perScreen - view.left) / view.scale,
      y: ((event.clientY - box.top) * perScreen - view.top) / view.scale,
      screen: perScreen / view.scale,
    };
  }

  /** Play, or pause. */
  toggle() {
    if (this.playing) {
      cancelAnimationFrame(this.playing);
      this.playing = 0;
      this.controls.play.textContent = words("play");
      return;
    }
    this.controls.play.textContent = words("pause");
    let last = performance.now();
    const next = (/** @type {number} */ now) => {
      const pace = 1000 / Math.min(Math.max(Number(this.controls.fps.value) || 12, 1), 60);
      const { stage } = this.state;
      if (stage?.frames && now - last >= pace) {
        const steps = Math.floor((now - last) / pace);
        this.state.frame = (this.state.frame + steps) % stage.frames;
        last += steps * pace;
        this.redraw();
      }
      this.playing = requestAnimationFrame(next);
    };
    this.playing = requestAnimationFrame(next);
  }

  /**
   * @param {number | null} factor null shows all of the picture
   * @param {{x: number, y: number}} [around] pixels of the stage's canvas that stay where they are
   */
  zoomBy(factor, around) {
    const before = this.zoom;
    this.zoom = factor === null ? 1 : Math.min(Math.max(this.zoom * factor, 0.25), 20);
    if (factor === null) {
      this.pan = { x: 0, y: 0 };
    } else if (around && this.state.stage) {
      const { width, height } = this.state.stage.canvas;
      const change = before / this.zoom;
      this.pan.x = (around.x - width / 2) * (change - 1) + this.pan.x * change;
      this.pan.y = (around.y - height / 2) * (change - 1) + this.pan.y * change;
    }
    this.redraw();
  }

  /** Connect pointer, wheel and keys to the canvas. */
  listen() {
    this.canvas.addEventListener("pointerdown", (event) => this.grab(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.placeOf(event));
      },
      { passive: false },
    );
  }

  /** @param {PointerEvent} event */
  grab(event) {
    if (!this.state.stage || event.button > 1) {
      return;
    }
    event.preventDefault();
    this.canvas.focus();
    const start = this.placeOf(event);
    const found = nearest(this.state.figures(), start.x, start.y, REACH_PX * start.screen);
    if (found) {
      this.state.chosen = found;
      this.redraw();
    }
    this.canvas.setPointerCapture(event.pointerId);
    const drag = found ? this.dragJoint(start) : this.dragView(event);
    const move = (/** @type {PointerEvent} */ moved) => drag(moved);
    const stop = () => {
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.removeEventListener("pointerup", stop);
      this.canvas.removeEventListener("pointercancel", stop);
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", stop);
    this.canvas.addEventListener("pointercancel", stop);
  }

  /**
   * Return the handler of pointer movements while a joint is held; one drag is one step of undo.
   *
   * @param {{x: number, y: number}} start
   */
  dragJoint(start) {
    const joint = this.state.joint();
    const offset = joint ? { x: joint.x - start.x, y: joint.y - start.y } : { x: 0, y: 0 };
    const before = this.state.corrections;
    const past = [...this.state.past];
    return (/** @type {PointerEvent} */ event) => {
      const { x, y } = this.placeOf(event);
      this.state.corrections = before;
      this.state.past = [...past];
      this.state.put(x + offset.x, y + offset.y);
    };
  }

  /**
   * Return the handler of pointer movements while the picture is held.
   *
   * @param {PointerEvent} start
   */
  dragView(start) {
    const { x, y } = this.pan;
    return (/** @type {PointerEvent} */ event) => {
      const { screen } = this.placeOf(event);
      this.pan.x = x + (event.clientX - start.clientX) * screen;
      this.pan.y = y + (event.clientY - start.clientY) * screen;
      this.redraw();
    };
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const { state } = this;
    const arrow = ARROWS[event.key];
    const joint = state.joint();
    if (arrow && joint?.seen) {
      const far = event.shiftKey ? FAR_PX : STEP_PX;
      state.put(joint.x + arrow[0] * far, joint.y + arrow[1] * far);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      state.hide();
    } else if (event.key === " ") {
      this.toggle();
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      const last = Math.max((state.stage?.frames ?? 1) - 1, 0);
      const step = event.key === "PageDown" ? 1 : -1;
      state.frame = Math.min(Math.max(state.frame + step, 0), last);
      this.redraw();
    } else {
      return;
    }
    event.preventDefault();
  }
}

/**
 * @param {string} address
 * @returns {Promise<HTMLImageElement | null>} null if the picture is gone
 */
function loaded(address) {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = address;
  });
}
