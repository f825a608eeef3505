// Searches: from a picture to an answer in tiers. Claims come first and are shown at once; what looks alike
// is asked for after them, by the token of the first answer, so that nothing is sent twice.

import { asFailure, Failure, page, search as asked, stopped } from "./api.js";
import { hear } from "./dom.js";

/** @typedef {import("./types.js").Match} Match */
/** @typedef {import("./types.js").Kind} Kind */
/** @typedef {import("./types.js").TierName} TierName */
/** @typedef {import("./types.js").Route} Route */

/** @type {Record<TierName, Kind[]>} */
export const TIERS = { same: ["identical", "same"], copies: ["copy"], parts: ["partial"], alike: ["similar"] };
export const TIER_NAMES = /** @type {TierName[]} */ (Object.keys(TIERS));

const PAGE = 60; // matches that are asked for at once
const ALIKE = 20; // least score of a picture that is shown as one that looks alike
const AS_SURE = 0.5; // of a score: two matches that differ less are equally sure
const KEPT = 12; // searches kept in memory, for the back button

/** @type {string|null|undefined} the model that finds what looks alike; null where the server has none */
let model;
hear("status", (/** @type {import("./types.js").Status} */ status) => (model = status.model));

/** One tier of an answer: what is loaded, and how many there are. */
class Tier {
  /** @param {TierName} name */
  constructor(name) {
    this.name = name;
    /** @type {Match[]} */
    this.matches = [];
    this.total = 0;
  }

  get complete() {
    return this.matches.length >= this.total;
  }
}

/** An answer that the server keeps: its token, and where its next page begins. */
class Part {
  /** @param {TierName[]} names */
  constructor(names) {
    this.names = names;
    this.token = "";
    /** @type {string|null} */
    this.next = null;
  }
}

/** @typedef {"waiting"|"sending"|"looking"|"done"|"failed"} Phase */

/** A search and its answer; tells `change` whenever there is more to show. */
export class Search extends EventTarget {
  /**
   * @param {{file?: Blob, url?: string, id?: string, token?: string}} source
   * @param {{region?: string, filter?: string, sure?: string}} options
   */
  constructor(source, options = {}) {
    super();
    this.source = source;
    this.options = options;
    /** @type {Phase} */
    this.phase = "waiting";
    this.share = 0;
    /** @type {import("./types.js").QueryFacts|null} */
    this.query = null;
    /** @type {import("./api.js").Failure|null} */
    this.failure = null;
    /** @type {Record<TierName, Tier>} */
    this.tiers = { same: new Tier("same"), copies: new Tier("copies"), parts: new Tier("parts"), alike: new Tier("alike") };
    this.parts = { claims: new Part(["same", "copies", "parts"]), alike: new Part(["alike"]) };
    /** @type {"looking"|"done"|"failed"} */
    this.alikePhase = "looking";
    this.sort = "best";
    /** @type {Match|undefined} the surest claim, in whatever order the matches are shown */
    this.best = undefined;
    this.took = 0;
    this.stopping = new AbortController();
  }

  /** Tokens of the picture itself, under which it may be searched again. */
  get token() {
    return this.query?.token ?? this.source.token ?? "";
  }

  get claims() {
    return this.tiers.same.total + this.tiers.copies.total + this.tiers.parts.total;
  }

  /** @param {string} id @returns {Match|undefined} */
  match(id) {
    return this.all().find((match) => match.id === id);
  }

  /** All matches that are loaded, in the order of the tiers. */
  all() {
    return TIER_NAMES.flatMap((name) => this.tiers[name].matches);
  }

  stop() {
    this.stopping.abort();
  }

