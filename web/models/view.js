/** The elements of the model panel; they are created once and then updated. */

import { el, ownEvents } from "../lib/dom.js";
import { size, words } from "./words.js";

/** @typedef {import("./sets.js").ModelFile} ModelFile */
/** @typedef {import("./sets.js").Download} Download */
/**
 * @typedef {object} Shown the content of the panel
 * @property {string} title
 * @property {string} count
 * @property {string} licence
 * @property {string} note
 * @property {string} problem
 * @property {string} remark
 * @property {ModelFile[]} files
 * @property {Download | null} running of this set
 * @property {boolean} stopping
 * @property {string} fetch label of the button, or ""
 * @property {boolean} blocked whether it cannot be pressed now
 * @property {boolean} use
 * @property {boolean} again
 */
/** @typedef {{fetch: () => void, cancel: () => void, use: () => void, again: () => void}} Actions */

/**
 * Return the panel's element and a function that shows content in it.
 *
 * @param {Actions} actions
 */
export function modelsView(actions) {
  const title = el("strong", { class: "aa-grow" });
  const count = el("span", { class: "aa-models-count" });
  const licence = el("div", { class: "aa-models-quiet" });
  const note = el("div", { class: "aa-models-note", role: "status" });
  const remark = el("div", { role: "status" });
  const problem = el("div", { class: "aa-models-problem", role: "alert" });
  const list = el("ul", { class: "aa-models-files" });
  const bar = el("progress", { "aria-label": words("progress"), max: 1 });
  const amount = el("span", { class: "aa-grow" });
  const cancel = el("button", { type: "button", onclick: actions.cancel }, words("cancel"));
  const fetch = el("button", { type: "button", onclick: actions.fetch });
  const use = el("button", { type: "button", onclick: actions.use }, words("use"));
  const again = el("button", { type: "button", onclick: actions.again }, words("again"));
  const running = el(
    "div",
    { class: "aa-models-running" },
    bar,
    el("div", { class: "aa-row" }, amount, cancel),
  );
  const buttons = el("div", { class: "aa-row" }, fetch, use, again);
  const head = el("div", { class: "aa-row" }, title, count);
  const content = el(
    "div",
    { class: "aa-models-content" },
    ...[note, head, licence, list, remark, problem, running, buttons],
  );
  const element = el(
    "div",
    { class: "aa-panel aa-models", role: "group", "aria-label": words("label") },
    content,
  );
  let rows = "";

  /** @param {Shown} shown */
  function show(shown) {
    const active = element.contains(document.activeElement) ? document.activeElement : null;
    write(title, shown.title);
    write(count, shown.count);
    write(licence, shown.licence);
    write(note, shown.note);
    write(remark, shown.remark);
    write(problem, shown.problem);
    head.hidden = !shown.title;
    const files = JSON.stringify(shown.files);
    if (files !== rows) {
      rows = files;
      list.replaceChildren(...shown.files.map(row));
    }
    list.hidden = shown.files.length === 0;
    running.hidden = !shown.running;
    if (shown.running) {
      bar.value = shown.running.total ? shown.running.done / shown.running.total : 0;
      write(amount, progressText(shown.running, shown.stopping));
      amount.title = shown.running.file;
      cancel.setAttribute("aria-disabled", String(shown.stopping));
    }
    write(fetch, shown.fetch);
    fetch.disabled = shown.blocked;
    use.hidden = !shown.use;
    again.hidden = !shown.again;
    buttons.hidden = fetch.hidden && use.hidden && again.hidden;
    keepFocus(active, [cancel, fetch, use, again]);
  }

  return { element: ownEvents(element), content, show };
}

/**
 * Put a text into an element; without a text the element is hidden.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
  element.hidden = !text;
}

/**
 * Move the focus from a button that has disappeared to the button in its place.
 *
 * @param {Element | null} active
 * @param {HTMLButtonElement[]} buttons
 */
function keepFocus(active, buttons) {
  if (active && !active.checkVisibility()) {
    const next = buttons.find((button) => button.checkVisibility() && !button.disabled);
    next?.focus({ preventScroll: true });
  }
}

/** @param {ModelFile} file */
function row(file) {
  const shown = file.name.split("/").pop() ?? "";
  const place = `models/${file.folder}/${file.name}`;
  const title = words("byHand", { place, licence: file.licence, address: file.address });
  const link = { href: file.address, target: "_blank", rel: "noreferrer", title };
  return el(
    "li",
    { "data-state": file.state },
    el("span", { class: "aa-models-state" }, stateText(file)),
    file.state === "present" ? el("span", { title }, shown) : el("a", link, shown),
    el("span", { class: "aa-models-size" }, sizeText(file)),
  );
}

/** @param {ModelFile} file */
function sizeText(file) {
  return file.size === null ? words("about", { size: size(file.estimate) }) : size(file.size);
}

/** @param {ModelFile} file */
function stateText(file) {
  if (file.state !== "partial") {
    return words(file.state);
  }
  return file.size ? `${Math.floor((100 * file.bytes_there) / file.size)} %` : size(file.bytes_there);
}

/**
 * @param {Download} download
 * @param {boolean} stopping
 */
function progressText(download, stopping) {
  if (stopping) {
    return words("stopping");
  }
  if (download.checking) {
    return words("checking", { file: download.file.split("/").pop() ?? "" });
  }
  const values = { done: size(download.done), total: size(download.total) };
  const parts = [words(download.exact ? "amount" : "amountAbout", values)];
  if (download.speed > 0) {
    parts.push(words("rate", { size: size(Math.round(download.speed)) }));
    const minutes = (download.total - download.done) / download.speed / 60;
    if (minutes >= 1) {
      parts.push(words("minutes", { minutes: Math.round(minutes) }));
    }
  }
  return parts.join(", ");
}
