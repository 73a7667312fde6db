/** Words of the widgets in the page's language. */

import { language } from "./host.js";

/**
 * Return a function that gives the text of a key, with `{name}` replaced.
 *
 * @template {Record<string, string>} T
 * @param {{en: T, zh: {[K in keyof T]: string}}} tables
 * @returns {(key: keyof T, values?: Record<string, string | number>) => string}
 */
export function texts(tables) {
  return (key, values = {}) => {
    const table = language().startsWith("zh") ? tables.zh : tables.en;
    return table[key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  };
}
