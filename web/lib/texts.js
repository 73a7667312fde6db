/** Texts of the panels in the page's language. */

import { language } from "./host.js";

/**
 * Return a function from a key to its text, in which `{name}` is replaced.
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
