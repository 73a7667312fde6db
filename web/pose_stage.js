/** The pose stage of Retarget Pose and Load Keypoints. */

import { addPanel, after } from "./lib/host.js";
import { PoseStage } from "./pose_stage/panel.js";

const HEIGHT = 520;
const WIDTH = 380;
const UI = "aa_pose_stage"; // key of the node's answer

/** @type {import("./animate_anyone.js").Feature} */
export const feature = {
  widgets: {
    AA_POSE_STAGE(node, name) {
      const stage = new PoseStage(node, () => node.graph?.setDirtyCanvas?.(true, true));
      const widget = addPanel(node, name, stage.element, {
        height: HEIGHT,
        value: {
          get: () => stage.state.text,
          set: (/** @type {any} */ text) => {
            stage.state.text = text;
            stage.redraw();
          },
        },
      });
      after(node, "onExecuted", (message) => {
        const answer = message?.[UI]?.[0];
        if (answer) {
          node.properties[UI] = answer;
          stage.open(answer);
        }
      });
      after(node, "onConfigure", () => {
        if (node.properties?.[UI] && !stage.state.stage) {
          stage.open(node.properties[UI]);
        }
      });
      after(node, "onRemoved", () => stage.remove());
      return { widget, minWidth: WIDTH, minHeight: HEIGHT };
    },
  },
};
