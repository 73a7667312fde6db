/** The model panel's content, from a loader's widgets and the server's files. No elements here. */

import { LOADERS, absentChoices, canUse, choices, lacking, ownerOf, shownSet } from "./sets.js";
import { size, words } from "./words.js";

/** @typedef {import("./sets.js").Choice} Choice */
/** @typedef {import("./sets.js").Download} Download */
/** @typedef {import("./sets.js").Loader} Loader */
/** @typedef {import("./sets.js").ModelFile} ModelFile */
/** @typedef {import("./sets.js").ModelSet} ModelSet */
/** @typedef {import("./sets.js").Models} Models */
/** @typedef {import("./view.js").Shown} Shown */

/**
 * Return the content of the panel.
 *
 * @param {any} node
 * @param {Loader} loader
 * @param {Models | null} known
 * @param {{failure: string, refused: string, stopping: boolean}} page
 * @returns {Shown}
 */
export function describe(node, loader, known, { failure, refused, stopping }) {
  const nothing = { title: "", count: "", licence: "", remark: "", fetch: "", files: [], running: null };
  const rest = { stopping, blocked: false, use: false, again: Boolean(failure) };
  if (!known || failure) {
    return { ...nothing, ...rest, note: failure ? "" : words("asking"), problem: failure };
  }
  const chosen = loader.set(node);
  const absent = absentChoices(node, loader, known);
  const name = shownSet(known, chosen, absent);
  const set = known.sets[name];
  const missing = missingText(known, chosen, absent);
  if (!set) {
    return { ...nothing, ...rest, note: missing || words("detect"), problem: refused };
  }
  if (set.source !== "hub") {
    const text = words(set.source, { name, licence: set.licence });
    return { ...nothing, ...rest, note: missing || text, problem: refused };
  }
  const ownPair = loader === LOADERS.LoadDWPose && !choices(node, loader).length;
  return {
    ...nothing,
    ...rest,
    ...fetching(known, name, refused),
    note: missing || (ownPair ? words("ownPair") : ""),
    use: canUse(node, loader, set),
  };
}

/**
 * Return the content for a published set.
 *
 * @param {Models} known
 * @param {string} name
 * @param {string} refused
 */
function fetching(known, name, refused) {
  const set = known.sets[name];
  const rest = lacking(set);
  const running = known.download?.state === "running" ? known.download : null;
  const ours = running?.set === name;
  const last = known.download?.set === name && rest.files.length ? known.download : null;
  return {
    title: set.title,
    count: words("count", { there: set.files.length - rest.files.length, all: set.files.length }),
    licence: words("licence", { licence: set.licence }),
    files: ours ? set.files.map((file) => underWay(file, running)) : set.files,
    problem: refused || (last?.state === "failed" ? (last.error ?? "") : ""),
    remark: remark(known, set, ours, last),
    running: ours ? running : null,
    fetch:
      rest.files.length && !ours ? words(rest.begun ? "resume" : "download") + restText(rest) : "",
    blocked: Boolean(running),
  };
}

/**
 * @param {ModelFile} file
 * @param {Download} running
 * @returns {ModelFile}
 */
function underWay(file, running) {
  return file.name === running.file ? { ...file, state: "fetching" } : file;
}

/**
 * @param {Models} known
 * @param {ModelSet} set
 * @param {boolean} ours whether this set is being downloaded
 * @param {Download | null} last of this set
 */
function remark(known, set, ours, last) {
  if (ours) {
    return "";
  }
  if (known.download?.state === "running") {
    const { set: other } = known.download;
    return words("other", { title: known.sets[other]?.title ?? other });
  }
  if (last?.state === "cancelled") {
    return words("stopped");
  }
  const [vae, clip] = ["vae", "clip_vision"].map((role) => set.files.find((f) => f.role === role));
  const all = set.files.every((file) => file.state === "present");
  return all && vae && clip ? words("loaders", { vae: vae.name, clip: clip.name }) : "";
}

/** @param {{bytes: number, exact: boolean}} rest */
function restText({ bytes, exact }) {
  return ` (${exact ? size(bytes) : words("about", { size: size(bytes) })})`;
}

/**
 * Return which chosen files the server lacks, and whether they can be downloaded.
 *
 * @param {Models} known
 * @param {string} chosen
 * @param {Choice[]} absent
 */
function missingText(known, chosen, absent) {
  /** @type {Map<string | undefined, string[]>} */
  const byOwner = new Map();
  for (const choice of absent) {
    const owner = ownerOf(known, choice, chosen);
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), `${choice.role} ${choice.name}`]);
  }
  return [...byOwner]
    .map(([owner, files]) => {
      const hint = owner ? words("belong", { title: known.sets[owner].title }) : words("foreign");
      return `${words("absent", { files: files.join(", ") })} ${hint}`;
    })
    .join("\n");
}
