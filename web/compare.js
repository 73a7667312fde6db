/** The panel of Compare Clips: a clip beside reference and another clip, in three views. */

import { addPanel, addressOf, after } from "./lib/host.js";
import { ComparePlayer, VIEWS } from "./views/compare_player.js";

const HEIGHT = 240; // of the canvas
const VIEW = "aa_compare_view"; // in the node's properties
const UI = "aa_compare"; // key of the node's answer, and in its properties

/** @type {import("./animate_anyone.js").Feature} */
export const feature = { nodes: { Compare: addCompare } };

/**
 * Give a node the player of its comparison.
 *
 * @param {any} node
 */
function addCompare(node) {
  const player = new ComparePlayer((chosen) => {
    node.properties[VIEW] = chosen;
  });
  addPanel(node, "compare", player.element, { height: HEIGHT });

  /** @param {any} answer of a run */
  function show(answer) {
    const { filename, subfolder, type } = answer;
    player.show(addressOf({ filename, subfolder, type }), answer);
  }

  function recall() {
    player.choose(node.properties?.[VIEW] ?? VIEWS[0]);
    if (node.properties?.[UI] && !player.shown) {
      show(node.properties[UI]);
    }
  }

  after(node, "onConfigure", recall);
  after(node, "onExecuted", (/** @type {any} */ message) => {
    const answer = message?.[UI]?.[0];
    if (answer) {
      node.properties[UI] = answer;
      show(answer);
    }
  });
  after(node, "onRemoved", () => player.stop());
  recall();
}
