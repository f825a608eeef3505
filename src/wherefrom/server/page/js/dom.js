// Elements made in one expression, and what is said to those who do not see them.

import { plain } from "./plain.js";

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * An element: `h("a.card", {href: "#", onclick: open}, "Open")`. Functions become listeners, `true` an empty
 * attribute; null, undefined and false leave an attribute out. Text is always text, never markup, and shown
 * `plain`: so are the attributes that people see or hear.
 * @param {string} tag  name, then classes behind dots
 * @param {Record<string, any>} [props]
 * @param {...(Child|Child[])} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) set(element, key, value);
  element.append(...kept(children));
  return element;
}

/**
 * An SVG element, made as `h` does.
 * @param {string} name @param {Record<string, any>} [props] @param {...(Child|Child[])} children
 * @returns {any}
 */
export function svg(name, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(props)) set(element, key, value);
  element.append(...kept(children));
  return element;
}

/** Give an element these children and no others. @param {Element} element @param {...(Child|Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren(...kept(children));
  return element;
}

/** Set custom properties or styles by script, which a strict policy allows. @param {any} element @param {Record<string, string|number>} values */
export function styled(element, values) {
  for (const [key, value] of Object.entries(values)) element.style.setProperty(key, String(value));
  return element;
}

/** Text of unknown direction, set apart from what is around it. @param {string} text @param {string} [tag] */
export const bdi = (text, tag = "bdi") => h(tag, { dir: "auto" }, text);

/** Say something to a screen reader, without moving the focus. @param {string} text @param {boolean} [urgent] */
export function announce(text, urgent = false) {
  const region = document.getElementById(urgent ? "wherefrom-alert" : "wherefrom-status");
  if (!region) return;
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = plain(text);
  });
}

/** Tell the page something. @param {string} name @param {unknown} [detail] */
export function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`wherefrom:${name}`, { detail }));
}

/** Hear what is told, until the signal aborts. @param {string} name @param {(detail: any) => void} heard @param {AbortSignal} [signal] */
export function hear(name, heard, signal) {
  document.addEventListener(`wherefrom:${name}`, (event) => heard(/** @type {CustomEvent} */ (event).detail), { signal });
}

/** A stylesheet that is needed only now; resolves once it is there. @param {string} name @returns {Promise<void>} */
export function stylesheet(name) {
  const href = new URL(`../css/${name}.css`, import.meta.url).href;
  const known = [...document.styleSheets].some((sheet) => sheet.href === href);
  if (known) return Promise.resolve();
  return new Promise((resolve) => {
    const link = h("link", { rel: "stylesheet", href, onload: () => resolve(), onerror: () => resolve() });
    document.head.append(link);
  });
}

/** Whether the person asked for less movement. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Hand a file to the person. @param {string} name @param {string} type @param {string} text */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const SEEN = new Set(["title", "alt", "placeholder", "aria-label", "aria-description", "aria-valuetext"]);

/** @param {any} element @param {string} key @param {any} value */
function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(key.slice(2), value);
  else if (key === "value") element.value = value;
  else element.setAttribute(key, value === true ? "" : SEEN.has(key) ? plain(String(value)) : String(value));
}

/** @param {(Child|Child[])[]} children */
function kept(children) {
  return /** @type {(Node|string)[]} */ (
    children
      .flat()
      .filter((child) => child !== null && child !== undefined && child !== false)
      .map((child) => (child instanceof Node ? child : plain(String(child))))
  );
}
