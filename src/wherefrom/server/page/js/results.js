// `<wherefrom-results>`: a search, from the first byte sent to the last match shown.

import { announce, fill, h } from "./dom.js";
import { Failure, troubled } from "./api.js";
import { CardList, endless, matchCard, seenAt } from "./cards.js";
import { date, listedPlace, number } from "./figures.js";
import { failed, tryLater } from "./frame.js";
import { icon, mark } from "./icons.js";
import { nothingFound } from "./nothing.js";
import { plain } from "./plain.js";
import { address, asks, changed, go, route, routes } from "./route.js";
import { memory, TIER_NAMES } from "./searching.js";
import { toolbar } from "./toolbar.js";
import { likely, verdict, words } from "./words.js";
import "./query.js";

/** @typedef {import("./types.js").Route} Route */
/** @typedef {import("./types.js").TierName} TierName */
/** @typedef {import("./searching.js").Search} Search */

const SHOWN = 24; // of a tier that others follow
const SLOW = 2500; // ms after which it is said that it takes long
const VERY_SLOW = 12_000;
const MARKS = { same: "same", copies: "copy", parts: "partial", alike: "similar" };

class Results extends HTMLElement {
  #gone = new AbortController();
  #panel = /** @type {any} */ (h("wherefrom-query"));
  #body = h("div.answer-body");
  /** @type {Search|null} */
  #search = null;
  #listening = new AbortController();
  #drawn = new Map(); // what of the answer is on the page: tier by its matches
  /** @type {any} */
  #tools = null;
  #dialog = /** @type {any} */ (null);
  #seen = false; // whether the answer was shown without a proof over it: a step back leads there

