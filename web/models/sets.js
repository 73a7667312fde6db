/** The files that a loader's widgets choose, and which of them the server has. No elements here. */

import { widgetOf } from "../lib/host.js";

/** @typedef {"present" | "partial" | "wrong" | "missing" | "fetching"} FileState */
/**
 * @typedef {object} ModelFile as the server describes it
 * @property {string} role the widget in which it is chosen
 * @property {string} folder below models
 * @property {string} name in the folder, as the widget lists it
 * @property {number | null} size in bytes
 * @property {number} estimate in bytes: the size, or the typical size of such files
 * @property {FileState} state
 * @property {number} bytes_there
 * @property {string} licence
 * @property {string} address
 */
/** @typedef {{title: string, licence: string, source: "pack" | "hub" | "own", files: ModelFile[]}} ModelSet */
/**
 * @typedef {object} Download
 * @property {string} set
 * @property {"running" | "done" | "cancelled" | "failed"} state
 * @property {string} file
 * @property {number} done in bytes
 * @property {number} total in bytes
 * @property {boolean} exact
 * @property {boolean} checking
 * @property {number} speed in bytes a second
 * @property {string | null} error
 */
/** @typedef {{sets: Record<string, ModelSet>, download: Download | null}} Models */
/** @typedef {{role: string, name: string}} Choice */

/** The loader nodes: which widgets choose files, and which set the files belong to. */
export const LOADERS = {
  LoadModels: {
    roles: ["denoiser", "motion", "reference_net", "pose_guider"],
    empty: "(none)",
    set: (/** @type {any} */ node) => String(widgetOf(node, "preset")?.value ?? ""),
    height: 55, // of the canvas, as for aa-mini
  },
  LoadDWPose: {
    roles: ["detector", "estimator"],
    empty: "aa-mini",
    set: () => "dwpose",
    height: 161,
  },
};
/** @typedef {(typeof LOADERS)[keyof typeof LOADERS]} Loader */

/** @param {string} name with the separators of any system */
const plain = (name) => name.replaceAll("\\", "/");
/** @param {string} name */
const base = (name) => plain(name).split("/").pop() ?? "";

/**
 * Return the files that are chosen, by the widgets that choose them.
 *
 * @param {any} node
 * @param {Loader} loader
 * @returns {Choice[]}
 */
export function choices(node, loader) {
  return loader.roles
    .map((role) => ({ role, name: String(widgetOf(node, role)?.value ?? loader.empty) }))
    .filter((choice) => choice.name !== loader.empty);
}

/**
 * Return the chosen files that the server does not have.
 *
 * @param {any} node
 * @param {Loader} loader
 * @param {Models} models
 */
export function absentChoices(node, loader, models) {
  return choices(node, loader).filter(({ role, name }) => {
    const options = widgetOf(node, role)?.options?.values;
    const listed = Array.isArray(options) && options.map(plain).includes(plain(name));
    // Load DWPose offers the public pair even before it is downloaded.
    const known = models.sets.dwpose?.files.find((file) => file.role === role && file.name === name);
    return known ? known.state !== "present" && known.state !== "wrong" : !listed;
  });
}

/**
 * Return the name of the set that a missing file belongs to, if there is one.
 *
 * @param {Models} models
 * @param {Choice} choice
 * @param {string} preferred the set that is chosen
 */
export function ownerOf(models, choice, preferred) {
  const sets = Object.entries(models.sets).sort(([name]) => (name === preferred ? -1 : 1));
  /** @param {(file: ModelFile, set: string) => boolean} same */
  const find = (same) =>
    sets.find(([name, set]) =>
      set.files.some((file) => file.role === choice.role && same(file, name)),
    )?.[0];
  return (
    find((file) => file.name === plain(choice.name)) ??
    find((file, set) => set === preferred && base(file.name) === base(choice.name))
  );
}

/**
 * Return the set to show: the set of a file that is chosen and missing, otherwise the chosen set.
 *
 * @param {Models} models
 * @param {string} chosen
 * @param {Choice[]} absent
 */
export function shownSet(models, chosen, absent) {
  return absent.map((choice) => ownerOf(models, choice, chosen)).find(Boolean) ?? chosen;
}

/**
 * Return how much of a set is still to be downloaded.
 *
 * @param {ModelSet} set
 */
export function lacking(set) {
  const files = set.files.filter((file) => file.state !== "present");
  return {
    files,
    bytes: files.reduce((sum, file) => sum + Math.max(0, file.estimate - kept(file)), 0),
    exact: files.every((file) => file.size !== null),
    begun: files.some((file) => file.state === "partial"),
  };
}

/** @param {ModelFile} file */
const kept = (file) => (file.state === "partial" ? file.bytes_there : 0);

/**
 * Return whether the widgets choose other files than those of a set that is present.
 *
 * @param {any} node
 * @param {Loader} loader
 * @param {ModelSet} set
 */
export function canUse(node, loader, set) {
  const files = set.files.filter((file) => loader.roles.includes(file.role));
  const there = files.length > 0 && files.every((file) => file.state === "present");
  return there && files.some((file) => !isChosen(node, file));
}

/**
 * @param {any} node
 * @param {ModelFile} file
 */
function isChosen(node, file) {
  return plain(String(widgetOf(node, file.role)?.value ?? "")) === file.name;
}

/**
 * Choose the files of a set in a loader's widgets.
 *
 * @param {any} node
 * @param {Loader} loader
 * @param {string} name of the set
 * @param {ModelSet} set
 */
export function useFiles(node, loader, name, set) {
  const preset = widgetOf(node, "preset");
  if (preset && preset.value !== name) {
    choose(node, preset, name);
  }
  for (const file of set.files.filter((one) => loader.roles.includes(one.role))) {
    const widget = widgetOf(node, file.role);
    const options = widget?.options?.values;
    const listed = Array.isArray(options) && options.find((one) => plain(one) === file.name);
    if (widget) {
      choose(node, widget, listed || file.name);
    }
  }
}

/**
 * @param {any} node
 * @param {any} widget
 * @param {string} value
 */
function choose(node, widget, value) {
  widget.value = value;
  widget.callback?.(value);
  node.setDirtyCanvas?.(true, true);
}
