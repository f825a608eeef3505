// `<wherefrom-images>`: the collection, to be looked through and searched by words.

import { announce, bdi, fill, h, stylesheet } from "./dom.js";
import { ask, asFailure, original, stopped, thumbnail, troubled } from "./api.js";
import { closer } from "./camera.js";
import { CardList, endless, imageCard, picture, seenAt } from "./cards.js";
import { collectionWords as said } from "./collectionwords.js";
import { failed, tryLater } from "./frame.js";
import { filterMenu, select } from "./filter.js";
import { icon } from "./icons.js";
import { fileList, places } from "./prooffacts.js";
import { proofWords } from "./proofwords.js";
import { leaving, remove } from "./removal.js";
import { address, changed, go, route, routes } from "./route.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Route} Route */
/** @typedef {import("./types.js").ImageFacts} ImageFacts */

const PAGE = 120;
const PAUSE = 250; // ms after the last key before it is searched
const ORDERS = /** @type {const} */ (["added", "newest", "oldest", "biggest", "smallest"]);

await stylesheet("proof");

class Images extends HTMLElement {
  #gone = new AbortController();
  #asking = new AbortController();
  #listed = "\0";
  #count = h("span.count");
  #body = h("div.images-body");
  #filter = h("span");
  #filtered = "\0";
  #clock = 0;
  #find = h("input", { type: "search", "aria-label": said.find, placeholder: said.find, dir: "auto", autocomplete: "off", spellcheck: "false" });
  #sort = select("images-sort", ORDERS.map((name) => [name, words.sort[name]]), "added");
  /** @type {any} */
  #dialog = null;