  connectedCallback() {
    fill(this, this.#panel, h("section.answer", { "data-skip-target": true, tabindex: "-1", "aria-label": words.found.label }, this.#body));
    routes((now) => this.#go(now), this.#gone.signal);
    this.#go(route());
  }

  disconnectedCallback() {
    this.#gone.abort();
    this.#listening.abort();
    this.#dialog?.remove();
    if (this.#search?.phase !== "done") this.#search?.stop();
  }

  /** @param {Route} now */
  #go(now) {
    if (!asks(now)) return;
    const search = memory.search(now);
    if (search !== this.#search) this.#take(search, now);
    else this.#arrange(now);
    void this.#proof(now);
  }

  /** @param {Search} search @param {Route} now */
  #take(search, now) {
    if (this.#search && this.#search.phase !== "done") this.#search.stop();
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#search = search;
    this.#tools = null; // what is on the page is of the search before
    this.#drawn.clear();
    this.#panel.show(search, now);
    search.addEventListener("change", () => this.#changed(search), { signal });
    if (search.phase === "waiting") {
      this.#busy(search);
      void search.start();
    } else this.#changed(search);
  }

  /** @param {Search} search */
  #changed(search) {
    const now = route();
    this.#panel.show(search, now);
    if (search.phase === "failed") return this.#failed(search, now);
    if (search.phase !== "done") return this.#progress(search);
    if (now.upload && search.token) {
      memory.rename(now, search);
      go(changed({ upload: undefined, token: search.token }), { replace: true });
      this.#panel.show(search, route());
    }
    this.#answer(search, route());
  }

  // While it is under way

  /** @param {Search} search */
  #busy(search) {
    const said = h("h1.progress-words", {}, words.busy.looking);
    const bar = h("progress", { max: 1, "aria-label": words.busy.looking });
    const late = h("p.soft.late", { hidden: true });
    fill(
      this.#body,
      h(
        "div.busy",
        { "data-busy": true },
        said,
        bar,
        late,
        h("p.actions", {}, h("button.button.small", { type: "button", onclick: () => this.#cancel() }, words.cancel)),
      ),
      h("div.ghosts", { "aria-hidden": "true" }, ...Array.from({ length: 8 }, () => h("span.ghost"))),
    );
    announce(words.busy.looking);
    const tellLate = (/** @type {boolean} */ very) => () => {
      if (this.#search !== search || search.phase === "done") return;
      const text = lateWords(search, very);
      late.hidden = false;
      late.dataset.phase = search.phase;
      late.textContent = text;
      announce(text);
    };
    const clocks = [setTimeout(tellLate(false), SLOW), setTimeout(tellLate(true), VERY_SLOW)];
    this.#listening.signal.addEventListener("abort", () => clocks.forEach(clearTimeout), { once: true });
  }

  /** @param {Search} search */
  #progress(search) {
    const busy = this.#body.querySelector("[data-busy]");
    if (!busy) return this.#busy(search);
    const sending = search.phase === "sending";
    const text = sending ? words.busy.sending(search.share) : search.source.url ? words.busy.fetching : words.busy.looking;
    busy.querySelector(".progress-words").textContent = text;
    const late = busy.querySelector(".late");
    if (late.dataset.phase !== search.phase) late.hidden = true; // what was late is over
    const bar = busy.querySelector("progress");
    if (sending) bar.value = search.share;
    else bar.removeAttribute("value");
  }

  #cancel() {
    this.#search?.stop();
    go(address({ collection: route().collection }), { replace: true });
  }

  /** @param {Search} search @param {Route} now */
  #failed(search, now) {
    const failure = search.failure ?? new Failure("error");
    if (failure.code === "gone" && memory.file(now.token)) {
      const upload = memory.hold(/** @type {Blob} */ (memory.file(now.token)));
      go(changed({ token: undefined, upload }), { replace: true });
      return;
    }
    const again = () => this.#go(route());
    const actions = [];
    if (failure.status === 401) actions.push({ label: words.key.give, act: again });
    else if (failure.passes || failure.status >= 500 || failure.status === 0) actions.push({ label: words.again, act: again });
    if (now.region) actions.push({ label: words.query.whole, act: () => go(changed({ region: undefined })) });
    if (now.filter) actions.push({ label: words.filter.clearAll, act: () => go(changed({ filter: undefined })) });
    actions.push({ label: words.query.another, act: () => go(address({ collection: now.collection })) });
    fill(this.#body, failed(failure, actions, "h1"));
    tryLater(failure, again, this.#listening.signal);
  }

  // The answer

  /** @param {Search} search @param {Route} now */
  #answer(search, now) {
    const first = !this.#drawn.size;
    if (first) {
      this.#tools = toolbar(search);
      this.#sections = Object.fromEntries(TIER_NAMES.map((name) => [name, h("section.tier", { id: `tier-${name}`, "data-tier": name })]));
      this.#head = h("div.verdict");
      fill(this.#body, this.#head, this.#tools.element, ...TIER_NAMES.map((name) => this.#sections[name]));
      announce(words.found.live(search.claims));
    }
    if (search.alikePhase === "done" && !this.#drawn.has("alike said")) {
      this.#drawn.set("alike said", true);
      if (search.tiers.alike.total && !first) announce(`${words.found.live(search.claims)} ${words.found.alikeLive(search.tiers.alike.total)}`);
    }
    this.#arrange(now);
    if (first) void this.#proof(now);
  }

  #head = h("div");
  /** @type {Record<string, HTMLElement>} */
  #sections = {};

  /** Show what there is in the order and choice that the address asks for. @param {Route} now */
  #arrange(now) {
    const search = this.#search;
    if (!search || search.phase !== "done" || !this.#tools) return;
    const sort = now.sort ?? "best";
    if (sort !== search.sort) void search.sorted(sort).catch(troubled);
    this.#verdict(search, now);
    this.#tools.show(search, now);
    for (const name of TIER_NAMES) this.#tier(search, name, now);
  }

  /** @param {Search} search @param {Route} now */
  #verdict(search, now) {
    const state = JSON.stringify([search.best?.id, search.claims, search.alikePhase, now.filter, now.region]);
    if (this.#drawn.get("verdict") === state) return;
    this.#drawn.set("verdict", state);
    if (!search.best) {
      fill(this.#head, nothingFound(search, now));
      return;
    }
    const seen = seenAt(search.best);
    const said = verdict(search.best, seen.name);
    document.title = `${plain(seen.name)} · ${words.name}`;
    fill(
      this.#head,
      h("h1", {}, `${said.lead} `, h("a.verdict-name", { href: changed({ match: search.best.id }), dir: "auto" }, said.name), said.rest),
      likely(search.best) && h("p", {}, likely(search.best).trim()),
      h(
        "p.soft",
        {},
        seen.gone ? words.card.gone : listedPlace(seen.folder, date(seen.since)),
        seen.others > 0 && ` · ${words.card.places(seen.others)}`,
        ` · ${words.found.took(search.took)}`,
      ),
    );
  }

  /** @param {Search} search @param {TierName} name @param {Route} now */
  #tier(search, name, now) {
    const section = this.#sections[name];
    const tier = search.tiers[name];
    const waits = name === "alike" && search.alikePhase === "looking";
    const lacks = name === "alike" && search.alikePhase === "failed";
    section.hidden = Boolean(now.tier && now.tier !== name) || (!tier.total && !waits && !lacks);
    if (section.hidden) {
      if (!tier.total) fill(section);
      return;
    }
    const state = JSON.stringify([tier.matches[0]?.id, search.sort, now.tier === name, waits, lacks]);
    if (this.#drawn.get(name) === state && tier.matches.length) return;
    this.#drawn.set(name, state);
    const said = words.tiers[name];
    const list = new CardList();
    const whole = now.tier === name || name === "alike";
    const shown = whole ? tier.matches : tier.matches.slice(0, SHOWN);
    const card = (/** @type {import("./types.js").Match} */ match) => matchCard(match, address({ ...now, match: match.id }));
    void list.grow(shown, card, this.#listening.signal);
    const rest = tier.total - shown.length;
    fill(
      section,
      h("header.tier-head", {}, h("h2", {}, mark(MARKS[name]), said.name, tier.total > 0 && h("span.count", {}, number(tier.total))), h("p.soft", {}, said.about)),
      waits && h("div.ghosts", { "aria-hidden": "true" }, ...Array.from({ length: 4 }, () => h("span.ghost"))),
      waits && h("p.unseen", {}, words.tiers.looking),
      lacks && h("p.soft", {}, words.tiers.noModel),
      list.element,
      !whole && rest > 0 && h("a.button.show-all", { href: changed({ tier: name }) }, words.tiers.showAll(tier.total), icon("next")),
      whole && !tier.complete && this.#end(search, name, list),
    );
  }

  /** @param {Search} search @param {TierName} name @param {CardList} list */
  #end(search, name, list) {
    const load = async () => {
      const fresh = await search.more(name);
      await list.grow(fresh, (match) => matchCard(match, changed({ match: match.id })), this.#listening.signal);
      this.#tools.show(search, route());
      return fresh.length > 0 && !search.tiers[name].complete;
    };
    return endless(load, this.#listening.signal, troubled);
  }

  // The proof of one match, over the answer

  /** @param {Route} now */
  async #proof(now) {
    if (!now.match) {
      this.#seen = this.#search?.phase === "done";
      this.#dialog?.leave();
      this.#dialog = null;
      return;
    }
    const search = this.#search;
    if (search?.phase !== "done") return;
    try {
      await import("./proof.js");
    } catch {
      troubled(new Failure("offline"));
      go(changed({ match: undefined, how: undefined }), { replace: true });
      return;
    }
    if (route().match !== now.match) return;
    if (!this.#dialog) {
      this.#dialog = document.createElement("wherefrom-proof");
      this.append(this.#dialog);
    }
    void this.#dialog.show(search, now, this.#seen);
  }
}

/** What is said of a search that takes long, by what takes long. @param {Search} search @param {boolean} very */
function lateWords(search, very) {
  if (search.phase === "sending") return words.busy.slowSending;
  if (very) return words.busy.verySlow;
  return search.source.url ? words.busy.slowFetching : words.busy.slow;
}

customElements.define("wherefrom-results", Results);
