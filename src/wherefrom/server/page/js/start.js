// `<wherefrom-start>`: where a search begins, by dropping, pasting, choosing, photographing or naming a picture.

import { h, fill, hear, tell } from "./dom.js";
import { unlocked } from "./api.js";
import { icon, mark } from "./icons.js";
import { address, go, route } from "./route.js";
import { failureWords, words } from "./words.js";

/** A button that opens the choice of files; `chosen` gets them. @param {string} label @param {(files: File[]) => void} chosen */
export function chooser(label, chosen, { many = false, primary = false } = {}) {
  const field = h("input", {
    type: "file",
    hidden: true,
    accept: "image/*,.heic,.heif,.avif,.jxl,.tif,.tiff,.svg,.pdf,.dng,.cr2,.nef,.arw",
    multiple: many,
    onchange: () => {
      const files = [...(field.files ?? [])];
      field.value = "";
      if (files.length) chosen(files);
    },
  });
  return h(
    "span.chooser",
    {},
    h(`button.button${primary ? ".primary" : ""}`, { type: "button", onclick: () => field.click() }, icon("picture"), label),
    field,
  );
}

/** A button for the camera; its dialog is fetched when it is pressed. */
export function cameraButton() {
  const open = async () => (await import("./camera.js")).photograph((photo) => tell("picture", photo));
  return h("button.button", { type: "button", onclick: () => void open() }, icon("camera"), words.camera);
}

/** A field for the address of a picture. */
export function addressForm() {
  const field = h("input", { type: "url", id: "address", name: "address", placeholder: words.addressHint, autocomplete: "off", spellcheck: "false", required: true, inputmode: "url" });
  return h(
    "form.address",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        go(address({ collection: route().collection, url: field.value.trim() }));
      },
    },
    h("label", { for: "address" }, words.address),
    h("span.joined", {}, field, h("button.button", {}, words.find)),
  );
}

class Start extends HTMLElement {
  #gone = new AbortController();

  connectedCallback() {
    const about = h("p.soft.held", {}, "\u00a0");
    const take = (/** @type {File[]} */ files) => tell("picture", files[0]);
    fill(
      this,
      h(
        "div.start",
        {},
        h("h1", {}, words.question),
        h("p.lead", {}, words.promise),
        h(
          "div.drop",
          { onclick: (/** @type {Event} */ event) => this.#anywhere(event) },
          h("span.corner"),
          h("p.drop-words", {}, h("strong", {}, words.drop), h("span", {}, words.pasteToo)),
          h("div.drop-ways", {}, chooser(words.choose, take, { primary: true }), cameraButton()),
        ),
        addressForm(),
        about,
        h("ul.legend", { role: "list" }, ...legend()),
      ),
    );
    hear("status", (/** @type {import("./types.js").Status} */ status) => this.#about(about, status), this.#gone.signal);
    hear("status-failed", (failure) => {
      const said = failureWords(failure);
      if (failure.status !== 401) fill(about, `${said.title}. ${said.detail}`);
      else fill(about, words.key.missing, " ", h("button.button.small", { type: "button", onclick: () => void unlocked() }, icon("key"), words.key.give));
    }, this.#gone.signal);
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** Pressing the field itself is pressing its button. @param {Event} event */
  #anywhere(event) {
    const target = /** @type {Element} */ (event.target);
    if (!target.closest("button, input")) this.querySelector(/** @type {"button"} */ (".chooser button"))?.click();
  }

  /** @param {HTMLElement} about @param {import("./types.js").Status} status */
  #about(about, status) {
    const name = route().collection;
    const one = status.collections.find((known) => (name ? known.name === name : known.default)) ?? status.collections[0];
    if (!one) return;
    if (one.images) fill(about, words.searching(one.images));
    else fill(about, words.emptyCollection, " ", h("a", { href: address({ view: "add", collection: name }) }, words.addFirst));
  }
}

function legend() {
  const told = /** @type {const} */ ([["same", "same"], ["copy", "copies"], ["partial", "parts"], ["similar", "alike"]]);
  return told.map(([kind, tier]) =>
    h("li", {}, mark(kind), h("span", {}, h("strong", {}, words.tiers[tier].name), h("span.soft", {}, words.tiers[tier].about))),
  );
}

customElements.define("wherefrom-start", Start);
