// `<wherefrom-region>`: a picture, and a rectangle on it that is drawn, moved and resized by mouse, finger, keys
// or numbers. It fires `search` with the box in pixels of the picture, or with null for all of it.

import { announce, fill, h, styled } from "./dom.js";
import { icon } from "./icons.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Box} Box */

const LEAST = 8; // pixels of the picture that a side has at least
const CLICK = 5; // pixels of the screen below which a press is no rectangle
const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const KEYS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

class Region extends HTMLElement {
  failed = false;
  #image = h("img", { alt: words.query.label, draggable: "false" });
  #frame = h("button.region-box", { type: "button", hidden: true }, ...EDGES.map((edge) => h("span.handle", { "data-edge": edge })));
  #things = h("div.things");
  #surface = h("div.surface", {}, this.#image, this.#frame, this.#things);
  #start = h("button.button", { type: "button", hidden: true }, icon("crop"), words.query.part);
  #find = h("button.button.primary", { type: "button", hidden: true }, icon("search"), words.query.search);
  #whole = h("button.button", { type: "button", hidden: true }, words.query.whole);
  #blank = h("p.soft.no-preview", {}, words.query.noPreview);
  #hint = h("p.soft.region-hint", { hidden: true }, words.query.partHint);
  #fields = /** @type {any[]} */ (words.query.sides.map((side) => h("input", { type: "number", min: 0, step: 1, inputmode: "numeric", "aria-label": side })));
  #numbers = h("details.numbers", { hidden: true }, h("summary", {}, words.query.numbers));
  #own = false;
  #width = 0;
  #height = 0;
  /** @type {Box|null} what is drawn */
  #box = null;
  #searched = ""; // the box that the answer is of
  #listed = "";

