/** The pack's extension of the page. Nodes work without it; it adds their panels. */

import { app } from "./lib/host.js";
import { addStyle } from "./lib/dom.js";

/**
 * One part of the extension: what a file beside this one exports as `feature`.
 *
 * @typedef {object} Feature
 * @property {Record<string, (node: any) => void>} [nodes] by node id without the prefix: called for
 *   every new node of that kind
 * @property {Record<string, (node: any, name: string, data: any) => any>} [widgets] by input type
 */

// One line for each file that exports a feature. A node with several panels has them in this order.
const FILES = [
  import("./models.js"),
  import("./pose_stage.js"),
  import("./windows.js"),
  import("./preview.js"),
  import("./compare.js"),
];
/** @type {Feature[]} */
const FEATURES = (await Promise.all(FILES)).map(({ feature }) => feature);
const PREFIX = "AnimateAnyone_";

app.registerExtension({
  name: "AnimateAnyone",

  setup() {
    addStyle();
  },

  getCustomWidgets() {
    return Object.assign({}, ...FEATURES.map((feature) => feature.widgets ?? {}));
  },

  /** @param {any} node */
  nodeCreated(node) {
    const kind = node.comfyClass ?? "";
    if (!kind.startsWith(PREFIX)) {
      return;
    }
    for (const feature of FEATURES) {
      feature.nodes?.[kind.slice(PREFIX.length)]?.(node);
    }
  },
});
