/** The window view: which frames each window covers, and how many UNet calls they need. */

import { el, ownEvents } from "./lib/dom.js";
import { addPanel, after, request, onChange, widgetOf } from "./lib/host.js";
import { texts } from "./lib/texts.js";
import { drawWindows } from "./views/windows_drawing.js";

const HEIGHT = 130; // of the canvas
const WAIT_MS = 200; // after the last change of a widget
const FRAMES = 72; // until a run or the user sets another number
const REMEMBERED = "aa_window_frames"; // in the node's properties
/** Widgets of the node, by the server's names for them. */
const ASKED = {
  length: "length",
  overlap: "overlap",
  fuse: "fusing",
  loop: "loop",
  shift: "shift",
  steps: "steps",
};
const ONE_CALL = ["euler", "ddim"]; // samplers that call the model once per step

const words = texts({
  en: {
    label: "Windows",
    frames: "Frames",
    framesTip: "Length of the clip to draw. A run of Animate sets it to the length of its clip.",
    drawing: "{count} windows over {frames} frames",
    one: "1 window of {length}",
    many: "{count} windows of {length}",
    calls: "{calls} UNet calls at {steps} steps",
    callsAtLeast: "at least {calls} UNet calls at {steps} steps with {sampler}",
    callsPerStep: "{calls} UNet calls per step",
    callPerStep: "1 UNet call per step",
    rows: " ({rows} rows with guidance)",
    moving: "Seams move: the first step is drawn.",
    someDrawn: "The first {drawn} windows are drawn.",
    sum: "{frames} frames: {windows}, {calls}.",
    tip: "A call is one pass of the UNet over one window. With guidance it has two rows, with and without the reference; if memory is short, ComfyUI runs them one after the other, which doubles the calls. Samplers such as heun call the UNet twice per step.",
    unreachable: "The server did not return the windows: {reason}",
  },
  zh: {
    label: "窗口",
    frames: "帧数",
    framesTip: "要绘制的片段长度。Animate 运行后会自动填入。",
    drawing: "{frames} 帧上的 {count} 个窗口",
    one: "1 个 {length} 帧的窗口",
    many: "{count} 个 {length} 帧的窗口",
    calls: "{steps} 步共 {calls} 次 UNet 调用",
    callsAtLeast: "使用 {sampler} 时 {steps} 步至少 {calls} 次 UNet 调用",
    callsPerStep: "每步 {calls} 次 UNet 调用",
    callPerStep: "每步 1 次 UNet 调用",
    rows: "（含引导共 {rows} 行）",
    moving: "接缝逐步移动：图中为第一步。",
    someDrawn: "只绘制前 {drawn} 个窗口。",
    sum: "{frames} 帧：{windows}，{calls}。",
    tip: "一次调用是 UNet 对一个窗口的一次计算。使用引导时含两行，一行有参考、一行没有；内存不足时 ComfyUI 会依次计算两行，调用次数加倍。heun 等采样器每步计算两次。",
    unreachable: "无法得知窗口：{reason}",
  },
});

/** @type {import("./animate_anyone.js").Feature} */
export const feature = {
  nodes: { ContextWindows: addWindowView, Animate: addWindowView },
};

/**
 * Give a node the drawing of its windows.
 *
 * @param {any} node
 */
function addWindowView(node) {
  const drawing = el("div", { class: "aa-grow aa-windows-drawing", role: "img" });
  const sum = el("div", { class: "aa-grow", role: "status", title: words("tip") });
  const frames = el("input", {
    type: "number",
    min: "1",
    step: "1",
    title: words("framesTip"),
    "aria-label": words("frames"),
    oninput: () => {
      node.properties[REMEMBERED] = frames.value;
      later();
    },
  });
  const element = el(
    "div",
    { class: "aa-panel aa-windows", role: "group", "aria-label": words("label") },
    drawing,
    el("div", { class: "aa-row aa-windows-foot" }, sum, frames),
  );
  addPanel(node, "window_view", ownEvents(element), { height: HEIGHT });

  let timer = 0;
  let asked = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(update, WAIT_MS);
  }

  async function update() {
    const mine = (asked += 1);
    let plan;
    let problem = "";
    try {
      plan = await request(`/windows?${question(node, frames.value)}`);
    } catch (error) {
      const reason = /** @type {Error} */ (error).message;
      problem = error instanceof TypeError ? words("unreachable", { reason }) : reason;
    }
    if (mine !== asked) {
      return;
    }
    element.toggleAttribute("data-problem", Boolean(problem));
    sum.textContent = problem || describe(plan, node);
    drawing.replaceChildren(...(plan ? [drawWindows(plan)] : []));
    drawing.setAttribute("aria-label", plan ? words("drawing", plan) : "");
    drawing.hidden = !plan;
  }

  function recall() {
    frames.value = String(node.properties?.[REMEMBERED] ?? FRAMES);
    later();
  }

  for (const name of [...Object.values(ASKED), "cfg", "sampler"]) {
    const widget = widgetOf(node, name);
    if (widget) {
      onChange(widget, later);
    }
  }
  after(node, "onConfigure", recall);
  after(node, "onExecuted", (/** @type {any} */ message) => {
    if (message?.aa_frames) {
      node.properties[REMEMBERED] = message.aa_frames[0];
      recall();
    }
  });
  after(node, "onRemoved", () => clearTimeout(timer));
  recall();
}

/**
 * Return the query for a node's windows.
 *
 * @param {any} node
 * @param {string} frames
 */
function question(node, frames) {
  const query = new URLSearchParams({ frames });
  for (const [name, input] of Object.entries(ASKED)) {
    const widget = widgetOf(node, input);
    if (widget) {
      query.set(name, String(widget.value));
    }
  }
  return query;
}

/**
 * Return the text that describes a plan.
 *
 * @param {any} plan of the server
 * @param {any} node
 */
function describe(plan, node) {
  const parts = [
    words("sum", {
      frames: plan.frames,
      windows: words(plan.count === 1 ? "one" : "many", plan),
      calls: callsOf(plan, node),
    }),
  ];
  if (plan.moving) {
    parts.push(words("moving"));
  }
  if (plan.windows.length < plan.count) {
    parts.push(words("someDrawn", { drawn: plan.windows.length }));
  }
  return parts.join(" ");
}

/**
 * @param {any} plan
 * @param {any} node
 */
function callsOf(plan, node) {
  const cfg = widgetOf(node, "cfg");
  if (!cfg) {
    return words(plan.calls === 1 ? "callPerStep" : "callsPerStep", plan);
  }
  const sampler = widgetOf(node, "sampler")?.value;
  const exact = ONE_CALL.includes(sampler);
  const rows = cfg.value === 1 || !exact ? "" : words("rows", { rows: 2 * plan.calls });
  return words(exact ? "calls" : "callsAtLeast", { ...plan, sampler }) + rows;
}