  connectedCallback() {
    if (this.firstChild) return;
    const grid = h("div.numbers-grid", {}, ...this.#fields.map((field, at) => h("label", {}, h("span", {}, words.query.sides[at]), field)));
    this.#numbers.append(grid);
    fill(this, h("div.query-mat", {}, this.#surface, this.#blank), h("div.region-tools", {}, this.#start, this.#find, this.#whole), this.#hint, this.#numbers);
    this.#image.addEventListener("error", () => this.#unshown());
    this.#image.addEventListener("load", () => this.#shown());
    this.#surface.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#press(event));
    this.#frame.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.#frame.addEventListener("click", (/** @type {MouseEvent} */ event) => event.detail === 0 && this.#search());
    this.#start.addEventListener("click", () => (this.#box ? this.#clear() : this.#begin()));
    this.#find.addEventListener("click", () => this.#search());
    this.#whole.addEventListener("click", () => this.#clear(true));
    for (const field of this.#fields) {
      field.addEventListener("change", () => this.#typed());
      field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter") {
          this.#typed();
          this.#search();
        }
      });
    }
  }

  /** Show a picture; `own` is one of this computer, which is searched though the browser may not show it.
   * @param {string} src */
  picture(src, own = false) {
    this.failed = false;
    this.#own = own;
    this.removeAttribute("data-blank");
    this.#image.src = src;
  }

  /** Nothing can be shown yet. */
  waiting() {
    this.setAttribute("data-blank", "");
  }

  /** The size of the picture in its own pixels. @param {number} width @param {number} height */
  measure(width, height) {
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    styled(this.#surface, { "--ratio": `${width} / ${height}` });
    this.#draw();
  }

  /** Take the box that the address asks for. @param {Box|undefined} box */
  choose(box) {
    const state = box ? box.join() : "";
    if (state === this.#searched) return;
    this.#searched = state;
    this.#box = box ?? null;
    this.#draw();
  }

  /** Mark the things that were found in it. @param {Box[]} boxes @param {import("./types.js").Label[]} labels */
  objects(boxes, labels) {
    const state = JSON.stringify([boxes, this.#width]);
    if (state === this.#listed || !this.#width) return;
    this.#listed = state;
    const named = boxes.length === 1 ? (labels[0]?.name ?? "") : "";
    fill(
      this.#things,
      ...boxes.flatMap((box, at) => {
        const label = words.query.object(at + 1, named);
        const press = () => {
          this.#box = this.#within(box);
          this.#draw();
          this.#search();
        };
        const outline = this.#placed(h("span.thing", { "aria-hidden": "true" }), box);
        const button = h("button.thing-button", { type: "button", "aria-label": label, title: label, onclick: press }, at + 1);
        const spot = /** @type {Box} */ ([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0, 0]);
        return [outline, this.#placed(button, spot)];
      }),
    );
  }

  #unshown() {
    this.failed = true;
    this.setAttribute("data-blank", this.#own ? "failed" : "");
  }

  #shown() {
    this.removeAttribute("data-blank");
    if (!this.#width) this.measure(this.#image.naturalWidth, this.#image.naturalHeight);
  }

  /** Begin with a box in the middle, for keys and fingers. */
  #begin() {
    if (!this.#width) return;
    this.#box = this.#within([this.#width * 0.25, this.#height * 0.25, this.#width * 0.75, this.#height * 0.75]);
    this.#draw();
    this.#frame.focus();
  }

  #clear(search = false) {
    this.#box = null;
    this.#draw();
    if (search || this.#searched) this.dispatchEvent(new CustomEvent("search", { detail: null }));
    this.#start.focus();
  }

  #search() {
    if (!this.#box) return;
    announce(words.query.box(this.#box));
    this.dispatchEvent(new CustomEvent("search", { detail: this.#box }));
  }

  // Mouse and finger

  /** @param {PointerEvent} event */
  #press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const drawing = !this.#frame.contains(target);
    // A finger scrolls the page, until a part is being chosen.
    if (!this.#width || event.button !== 0 || target.closest(".thing-button") || (drawing && event.pointerType === "touch" && !this.#box)) return;
    event.preventDefault();
    const from = this.#point(event);
    const edge = target.dataset.edge ?? (drawing ? "new" : "move");
    const before = this.#box;
    this.#surface.setPointerCapture(event.pointerId);
    const end = new AbortController();
    const moved = (/** @type {PointerEvent} */ now) => {
      const [x, y] = this.#point(now);
      this.#box = this.#pulled(edge, before, from, [x, y]);
      this.#draw();
    };
    const released = (/** @type {PointerEvent} */ now) => {
      end.abort();
      const far = Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY);
      if (far < CLICK || now.type === "pointercancel") {
        this.#box = before;
        this.#draw();
        if (before && !drawing) this.#frame.focus();
      } else this.#search();
    };
    this.#surface.addEventListener("pointermove", moved, { signal: end.signal });
    this.#surface.addEventListener("pointerup", released, { signal: end.signal });
    this.#surface.addEventListener("pointercancel", released, { signal: end.signal });
  }

  /**
   * @param {string} edge @param {Box|null} before @param {import("./types.js").Point} from
   * @param {import("./types.js").Point} to @returns {Box}
   */
  #pulled(edge, before, from, to) {
    if (edge === "new" || !before) {
      return this.#within([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]);
    }
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    if (edge === "move") return this.#moved(before, dx, dy);
    const box = /** @type {Box} */ ([...before]);
    if (edge.includes("w")) box[0] = Math.min(before[0] + dx, before[2] - LEAST);
    if (edge.includes("e")) box[2] = Math.max(before[2] + dx, before[0] + LEAST);
    if (edge.includes("n")) box[1] = Math.min(before[1] + dy, before[3] - LEAST);
    if (edge.includes("s")) box[3] = Math.max(before[3] + dy, before[1] + LEAST);
    return this.#within(box);
  }

  /** @param {PointerEvent} event @returns {import("./types.js").Point} in pixels of the picture */
  #point(event) {
    const area = this.#surface.getBoundingClientRect();
    return [((event.clientX - area.left) / area.width) * this.#width, ((event.clientY - area.top) / area.height) * this.#height];
  }

  // Keys and numbers

  /** @param {KeyboardEvent} event */
  #key(event) {
    const way = KEYS[event.key];
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.#clear();
    }
    if (!way || !this.#box) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(this.#width, this.#height) / (event.ctrlKey || event.metaKey ? 400 : 40)));
    const [dx, dy] = [way[0] * step, way[1] * step];
    if (event.shiftKey) {
      const [left, top, right, bottom] = this.#box;
      this.#box = this.#within([left, top, Math.max(left + LEAST, right + dx), Math.max(top + LEAST, bottom + dy)]);
    } else this.#box = this.#moved(this.#box, dx, dy);
    this.#draw();
    announce(words.query.box(this.#box));
  }

  #typed() {
    const [left, top, right, bottom] = this.#fields.map((field) => Number(field.value));
    if (![left, top, right, bottom].every(Number.isFinite) || left >= right || top >= bottom) return;
    this.#box = this.#within([left, top, right, bottom]);
    this.#draw();
  }

  // Geometry

  /** @param {Box} box @param {number} dx @param {number} dy @returns {Box} */
  #moved([left, top, right, bottom], dx, dy) {
    const x = Math.min(Math.max(dx, -left), this.#width - right);
    const y = Math.min(Math.max(dy, -top), this.#height - bottom);
    return [left + x, top + y, right + x, bottom + y];
  }

  /** The box inside the picture, in whole pixels, no side too short. @param {Box} box @returns {Box} */
  #within([left, top, right, bottom]) {
    const least = [Math.min(LEAST, this.#width), Math.min(LEAST, this.#height)];
    const x = Math.min(Math.max(0, Math.round(left)), this.#width - least[0]);
    const y = Math.min(Math.max(0, Math.round(top)), this.#height - least[1]);
    return [x, y, Math.min(this.#width, Math.max(x + least[0], Math.round(right))), Math.min(this.#height, Math.max(y + least[1], Math.round(bottom)))];
  }

  /** @param {any} element @param {Box} box */
  #placed(element, [left, top, right, bottom]) {
    const across = (/** @type {number} */ value) => `${(100 * value) / this.#width}%`;
    const down = (/** @type {number} */ value) => `${(100 * value) / this.#height}%`;
    return styled(element, { left: across(left), top: down(top), ...(right > left && { width: across(right - left), height: down(bottom - top) }) });
  }

  #draw() {
    const box = this.#box;
    const on = Boolean(box && this.#width);
    this.#frame.hidden = !on;
    this.#find.hidden = !on || box?.join() === this.#searched;
    this.#whole.hidden = !this.#searched;
    this.#start.hidden = on || !this.#width;
    this.#hint.hidden = !on;
    this.#numbers.hidden = !on;
    this.toggleAttribute("data-choosing", on);
    if (!box || !on) return;
    this.#placed(this.#frame, box);
    this.#frame.setAttribute("aria-label", `${words.query.box(box)} ${words.query.boxKeys}`);
    this.#fields.forEach((field, at) => {
      field.max = at % 2 ? this.#height : this.#width;
      field.value = box[at];
    });
  }
}

customElements.define("wherefrom-region", Region);
