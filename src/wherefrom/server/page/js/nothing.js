// Nothing found: why, and what to try.

import { h } from "./dom.js";
import { address, changed } from "./route.js";
import { words } from "./words.js";

const PLAIN = 30; // quality of 100 below which a picture has too little in it

/**
 * @param {import("./searching.js").Search} search @param {import("./types.js").Route} now
 * @returns {HTMLElement}
 */
export function nothingFound(search, now) {
  const said = words.nothing;
  const notes = search.query?.notes ?? [];
  const tries = [
    now.filter && h("a", { href: changed({ filter: undefined }) }, said.filter),
    now.sure && h("a", { href: changed({ sure: undefined }) }, said.sure),
    now.region && h("a", { href: changed({ region: undefined }) }, said.whole),
    !now.region && said.part,
    (search.query?.quality ?? 100) >= PLAIN && said.larger,
    h("a", { href: address({ view: "add", collection: now.collection }) }, said.add),
  ].filter(Boolean);
  return h(
    "div.nothing",
    {},
    h("h1", {}, said.title),
    search.tiers.alike.total > 0 && h("p.lead", {}, said.alike),
    h(
      "div.nothing-why",
      {},
      h("section", {}, h("h2", {}, said.why), ...notes.map((note) => h("p", {}, note))),
      h("section", {}, h("h2", {}, said.tries), h("ul", {}, ...tries.map((one) => h("li", {}, one)))),
    ),
  );
}
