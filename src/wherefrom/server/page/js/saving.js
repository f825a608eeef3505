// Saving an answer: all of its matches, as JSON or as a table.

import { save, tell } from "./dom.js";
import { troubled } from "./api.js";
import { place } from "./figures.js";
import { TIER_NAMES } from "./searching.js";
import { allEdits, words } from "./words.js";

/** @typedef {import("./searching.js").Search} Search */
/** @typedef {import("./types.js").Match} Match */

/** @param {Search} search @param {"json"|"csv"} form */
export async function saved(search, form) {
  try {
    if (TIER_NAMES.some((name) => !search.tiers[name].complete)) tell("notice", { text: words.save.saving });
    for (const name of TIER_NAMES) while ((await search.more(name)).length);
    const matches = search.all();
    const name = `wherefrom-${new Date().toISOString().slice(0, 16).replace(":", "")}`;
    if (form === "json") save(`${name}.json`, "application/json", json(search, matches));
    else save(`${name}.csv`, "text/csv;charset=utf-8", table(matches));
    tell("notice", { text: words.save.saved(matches.length) });
  } catch (error) {
    troubled(error);
  }
}

/** The answer in the shape that the API gives it. @param {Search} search @param {Match[]} matches */
function json(search, matches) {
  const { token: _, ...query } = search.query ?? {};
  const bare = matches.map(({ token: _token, ...match }) => match);
  return `${JSON.stringify({ query, matches: bare }, null, 2)}\n`;
}

const COLUMNS = /** @type {[string, (match: Match) => string|number|null|undefined][]} */ ([
  ["id", (match) => match.id],
  ["kind", (match) => match.kind],
  ["score", (match) => match.score],
  ["edits", (match) => allEdits(match.evidence.edits).join("; ")],
  ["width", (match) => match.width],
  ["height", (match) => match.height],
  ["format", (match) => match.format],
  ["bytes", (match) => match.bytes],
  ["first_seen", (match) => match.sightings.map((one) => one.first_seen).sort()[0]],
  ["places", (match) => match.sightings.map((one) => place(one.uri).whole).join(" ")],
  ["pages", (match) => match.sightings.map((one) => one.page).filter(Boolean).join(" ")],
  ["creator", (match) => match.credit.creator],
  ["credit_line", (match) => match.credit.credit_line],
  ["copyright", (match) => match.credit.copyright],
]);

/** Rows as RFC 4180 has them; what a spreadsheet would run as a formula is marked as text. @param {Match[]} matches */
export function table(matches) {
  const rows = [COLUMNS.map(([name]) => name), ...matches.map((match) => COLUMNS.map(([, value]) => value(match)))];
  return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** @param {unknown} value */
function cell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
