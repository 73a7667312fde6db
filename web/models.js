/** The panel of a loader: its model files, their sources, and downloading the missing ones. */

import { addPanel, after, api, app, request, onChange, widgetOf } from "./lib/host.js";
import { describe } from "./models/describe.js";
import { LOADERS, absentChoices, shownSet, useFiles } from "./models/sets.js";
import { modelsView } from "./models/view.js";
import { words } from "./models/words.js";

const MAX_HEIGHT = 280; // above it the panel scrolls
const PADDING = 17; // of .aa-panel and of the canvas around it, above and below together
const EVENT = "animate_anyone.download";

/** @type {import("./animate_anyone.js").Feature} */
export const feature = {
  nodes: {
    LoadModels: (node) => addModelsPanel(node, LOADERS.LoadModels),
    LoadDWPose: (node) => addModelsPanel(node, LOADERS.LoadDWPose),
  },
};

/**
 * Give a loader the panel of its model files.
 *
 * @param {any} node
 * @param {import("./models/sets.js").Loader} loader
 */
function addModelsPanel(node, loader) {
  /** @type {import("./models/sets.js").Models | null} */
  let known = null;
  let failure = "";
  let refused = ""; // why the server refused the last button
  let stopping = false;
  let asking = false;
  let events = 0;

  const view = modelsView({ fetch, cancel, use, again: refresh });
  const widget = addPanel(node, "model_files", view.element, { height: loader.height });
  const fitting = fit(node, widget, view.content, loader.height);

  function update() {
    view.show(describe(node, loader, known, { failure, refused, stopping }));
  }

  /** Request all files; a download state from an event that came meanwhile is newer and is kept. */
  async function refresh() {
    const before = events;
    try {
      const answer = await request("/models");
      const download = before === events ? answer.download : (known?.download ?? answer.download);
      known = { ...answer, download };
      stopping = stopping && download?.state === "running";
      failure = "";
    } catch (error) {
      failure = words("unknown", { reason: /** @type {Error} */ (error).message });
    }
    update();
  }

  /** @param {any} event */
  async function onDownload(event) {
    events += 1;
    const before = known?.download;
    const now = event.detail;
    if (known) {
      known = { ...known, download: now };
    }
    stopping = stopping && now.state === "running";
    update();
    if (now.state !== before?.state || now.file !== before?.file) {
      await refresh();
    }
    if (now.state === "done" && now.set === chosenSet()) {
      await app.refreshComboInNodes();
      update();
    }
  }

  function chosenSet() {
    return known && shownSet(known, loader.set(node), absentChoices(node, loader, known));
  }

  /**
   * @param {string} path
   * @param {any} body
   */
  async function post(path, body) {
    if (asking) {
      return;
    }
    asking = true;
    refused = "";
    const before = events;
    try {
      const download = await request(path, body);
      if (known && before === events) {
        known = { ...known, download };
      }
    } catch (error) {
      refused = /** @type {Error} */ (error).message;
      stopping = false;
      await refresh();
    }
    asking = false;
    update();
  }

  function fetch() {
    return post("/download", { set: chosenSet() });
  }

  function cancel() {
    if (stopping || asking) {
      return;
    }
    stopping = true;
    update();
    return post("/download/cancel", {});
  }

  async function use() {
    const name = chosenSet();
    if (known && name) {
      await app.refreshComboInNodes();
      useFiles(node, loader, name, known.sets[name]);
      update();
    }
  }

  function changed() {
    refused = "";
    update();
  }

  for (const name of ["preset", ...loader.roles]) {
    const input = widgetOf(node, name);
    if (input) {
      onChange(input, changed);
    }
  }
  after(node, "onConfigure", changed);
  api.addEventListener(EVENT, onDownload);
  api.addEventListener("reconnected", refresh);
  after(node, "onRemoved", () => {
    api.removeEventListener(EVENT, onDownload);
    api.removeEventListener("reconnected", refresh);
    fitting.disconnect();
  });
  update();
  refresh();
}

/**
 * Keep a panel as high as its content, and the node too, unless the user has enlarged the node.
 *
 * @param {any} node
 * @param {any} widget
 * @param {HTMLElement} content
 * @param {number} height at first
 */
function fit(node, widget, content, height) {
  widget.options.getMinHeight = () => height;
  const observer = new ResizeObserver(() => {
    const wanted = Math.min(MAX_HEIGHT, content.offsetHeight + PADDING);
    if (content.offsetHeight === 0 || Math.abs(wanted - height) < 2) {
      return;
    }
    const tight = node.size[1] - node.computeSize()[1] < 10;
    height = wanted;
    const needed = node.computeSize()[1];
    node.setSize([node.size[0], tight ? needed : Math.max(needed, node.size[1])]);
    node.setDirtyCanvas?.(true, true);
  });
  observer.observe(content);
  return observer;
}
