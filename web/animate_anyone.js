/** The page's side of the pack. Nodes work without it; it adds what people touch and look at. */

import { app } from "./lib/host.js";
import { addStyle } from "./lib/dom.js";
import { compare } from "./compare.js";
import { models } from "./models.js";
import { poseStage } from "./pose_stage.js";
import { preview } from "./preview.js";
import { windows } from "./windows.js";

/**
 * One part of the page's side.
 *
 * @typedef {object} Feature
 * @property {Record<string, (node: any) => void>} [nodes] by node id without the prefix: called for
 *   every new node of that kind
 * @property {Record<string, (node: any, name: string, data: any) => any>} [widgets] by input type
 */

/** @type {Feature[]} */
const FEATURES = [models, poseStage, windows, preview, compare];
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
