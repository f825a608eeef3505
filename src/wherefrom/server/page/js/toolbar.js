// The tools above an answer: which tier, in what order, which filter, and what to do with all of it.

import { announce, fill, h, tell } from "./dom.js";
import { close, filterMenu, menuOf, select } from "./filter.js";
import { number } from "./figures.js";
import { icon, mark } from "./icons.js";
import { address, changed, go, route } from "./route.js";
import { saved } from "./saving.js";
import { TIER_NAMES } from "./searching.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Route} Route */
/** @typedef {import("./searching.js").Search} Search */

const MARKS = { same: "same", copies: "copy", parts: "partial", alike: "similar" };
const ORDERS = /** @type {const} */ (["best", "changed", "biggest", "smallest", "newest", "oldest"]);

/** @param {Search} search */
export function toolbar(search) {
  const tiers = h("nav.tier-nav", { "aria-label": words.tiers.nav });
  const sort = select("sort", ORDERS.map((name) => [name, words.sort[name]]), "best");
  sort.addEventListener("change", () => go(changed({ sort: sort.value === "best" ? undefined : sort.value }), { replace: true }));
  const filter = h("span");
  const more = menuOf(
    h("span", {}, words.more),
    "down",
    h(
      "div.menu-body.more",
      {},
      h("button.item", { type: "button", onclick: () => void share(search).finally(() => close(more)) }, icon("share"), words.share.label),
      h("button.item", { type: "button", onclick: () => (close(more), void saved(search, "json")) }, icon("save"), words.save.json),
      h("button.item", { type: "button", onclick: () => (close(more), void saved(search, "csv")) }, icon("save"), words.save.csv),
    ),
  );
  let filtered = "";
  const element = h(
    "div.toolbar",
    {},
    tiers,
    h("div.tools", {}, h("label.sort", { for: "sort" }, h("span.unseen", {}, words.sort.label), icon("sort"), sort), filter, more),
  );
  return {
    element,
    /** @param {Search} found @param {Route} now */
    show(found, now) {
      sort.value = now.sort ?? "best";
      const state = JSON.stringify([now.filter, now.sure]);
      if (filtered !== state) {
        filtered = state;
        const apply = (/** @type {string|undefined} */ text, /** @type {string|undefined} */ sure) =>
          go(changed({ filter: text, sure, tier: undefined, match: undefined }));
        fill(filter, filterMenu(now, { scores: true, apply }));
      }
      fill(tiers, ...choices(found, now));
      const total = TIER_NAMES.reduce((sum, name) => sum + found.tiers[name].total, 0);
      element.hidden = !total && !now.filter && !now.sure;
    },
  };
}

/** @param {Search} search @param {Route} now */
function choices(search, now) {
  const total = TIER_NAMES.reduce((sum, name) => sum + search.tiers[name].total, 0);
  const all = h("a.tier-link", { href: address({ ...now, tier: undefined }), "aria-current": !now.tier && "true" }, words.tiers.all, h("span.count", {}, number(total)));
  return [
    all,
    ...TIER_NAMES.filter((name) => search.tiers[name].total).map((name) =>
      h(
        "a.tier-link",
        { href: address({ ...now, tier: name }), "aria-current": now.tier === name && "true", title: words.tiers[name].name },
        mark(MARKS[name]),
        words.tiers[name].short,
        h("span.count", {}, number(search.tiers[name].total)),
      ),
    ),
  ];
}

/** A link that lasts where there is one: the very file in the collection, an address; else the token.
 * @param {Search} search */
async function share(search) {
  const now = route();
  const same = search.best?.kind === "identical" && !now.region ? search.best.id : undefined;
  const lasts = Boolean(now.url || now.id || same);
  const wanted = same && !now.url ? { ...now, token: undefined, upload: undefined, id: now.id ?? same } : now;
  const link = new URL(address(wanted), location.href).href;
  const said = lasts ? words.share.copied : words.share.copiedShort;
  try {
    if (navigator.share && matchMedia("(pointer: coarse)").matches) await navigator.share({ title: words.name, url: link });
    else {
      await copyText(link);
      tell("notice", { text: said });
    }
  } catch {
    announce(words.share.failed);
    tell("notice", { text: words.share.failed });
  }
}

/** Put text on the clipboard, also where the address is not a secure one. @param {string} text */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = h("textarea.unseen", { readonly: true, "aria-hidden": "true" }, text);
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}
