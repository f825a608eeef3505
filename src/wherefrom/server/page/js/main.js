// The page: which view is shown, and pictures that are dropped or pasted anywhere.

import { fill, h, hear, stylesheet, tell } from "./dom.js";
import { ask, asFailure, Failure } from "./api.js";
import { plain } from "./plain.js";
import { address, asks, go, route, routes } from "./route.js";
import { header, live, notice, askForKey } from "./frame.js";
import { memory } from "./searching.js";
import { words } from "./words.js";
import "./start.js";

/** @typedef {import("./types.js").Route} Route */

/** Views that are fetched when they are first opened. @type {Record<string, () => Promise<unknown>>} */
const VIEWS = {
  "wherefrom-start": () => Promise.resolve(),
  "wherefrom-results": () => Promise.all([stylesheet("results"), import("./results.js")]),
  "wherefrom-images": () => Promise.all([stylesheet("results"), stylesheet("collection"), import("./images.js")]),
  "wherefrom-duplicates": () => Promise.all([stylesheet("results"), stylesheet("collection"), import("./duplicates.js")]),
  "wherefrom-add": () => Promise.all([stylesheet("collection"), import("./add.js")]),
};

/** Whether a page of another site led here to have an address fetched, which it could not ask for itself. */
function sentHere() {
  const from = document.referrer && new URL(document.referrer).origin;
  return Boolean(route().url) && Boolean(from) && from !== location.origin;
}

/** `<wherefrom-app>`: the frame, and the view that the address asks for in it. */
class App extends HTMLElement {
  #gone = new AbortController();
  #main = h("main", { id: "main", tabindex: "-1" });
  #shown = "";
  /** @type {import("./types.js").Status|null} */
  #status = null;

  connectedCallback() {
    const { signal } = this.#gone;
    fill(
      this,
      h("a.skip", { href: "#main", onclick: (/** @type {Event} */ event) => this.#skip(event) }, words.skip),
      header(),
      this.#main,
      live(),
    );
    routes((now) => void this.#show(now), signal);
    hear("picture", (/** @type {Blob} */ file) => this.#search(file), signal);
    hear("key-wanted", askForKey, signal);
    hear("notice", notice, signal);
    hear("collection-changed", () => void this.#ask(), signal);
    this.#dropping(signal);
    addEventListener("paste", (event) => this.#pasted(event), { signal });
    if (sentHere() && !confirm(words.foreign(plain(route().url ?? "")))) go("#", { replace: true });
    void this.#show(route());
    void this.#ask();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** @param {Route} now */
  async #show(now) {
    const wanted = now.view !== "search" ? `wherefrom-${now.view}` : asks(now) ? "wherefrom-results" : "wherefrom-start";
    this.dataset.view = now.view;
    tell("route", now);
    document.title = now.view === "search" ? words.name : `${words.nav[now.view]} · ${words.name}`;
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    try {
      await VIEWS[wanted]();
    } catch {
      tell("notice", { text: "", failure: new Failure("offline") });
      this.#shown = "";
      return;
    }
    if (wanted !== this.#shown) return; // the person went on meanwhile
    const first = !this.#main.firstChild;
    fill(this.#main, document.createElement(wanted));
    if (!first) {
      scrollTo({ top: 0, behavior: "instant" });
      this.#main.focus({ preventScroll: true });
    }
    if (this.#status) tell("status", this.#status);
    // The first search shall not wait for the view of its answer.
    if (wanted === "wherefrom-start") setTimeout(() => void VIEWS["wherefrom-results"]().catch(() => {}), 200);
  }

  async #ask() {
    try {
      this.#status = await ask("status", { quiet: true });
      tell("status", this.#status);
    } catch (error) {
      tell("status-failed", asFailure(error));
    }
  }

  /** @param {Blob} file */
  #search(file) {
    go(address({ collection: route().collection, upload: memory.hold(file) }));
  }

  /** @param {AbortSignal} signal */
  #dropping(signal) {
    let depth = 0;
    const holds = (/** @type {DragEvent} */ event) =>
      [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");
    const over = (/** @type {boolean} */ on) => {
      depth = on ? depth : 0;
      this.toggleAttribute("data-dropping", on);
    };
    addEventListener("dragenter", (event) => {
      if (!holds(event)) return;
      depth += 1;
      over(true);
    }, { signal });
    addEventListener("dragleave", () => {
      depth -= 1;
      if (depth <= 0) over(false);
    }, { signal });
    addEventListener("dragover", (event) => holds(event) && event.preventDefault(), { signal });
    addEventListener("drop", (event) => {
      over(false);
      if (!holds(event)) return;
      event.preventDefault();
      this.#took(event.dataTransfer);
    }, { signal });
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const target = /** @type {Element} */ (event.target);
    const typing = target.closest?.("input, textarea");
    if (typing && !event.clipboardData?.files.length) return;
    if (this.#took(event.clipboardData)) event.preventDefault();
  }

  /** Search with what was dropped or pasted: a file first, else an address. @param {DataTransfer|null} data */
  #took(data) {
    if (!data) return false;
    const files = [...data.files];
    if (files.length && route().view === "add") {
      tell("add-files", files);
      return true;
    }
    const file = files.find((one) => one.type.startsWith("image/")) ?? files[0];
    if (file) {
      this.#search(file);
      return true;
    }
    const text = (data.getData("text/uri-list") || data.getData("text/plain")).split("\n").find((line) => !line.startsWith("#"));
    if (!/^https?:\/\/\S+$/i.test(text?.trim() ?? "")) return false;
    go(address({ collection: route().collection, url: text?.trim() }));
    return true;
  }

  /** @param {Event} event */
  #skip(event) {
    event.preventDefault();
    const target = this.#main.querySelector("[data-skip-target]") ?? this.#main;
    target.focus();
  }
}

customElements.define("wherefrom-app", App);
