// The filter: a few fields for everybody, and the filter language for what is left.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { words } from "./words.js";

const FORMATS = ["jpeg", "png", "webp", "gif", "avif", "heif", "tiff", "bmp", "svg", "jxl"];

/** The terms that have a field of their own: how each is written, and read back. */
const TERMS = {
  format: { written: (/** @type {string} */ v) => `type:${v}`, read: /(?:^|\s)type:([a-z0-9]+)(?=\s|$)/ },
  width: { written: (/** @type {string} */ v) => `width>=${v}`, read: /(?:^|\s)width>=(\d+)(?=\s|$)/ },
  since: { written: (/** @type {string} */ v) => `added>=${v}`, read: /(?:^|\s)added>=([\d-]+)(?=\s|$)/ },
  place: { written: (/** @type {string} */ v) => `uri:${quoted(v)}`, read: /(?:^|\s)uri:"((?:[^"\\]|\\.)*)"(?=\s|$)/ },
  creator: { written: (/** @type {string} */ v) => `creator:${quoted(v)}`, read: /(?:^|\s)creator:"((?:[^"\\]|\\.)*)"(?=\s|$)/ },
};

/** @typedef {keyof typeof TERMS} TermName */

/** The filter that fields amount to. @param {Partial<Record<TermName, string>>} fields @param {string} rest */
export function written(fields, rest) {
  const terms = Object.entries(fields)
    .filter(([, value]) => value)
    .map(([name, value]) => TERMS[/** @type {TermName} */ (name)].written(/** @type {string} */ (value)));
  const own = rest.trim();
  // What somebody wrote may hold "or", which binds less than the rest.
  return [...terms, own && terms.length && /\sor\s/i.test(own) ? `(${own})` : own].filter(Boolean).join(" ");
}

/**
 * The fields that a filter amounts to, and what has no field; all of it where brackets or "or" are in it.
 * @param {string} text @returns {{fields: Partial<Record<TermName, string>>, rest: string}}
 */
export function read(text) {
  if (/\(|\)|\bor\b|\bnot\b/i.test(text)) return { fields: {}, rest: text };
  /** @type {Partial<Record<TermName, string>>} */
  const fields = {};
  let rest = text;
  for (const [name, { read: form }] of Object.entries(TERMS)) {
    const found = form.exec(rest);
    if (!found) continue;
    fields[/** @type {TermName} */ (name)] = found[1].replace(/\\(.)/g, "$1");
    rest = rest.replace(found[0], " ");
  }
  return { fields, rest: rest.trim() };
}

/**
 * A menu of the filter. `apply` gets the text and the least score.
 * @param {{filter?: string, sure?: string}} now
 * @param {{scores: boolean, apply: (filter: string|undefined, sure: string|undefined) => void}} how
 */
export function filterMenu(now, { scores, apply }) {
  const { fields, rest } = read(now.filter ?? "");
  const count = Object.keys(fields).length + (rest ? 1 : 0) + (now.sure ? 1 : 0);
  const format = select("filter-format", [["", words.filter.any], ...FORMATS.map((name) => [name, name.toUpperCase()])], fields.format);
  const sure = select(
    "filter-sure",
    [["", words.filter.sureAll], ["97", words.filter.sureVery], ["99", words.filter.sureMost]],
    now.sure,
  );
  const width = h("input", { id: "filter-width", type: "number", min: 1, max: 100000, step: 1, inputmode: "numeric", value: fields.width ?? "" });
  const since = h("input", { id: "filter-since", type: "date", value: fields.since ?? "" });
  const place = h("input", { id: "filter-place", type: "text", dir: "auto", autocomplete: "off", value: fields.place ?? "" });
  const creator = h("input", { id: "filter-creator", type: "text", dir: "auto", autocomplete: "off", value: fields.creator ?? "" });
  const text = h("input", { id: "filter-text", type: "text", spellcheck: "false", autocomplete: "off", placeholder: words.filter.textHint, value: rest });
  const form = h(
    "form.menu-body.filter",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const chosen = { format: format.value, width: width.value, since: since.value, place: place.value.trim(), creator: creator.value.trim() };
        close(menu);
        apply(written(chosen, text.value) || undefined, sure.value || undefined);
      },
    },
    scores && field(words.filter.sure, sure),
    field(words.filter.format, format),
    field(words.filter.width, width),
    field(words.filter.since, since),
    field(words.filter.place, place),
    field(words.filter.creator, creator),
    field(words.filter.text, text),
    h(
      "p.actions",
      {},
      h("button.button.primary", {}, words.filter.apply),
      h("button.button", { type: "button", onclick: () => (close(menu), apply(undefined, undefined)) }, words.filter.clear),
    ),
  );
  const menu = menuOf(h("span", {}, words.filter.label, count > 0 && h("span.count", {}, count)), "filter", form);
  return menu;
}

/**
 * A button that opens something below it; it closes on Escape, and when something else is pressed.
 * @param {Node} label @param {import("./icons.js").IconName} image @param {HTMLElement} body
 */
export function menuOf(label, image, body) {
  const menu = h("details.menu", {}, h("summary.button", {}, icon(image), label), body);
  const outside = (/** @type {Event} */ event) => {
    if (!menu.isConnected || !menu.contains(/** @type {Node} */ (event.target))) close(menu);
  };
  menu.addEventListener("toggle", () => {
    if (menu.open) document.addEventListener("pointerdown", outside);
    else document.removeEventListener("pointerdown", outside);
  });
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    close(menu);
    menu.querySelector("summary")?.focus();
  });
  return menu;
}

/** @param {HTMLDetailsElement} menu */
export function close(menu) {
  menu.open = false;
}

/** A choice among few. @param {string} id @param {string[][]} options @param {string|undefined} value */
export function select(id, options, value) {
  return h("select", { id }, ...options.map(([name, said]) => h("option", { value: name, selected: name === (value ?? "") }, said)));
}

/** A label and its field. @param {string} said @param {HTMLElement} input */
export const field = (said, input) => h("p.field", {}, h("label", { for: input.id }, said), input);

/** @param {string} value */
function quoted(value) {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}