  connectedCallback() {
    const { signal } = this.#gone;
    this.#find.addEventListener("input", () => {
      clearTimeout(this.#clock);
      this.#clock = setTimeout(() => go(changed({ q: this.#find.value.trim() || undefined }), { replace: true }), PAUSE);
    });
    this.#sort.addEventListener("change", () => go(changed({ sort: this.#sort.value === "added" ? undefined : this.#sort.value }), { replace: true }));
    fill(
      this,
      h("header.view-head", {}, h("h1", {}, said.browse), this.#count),
      h(
        "div.toolbar.images-tools",
        {},
        h("span.finder", {}, icon("search"), this.#find),
        h("div.tools", {}, h("label.sort", { for: "images-sort" }, h("span.unseen", {}, words.sort.label), icon("sort"), this.#sort), this.#filter),
      ),
      this.#body,
    );
    routes((now) => this.#go(now), signal);
    this.#go(route());
  }

  disconnectedCallback() {
    this.#gone.abort();
    this.#asking.abort();
    this.#dialog?.remove();
    clearTimeout(this.#clock);
  }

  /** @param {Route} now */
  #go(now) {
    if (now.view !== "images") return;
    const asked = JSON.stringify([now.q, now.filter, now.sort, now.collection]);
    if (asked !== this.#listed) {
      this.#listed = asked;
      this.#list(now);
    }
    void this.#open(now);
  }

  /** @param {Route} now */
  #list(now) {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    if (document.activeElement !== this.#find) this.#find.value = now.q ?? "";
    this.#sort.value = now.sort ?? "added";
    if (this.#filtered !== (now.filter ?? "")) {
      this.#filtered = now.filter ?? "";
      fill(this.#filter, filterMenu(now, { scores: false, apply: (filter) => go(changed({ filter })) }));
    }
    const list = new CardList();
    /** @type {string|null|undefined} */
    let cursor;
    const load = async () => {
      const answer = await ask("images", { query: { q: now.q, filter: now.filter, sort: now.sort ?? "added", limit: PAGE, cursor }, signal });
      if (signal.aborted) return false;
      const first = cursor === undefined;
      cursor = answer.next;
      if (first) this.#begun(answer.total, list, now);
      const there = answer.images.filter((/** @type {ImageFacts} */ one) => !leaving.has(one.id));
      await list.grow(there, (/** @type {ImageFacts} */ one) => imageCard(one, changed({ image: one.id })), signal);
      return cursor !== null;
    };
    const failing = (/** @type {unknown} */ error) => {
      if (stopped(error)) return;
      const failure = asFailure(error);
      const again = () => this.#list(route());
      this.#count.textContent = "";
      const actions = [{ label: words.again, act: again }];
      if (now.filter) actions.push({ label: words.filter.clearAll, act: () => go(changed({ filter: undefined })) });
      fill(this.#body, failed(failure, actions));
      tryLater(failure, again, signal);
    };
    fill(this.#body, list.element, endless(load, signal, failing));
  }

  /** The first page is there. @param {number} total @param {CardList} list @param {Route} now */
  #begun(total, list, now) {
    this.#count.textContent = said.count(total);
    announce(said.count(total));
    if (total) return;
    const filtered = Boolean(now.q || now.filter);
    list.element.append(
      h(
        "section.state",
        {},
        icon(filtered ? "search" : "folder"),
        h("h2", {}, filtered ? said.none(now.q ?? "") : said.empty),
        h("p", {}, filtered ? said.noneTry : said.emptyAbout),
        h(
          "p.actions",
          {},
          filtered
            ? h("a.button", { href: address({ view: "images", collection: now.collection }) }, said.clear)
            : h("a.button.primary", { href: address({ view: "add", collection: now.collection }) }, icon("plus"), said.add),
        ),
      ),
    );
  }

  // One image

  /** @param {Route} now */
  async #open(now) {
    if (!now.image) {
      this.#dialog?.close("gone");
      return;
    }
    const id = now.image;
    if (this.#dialog?.dataset.id === id) return;
    try {
      const image = await ask(`images/${id}`, { signal: this.#gone.signal });
      if (route().image !== id) return;
      this.#show(image);
    } catch (error) {
      if (stopped(error)) return;
      troubled(error);
      go(changed({ image: undefined }), { replace: true });
    }
  }

  /** @param {ImageFacts} image */
  #show(image) {
    const { name } = seenAt(image);
    const dialog = h(
      "dialog.proof",
      {
        "aria-labelledby": "image-title",
        "data-id": image.id,
        onclose: () => {
          dialog.remove();
          this.#dialog = null;
          if (dialog.returnValue !== "gone") go(changed({ image: undefined }), { replace: true });
          const card = this.querySelector(`a[data-id="${CSS.escape(image.id)}"]`);
          if (card instanceof HTMLElement) card.focus();
        },
        onclick: (/** @type {Event} */ event) => event.target === dialog && dialog.close(),
      },
      h("header.dialog-head", {}, h("h2", { id: "image-title" }, bdi(name, "span")), closer(() => dialog.close())),
      h(
        "div.proof-body",
        {},
        h("div.stage.single", {}, picture(thumbnail(image.id, 1024), { ...image, alt: name, eager: true })),
        h(
          "div.proof-facts",
          { tabindex: "0", role: "region", "aria-label": said.open },
          h(
            "div.facts",
            {},
            h(
              "p.actions",
              {},
              h("a.button.primary.small", { href: address({ id: image.id, collection: route().collection }) }, icon("search"), proofWords.copies),
              image.original_url && h("a.button.small", { href: original(image.id), target: "_blank", rel: "noopener" }, icon("picture"), proofWords.original),
              h("button.button.small.danger", { type: "button", onclick: () => this.#remove(image, dialog) }, icon("remove"), said.remove),
            ),
            h("section", {}, h("h3", {}, proofWords.where), places(image)),
            h("section", {}, h("h3", {}, proofWords.file), fileList(image)),
          ),
        ),
      ),
    );
    this.#dialog?.remove();
    this.#dialog = dialog;
    this.append(dialog);
    dialog.showModal();
  }

  /** @param {ImageFacts} image @param {any} dialog */
  #remove(image, dialog) {
    const card = /** @type {HTMLElement|null} */ (this.querySelector(`.list a[data-id="${CSS.escape(image.id)}"]`)?.closest("li"));
    if (card) card.hidden = true;
    dialog.close();
    this.#find.focus();
    remove([{ id: image.id }], { back: () => card && (card.hidden = false), done: () => card?.remove() });
  }
}

customElements.define("wherefrom-images", Images);
