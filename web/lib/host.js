/**
 * The interface to ComfyUI's page: the only file that imports the page's own modules.
 *
 * Works with front ends 1.27 (ComfyUI 0.3.64) and 1.49 (0.33), with nodes on the canvas and with
 * nodes as elements (Nodes 2.0). Hence panels are DOM widgets, and nothing is drawn on the canvas.
 */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

export { app, api };

/** A file in the input, output or temp folder, as named in a node's `ui` answer. */
/** @typedef {{filename: string, subfolder: string, type: string}} ShownFile */

/**
 * Put an element into a node, below its widgets.
 *
 * @param {any} node of the graph
 * @param {string} name of the widget; unique in the node
 * @param {HTMLElement} element
 * @param {{height?: number, value?: {get: () => string, set: (value: string) => void}}} options
 *   height in pixels of the canvas; value makes the panel an input of the node, saved with the
 *   workflow and sent with the prompt
 */
export function addPanel(node, name, element, { height = 120, value } = {}) {
  const options = {
    getMinHeight: () => height,
    hideOnZoom: false,
    serialize: Boolean(value),
    ...(value ? { getValue: value.get, setValue: value.set } : {}),
  };
  const widget = node.addDOMWidget(name, value ? "AA_VALUE" : "AA_PANEL", element, options);
  widget.serialize = Boolean(value);
  return widget;
}

/**
 * Return a node's widget of this name, if it has one.
 *
 * @param {any} node
 * @param {string} name
 */
export function widgetOf(node, name) {
  return node.widgets?.find((/** @type {any} */ widget) => widget.name === name);
}

/**
 * Call a function after a method of one node, with the method's arguments.
 *
 * @param {any} node
 * @param {"onExecuted" | "onRemoved" | "onConfigure" | "onConnectionsChange"} method
 * @param {(...args: any[]) => void} then
 */
export function after(node, method, then) {
  const before = node[method];
  node[method] = function (/** @type {any[]} */ ...args) {
    const result = before?.apply(this, args);
    then.apply(this, args);
    return result;
  };
}

/**
 * Call a function after the value of a widget has changed.
 *
 * @param {any} widget
 * @param {() => void} then
 */
export function onChange(widget, then) {
  const before = widget.callback;
  widget.callback = function (/** @type {any[]} */ ...args) {
    const result = before?.apply(this, args);
    then();
    return result;
  };
}

/**
 * Return the address of a file that a node has shown.
 *
 * @param {ShownFile} file
 */
export function addressOf(file) {
  const query = new URLSearchParams({ ...file });
  return api.apiURL(`/view?${query}`);
}

/**
 * Request one of the pack's own routes; an error has the server's text.
 *
 * @param {string} path below /animate_anyone
 * @param {any} [body] sent as JSON by POST; without it the request is a GET
 */
export async function request(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" } };
  const options = body === undefined ? {} : { ...post, body: JSON.stringify(body) };
  const answer = await api.fetchApi(`/animate_anyone${path}`, options);
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(value.error ?? `${answer.status} ${answer.statusText}`);
  }
  return value;
}

/** Return the language of the page, such as "en" or "zh". */
export function language() {
  const chosen = app.extensionManager?.setting?.get?.("Comfy.Locale");
  return String(chosen ?? navigator.language ?? "en");
}

/**
 * Return the server's names of a node: "5" in the workflow itself, "12:5" inside of subgraph 12,
 * and several where that subgraph is used several times.
 *
 * @param {any} node
 * @returns {string[]}
 */
export function namesOf(node) {
  const { graph } = node;
  return graph ? waysTo(graph, graph.rootGraph ?? graph).map((way) => `${way}${node.id}`) : [];
}

/**
 * @param {any} wanted graph
 * @param {any} graph in which to look for it
 * @param {string} [way] the ids on the way to this graph
 * @returns {string[]}
 */
function waysTo(wanted, graph, way = "") {
  if (graph === wanted) {
    return [way];
  }
  return graph._nodes.flatMap((/** @type {any} */ node) =>
    node.subgraph ? waysTo(wanted, node.subgraph, `${way}${node.id}:`) : [],
  );
}

/**
 * Queue this node and the nodes that it needs, and no other output node.
 *
 * @param {any} node an output node
 */
export function runOnly(node) {
  return app.queuePrompt(0, 1, namesOf(node));
}