  /** Search; the outcome is in `phase`. */
  async start() {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    const started = performance.now();
    try {
      if (!this.source.file && !this.source.url && !this.source.id && !this.source.token) throw new Failure("gone");
      this.#say(this.source.file ? "sending" : "looking");
      const progress = (/** @type {number} */ share) => {
        this.share = share;
        this.#say(share < 1 ? "sending" : "looking");
      };
      const answer = await asked(this.source, { ...this.#wishes(), kinds: "claims", limit: PAGE }, { signal, progress });
      this.took = performance.now() - started;
      this.query = answer.query;
      this.#take(answer, this.parts.claims);
      this.best = likeliest(answer.matches);
      this.#say("done");
    } catch (error) {
      if (stopped(error)) return;
      const failure = asFailure(error);
      const forgotten = this.source.token && failure.status === 404;
      this.failure = forgotten ? new Failure("gone", "", { status: 404 }) : failure;
      this.#say("failed");
      return;
    }
    await this.#alike(signal);
  }

  /** Order every tier anew. @param {string} sort */
  async sorted(sort) {
    if (sort === this.sort) return;
    this.sort = sort;
    for (const part of Object.values(this.parts)) {
      if (!part.token) continue;
      const answer = await page(part.token, { sort, limit: PAGE }, this.stopping.signal);
      if (this.sort !== sort) return; // the person chose again meanwhile
      this.#take(answer, part);
    }
    this.#say(this.phase);
  }

  /** Load more of a tier. @param {TierName} name @returns {Promise<Match[]>} what came */
  async more(name) {
    const tier = this.tiers[name];
    const part = name === "alike" ? this.parts.alike : this.parts.claims;
    const before = tier.matches.length;
    while (part.next !== null && tier.matches.length === before && !tier.complete) {
      const answer = await page(part.token, { sort: this.sort, limit: PAGE, cursor: part.next }, this.stopping.signal);
      this.#add(answer, part);
    }
    return tier.matches.slice(before);
  }

  /** @param {AbortSignal} signal */
  async #alike(signal) {
    try {
      if (model === null) throw new Failure("model");
      const least = Math.max(ALIKE, Number(this.options.sure ?? 0));
      const wishes = { ...this.#wishes(), kinds: "similar", limit: PAGE, min_score: least };
      const answer = await asked({ token: this.token }, wishes, { signal });
      if (this.query) Object.assign(this.query, { labels: answer.query.labels, objects: answer.query.objects });
      this.#take(answer, this.parts.alike);
      this.alikePhase = "done";
    } catch (error) {
      if (stopped(error)) return;
      this.alikePhase = "failed";
    }
    this.#say(this.phase);
  }

  /** The first page of an answer. @param {import("./types.js").Answer} answer @param {Part} part */
  #take(answer, part) {
    part.token = answer.query.token ?? part.token;
    for (const name of part.names) {
      this.tiers[name].matches = [];
      this.tiers[name].total = TIERS[name].reduce((sum, kind) => sum + answer.counts[kind], 0);
    }
    this.#add(answer, part);
  }

  /** Another page. @param {import("./types.js").Answer} answer @param {Part} part */
  #add(answer, part) {
    part.next = answer.next;
    for (const match of answer.matches) {
      match.token = part.token;
      const name = part.names.find((one) => TIERS[one].includes(match.kind));
      if (name) this.tiers[name].matches.push(match);
    }
  }

  #wishes() {
    const { region, filter, sure } = this.options;
    return { region, filter, min_score: sure };
  }

  /** @param {Phase} phase */
  #say(phase) {
    this.phase = phase;
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * The match that a picture most likely comes from: of the strongest kind there is, and of those that are as sure
 * the largest, then the first seen, then one that names its maker, then the one to which least was done.
 * @param {Match[]} matches  claims, surest first @returns {Match|undefined}
 */
function likeliest([first, ...others]) {
  if (!first || first.kind === "similar") return undefined;
  const seen = (/** @type {Match} */ match) => match.sightings.map((one) => one.first_seen).sort()[0] ?? "9";
  const signed = (/** @type {Match} */ match) => Number(Boolean(match.credit.creator ?? match.credit.copyright));
  const before = (/** @type {Match} */ a, /** @type {Match} */ b) =>
    b.width * b.height - a.width * a.height || seen(a).localeCompare(seen(b)) || signed(b) - signed(a) || a.evidence.edits.length - b.evidence.edits.length;
  return [first, ...others.filter((match) => match.kind === first.kind && match.score > first.score - AS_SURE)].sort(before)[0];
}

/** Searches that this tab remembers, by address, and the files that only it holds. */
class Memory {
  #searches = /** @type {Map<string, Search>} */ (new Map());
  #files = /** @type {Map<string, Blob>} */ (new Map());
  #count = 0;

  /** Keep a file and give it a number to be asked for by. @param {Blob} file */
  hold(file) {
    this.#count += 1;
    const name = `${Date.now().toString(36)}-${this.#count}`;
    this.#files.set(name, file);
    for (const old of [...this.#files.keys()].slice(0, -2 * KEPT)) this.#files.delete(old);
    return name;
  }

  /** A file by its number or by the token that the server gave for it. @param {string|undefined} name */
  file(name) {
    return name ? this.#files.get(name) : undefined;
  }

  /** The search that an address asks for, as it was or new. @param {Route} route @returns {Search} */
  search(route) {
    const name = this.#name(route);
    let found = this.#searches.get(name);
    if (!found || found.phase === "failed") {
      const whole = this.whole(route); // its picture is at the server, and need not be fetched or sent again
      const source = whole?.token ? { token: whole.token } : this.#source(route);
      found = new Search(source, { region: route.region, filter: route.filter, sure: route.sure });
    }
    this.#searches.delete(name);
    this.#searches.set(name, found);
    for (const old of [...this.#searches.keys()].slice(0, -KEPT)) this.#searches.delete(old);
    return found;
  }

  /** What is known of the whole picture of which an address asks for a part. @param {Route} route */
  whole(route) {
    return this.#searches.get(this.#name({ ...route, region: undefined, filter: undefined, sure: undefined }));
  }

  /** An uploaded picture has a token now: the same search goes by it. @param {Route} before @param {Search} search */
  rename(before, search) {
    const file = this.file(before.upload);
    if (file) this.#files.set(search.token, file);
    this.#searches.set(this.#name({ ...before, upload: undefined, token: search.token }), search);
  }

  /** @param {Route} route */
  #name({ collection, url, id, token, upload, region, filter, sure }) {
    return JSON.stringify([collection, url, id, token, upload, region, filter, sure]);
  }

  /** @param {Route} route */
  #source({ url, id, token, upload }) {
    if (upload) return { file: this.file(upload) };
    if (url) return { url };
    return id ? { id } : { token };
  }
}

export const memory = new Memory();
