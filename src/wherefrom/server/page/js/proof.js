// `<wherefrom-proof>`: one match and how we know, over the answer it belongs to.

import { bdi, fill, h, stylesheet, tell } from "./dom.js";
import { closer } from "./camera.js";
import { seenAt } from "./cards.js";
import { score } from "./figures.js";
import { icon, mark } from "./icons.js";
import { facts } from "./prooffacts.js";
import { HOWS, view } from "./proofviews.js";
import { proofWords } from "./proofwords.js";
import { changed, go, route } from "./route.js";
import { meaning, words } from "./words.js";

/** @typedef {import("./searching.js").Search} Search */
/** @typedef {import("./types.js").Match} Match */
/** @typedef {import("./types.js").Route} Route */

await stylesheet("proof");

class Proof extends HTMLElement {
  #dialog = h("dialog.proof", { "aria-labelledby": "proof-title", onclose: () => this.#closed() });
  #stage = h("div.stage-view");
  #tabs = h("div.tabs", { role: "tablist", "aria-label": proofWords.views });
  #facts = h("div.proof-facts", { tabindex: "0", role: "region", "aria-label": proofWords.facts });
  #head = h("header.dialog-head");
  #shown = "";
  #how = "";
  #openedHere = false;
  #leaving = false;
  /** What belongs to the match that is shown, and stops with it. */
  #here = new AbortController();

  connectedCallback() {
    if (this.firstChild) return;
    this.append(this.#dialog);
    fill(this.#dialog, this.#head, h("div.proof-body", {}, h("div.stage", {}, this.#tabs, this.#stage), this.#facts));
    this.#tabs.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.#dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === this.#dialog && this.#dialog.close());
  }

  disconnectedCallback() {
    this.#here.abort();
  }

  /** @param {Search} search @param {Route} now @param {boolean} openedHere  by a press in this page */
  async show(search, now, openedHere) {
    const match = await found(search, now.match ?? "");
    if (route().match !== now.match) return;
    if (!match) {
      tell("notice", { text: proofWords.unknown });
      go(changed({ match: undefined, how: undefined }), { replace: true });
      return;
    }
    if (!this.#dialog.open) {
      this.#openedHere = openedHere;
      this.#dialog.showModal();
    }
    if (match.id !== this.#shown) this.#take(search, match);
    this.#look(search, match, now.how ?? HOWS[0]);
  }

  /** Close because the address no longer asks for it. */
  leave() {
    this.#leaving = true;
    if (this.#dialog.open) this.#dialog.close();
    else this.remove();
  }

  #closed() {
    const card = document.querySelector(`a[data-id="${CSS.escape(this.#shown)}"]`);
    this.#shown = "";
    this.#here.abort();
    this.remove();
    if (!this.#leaving) {
      if (this.#openedHere) history.back();
      else go(changed({ match: undefined, how: undefined }), { replace: true });
    }
    if (card instanceof HTMLElement) card.focus();
  }

  /** @param {Search} search @param {Match} match */
  #take(search, match) {
    this.#here.abort();
    this.#here = new AbortController();
    this.#shown = match.id;
    this.#how = "";
    const all = search.all();
    const at = all.indexOf(match);
    const step = (/** @type {number} */ by, /** @type {string} */ label, /** @type {"back"|"next"} */ image) =>
      h("button.plain", { type: "button", "aria-label": label, title: label, disabled: !all[at + by], onclick: () => this.#step(all[at + by]) }, icon(image));
    const name = seenAt(match).name;
    fill(
      this.#head,
      h(
        "h2",
        { id: "proof-title" },
        mark(match.kind),
        h("span.proof-kind", {}, words.kinds[match.kind]),
        bdi(name),
      ),
      h("p.proof-score", {}, h("strong", {}, score(match.score)), h("span.soft", {}, meaning(match))),
      h("div.steps", {}, step(-1, proofWords.before, "back"), step(1, proofWords.after, "next"), closer(() => this.#dialog.close())),
    );
    const hows = match.kind === "similar" || !match.evidence.transform ? HOWS.slice(0, 1) : HOWS;
    fill(
      this.#tabs,
      ...hows.map((how) =>
        h("button.tab", { type: "button", role: "tab", id: `tab-${how}`, "data-how": how, "aria-controls": "proof-view", onclick: () => this.#choose(how) }, proofWords.hows[how]),
      ),
    );
    this.#tabs.hidden = hows.length < 2;
    this.#facts.scrollTop = 0;
    fill(this.#facts, facts(search, match, this.#here.signal));
  }

  /** @param {Search} search @param {Match} match @param {string} how */
  #look(search, match, how) {
    const known = this.#tabs.querySelector(`[data-how="${CSS.escape(how)}"]`) ? how : HOWS[0];
    if (known === this.#how) return;
    this.#how = known;
    for (const tab of this.#tabs.children) {
      const chosen = /** @type {HTMLElement} */ (tab).dataset.how === known;
      tab.setAttribute("aria-selected", String(chosen));
      tab.setAttribute("tabindex", chosen ? "0" : "-1");
    }
    const only = this.#tabs.hidden;
    fill(
      this.#stage,
      h("div.proof-view", { id: "proof-view", role: only ? "group" : "tabpanel", "aria-labelledby": only ? "proof-title" : `tab-${known}` }, view(search, match, known, this.#here.signal)),
    );
  }

  /** @param {string} how */
  #choose(how) {
    go(changed({ how: how === HOWS[0] ? undefined : how }), { replace: true });
  }

  /** @param {Match} match */
  #step(match) {
    go(changed({ match: match.id }), { replace: true });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const tabs = /** @type {HTMLElement[]} */ ([...this.#tabs.children]);
    const at = tabs.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const away = getComputedStyle(this).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + away, ArrowLeft: at - away, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    this.#choose(tab.dataset.how ?? "");
  }
}

/** A match of a search, loading more of it until it is there. @param {Search} search @param {string} id */
async function found(search, id) {
  let match = search.match(id);
  for (const name of /** @type {const} */ (["same", "copies", "parts", "alike"])) {
    while (!match && (await search.more(name)).length) match = search.match(id);
  }
  return match;
}

customElements.define("wherefrom-proof", Proof);
