// `<wherefrom-query>`: the picture that is searched for, what is known of it, and which part of it is meant.

import { bdi, fill, h, tell } from "./dom.js";
import { queryPicture, thumbnail, usable } from "./api.js";
import { size } from "./figures.js";
import { asks, box, changed, go } from "./route.js";
import { memory } from "./searching.js";
import { cameraButton, chooser } from "./start.js";
import { words } from "./words.js";
import "./region.js";

/** @typedef {import("./searching.js").Search} Search */
/** @typedef {import("./types.js").Route} Route */

const PREVIEW = 1024; // pixels of the longer side of what the server sends back

class QueryPanel extends HTMLElement {
  #region = /** @type {any} */ (document.createElement("wherefrom-region"));
  #facts = h("div.query-facts");
  #shown = ""; // which picture is shown
  #said = ""; // what is said of it
  #let = () => {};

  connectedCallback() {
    if (this.firstChild) return;
    this.#region.addEventListener("search", (/** @type {CustomEvent} */ event) => {
      const wanted = event.detail ? event.detail.map(Math.round).join(",") : undefined;
      go(changed({ region: wanted, tier: undefined, match: undefined, how: undefined }));
    });
    const again = (/** @type {File[]} */ files) => tell("picture", files[0]);
    fill(
      this,
      h("h2.unseen", {}, words.query.label),
      this.#region,
      this.#facts,
      h("div.query-ways", {}, chooser(words.query.another, again), cameraButton()),
    );
  }

  disconnectedCallback() {
    this.#let();
  }

  /** @param {Search} search @param {Route} now */
  show(search, now) {
    if (!asks(now)) return;
    const whole = memory.whole(now) ?? search;
    this.#picture(search, now);
    const known = whole.query ?? search.query;
    if (known) this.#region.measure(known.width, known.height);
    this.#region.choose(box(now.region));
    this.#region.objects(whole.query?.objects ?? [], whole.query?.labels ?? []);
    this.#words(known, search, now);
  }

  /** @param {Search} search @param {Route} now */
  #picture(search, now) {
    const file = search.source.file ?? memory.file(now.upload) ?? memory.file(now.token);
    const name = file ? `file ${file.size} ${/** @type {File} */ (file).name}` : `${now.url ?? now.id ?? now.token}`;
    if (search.phase === "failed" && this.#region.failed) return this.#region.waiting(); // it was not searched
    const failed = this.#region.failed && search.token;
    if (name === this.#shown && !failed) return;
    const token = search.token || now.token;
    if (file && !failed) {
      this.#let();
      const src = URL.createObjectURL(file);
      this.#let = () => URL.revokeObjectURL(src);
      this.#region.picture(src, true);
    } else if (token) void this.#fromServer(queryPicture(token, PREVIEW));
    else if (now.id) void this.#fromServer(thumbnail(now.id, PREVIEW));
    else return this.#region.waiting();
    this.#shown = name;
  }

  /** @param {string} url */
  async #fromServer(url) {
    this.#let();
    try {
      const { src, done } = await usable(url);
      this.#let = done;
      this.#region.picture(src);
    } catch {
      this.#region.waiting();
    }
  }

  /** @param {import("./types.js").QueryFacts|null} known @param {Search} search @param {Route} now */
  #words(known, search, now) {
    const state = JSON.stringify([known, search.phase, now.region, now.url, search.claims]);
    if (state === this.#said) return;
    this.#said = state;
    const found = search.phase === "done" && search.best;
    fill(
      this.#facts,
      known && h("p", {}, `${size(known.width, known.height)} · ${known.format.toUpperCase()}`),
      now.url && h("p.query-url", { title: now.url }, bdi(now.url)),
      known && known.labels?.length > 0 && h("p", {}, `${words.query.shows}: ${known.labels.map((one) => one.name).slice(0, 3).join(", ")}`),
      known && known.objects?.length > 0 && h("p.soft", {}, words.query.objects(known.objects.length)),
      now.region && h("p.soft", {}, words.query.isPart),
      found && known && known.notes.length > 0 && h("ul.notes", {}, ...known.notes.map((note) => h("li", {}, note))),
    );
  }
}

customElements.define("wherefrom-query", QueryPanel);
