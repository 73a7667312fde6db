/** Elements and the style sheet of this pack. */

const STYLE_ID = "animate-anyone-style";

/**
 * Return a new element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties] `class`, `data-*`, `aria-*` and `role` become
 *   attributes, functions whose name begins with "on" become listeners, all else is set as it is
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) {
      continue;
    }
    if (key.startsWith("on") && typeof value === "function") {
      element.addEventListener(key.slice(2), value);
    } else if (key === "class" || key === "role" || /^(data|aria)-/.test(key)) {
      element.setAttribute(key, value);
    } else {
      /** @type {any} */ (element)[key] = value;
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put the pack's style sheet into the page, once. */
export function addStyle() {
  if (document.getElementById(STYLE_ID)) {
    return;
  }
  const href = new URL("../animate_anyone.css", import.meta.url).href;
  document.head.append(el("link", { id: STYLE_ID, rel: "stylesheet", href }));
}

/**
 * Keep the canvas from handling events of an element inside a node: dragging, wheel, keys.
 *
 * @template {HTMLElement} T
 * @param {T} element
 * @returns {T}
 */
export function ownEvents(element) {
  for (const kind of ["pointerdown", "wheel", "keydown", "contextmenu", "dblclick"]) {
    element.addEventListener(kind, (event) => event.stopPropagation());
  }
  return element;
}
