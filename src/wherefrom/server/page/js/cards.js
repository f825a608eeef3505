// Cards: a picture, what it is, and where it was seen; in lists that stay smooth with thousands of them.

import { bdi, h, styled } from "./dom.js";
import { thumbnail, usable, key } from "./api.js";
import { bytes, date, place, score, size } from "./figures.js";
import { mark } from "./icons.js";
import { allEdits, meaning, words } from "./words.js";

/** @typedef {import("./types.js").Match} Match */
/** @typedef {import("./types.js").ImageFacts} ImageFacts */

const CHUNK = 24; // cards that are laid out together: a multiple of every number of columns
const SLICE = 6; // cards that are made at a time, so that scrolling never waits for them
const AHEAD = "1600px 0px"; // how far before the end the next page is asked for

/** With a key, pictures are fetched when they come near the window. */
const nearing = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      nearing.unobserve(target);
      void load(/** @type {HTMLImageElement} */ (target));
    }
  },
  { rootMargin: "600px" },
);

/** @param {HTMLImageElement} image */
async function load(image) {
  try {
    const { src, done } = await usable(image.dataset.src ?? "");
    image.addEventListener("load", done, { once: true });
    image.src = src;
  } catch {
    image.dispatchEvent(new Event("error"));
  }
}

/**
 * A picture of the server's that keeps its place before it is there.
 * @param {string} url @param {{width?: number, height?: number, alt?: string, eager?: boolean}} facts
 * @returns {HTMLImageElement}
 */
export function picture(url, { width, height, alt = "", eager = false }) {
  const image = h("img", { width, height, alt, decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(h("span.no-picture", {}, words.card.noThumbnail)), { once: true });
  if (key.get()) {
    image.dataset.src = url;
    if (eager) void load(image);
    else nearing.observe(image);
  } else {
    if (!eager) image.loading = "lazy";
    image.src = url;
  }
  return image;
}

/** The mat with an image's thumbnail, whole. @param {ImageFacts} image */
export function mat(image, wide = 384) {
  return h("span.mat", {}, picture(thumbnail(image.id, wide), image));
}

/** The name, place and dates that stand for all places of an image. @param {ImageFacts} image */
export function seenAt(image) {
  const here = image.sightings.filter((one) => !one.gone && one.there !== false);
  const first = here[0] ?? image.sightings[0];
  if (!first) return { name: words.card.noPlace, folder: "", whole: image.id, since: image.added ?? "", others: 0, gone: false };
  const found = place(first.uri);
  const since = image.sightings.map((one) => one.first_seen).sort()[0];
  return { ...found, name: first.title || found.name, since, others: here.filter((one) => one !== first && !one.link).length, gone: !here.length };
}

/** Who made it, as its file says. @param {ImageFacts} image */
export const creditOf = ({ credit }) => credit?.credit_line || credit?.creator || credit?.copyright || "";

/** The card of a match. @param {Match} match @param {string} href */
export function matchCard(match, href) {
  const seen = seenAt(match);
  const similar = match.kind === "similar";
  const label = similar ? words.card.openAlike(seen.name) : words.card.open(words.kinds[match.kind], seen.name);
  return h(
    "li.card",
    { "data-kind": match.kind },
    h("a.card-link", { href, "data-id": match.id, "aria-label": label }, mat(match)),
    h(
      "div.card-words",
      {},
      h("p.card-kind", {}, mark(match.kind), h("span", {}, words.kinds[match.kind]), scoreWords(match)),
      h("p.card-edits", {}, doneTo(match)),
      match.copies.length > 0 && h("p.card-facts", {}, words.card.folded(match.copies.length)),
      ...placeWords(match),
    ),
  );
}

/** The card of an image as it lies in the collection. @param {ImageFacts} image @param {string} href */
export function imageCard(image, href) {
  return h(
    "li.card",
    {},
    h("a.card-link", { href, "data-id": image.id, "aria-label": seenAt(image).name }, mat(image)),
    h("div.card-words", {}, ...placeWords(image)),
  );
}

/** @param {Match} match */
function scoreWords(match) {
  return h("span.card-score", { title: meaning(match) }, h("strong", {}, score(match.score)), h("span.unseen", {}, `, ${meaning(match)}`));
}

/** What was done, in words. @param {Match} match */
export function doneTo(match) {
  if (match.kind === "identical") return words.card.unchanged;
  if (match.kind === "similar") return match.labels?.length ? match.labels.map((one) => one.name).slice(0, 2).join(", ") : meaning(match);
  return allEdits(match.evidence.edits).join(", ") || words.card.noEdits;
}

/** @param {ImageFacts} image */
function placeWords(image) {
  const seen = seenAt(image);
  const credit = creditOf(image);
  const when = [seen.folder && bdi(seen.folder), seen.gone ? words.card.gone : seen.since && words.card.seen(date(seen.since))].filter(Boolean);
  return [
    h("p.card-name", { title: seen.whole }, bdi(seen.name)),
    h("p.card-facts", {}, `${size(image.width, image.height)} · ${image.format.toUpperCase()} · ${bytes(image.bytes)}`),
    h("p.card-facts.card-place", {}, ...when.flatMap((part, at) => (at ? [" · ", part] : [part]))),
    seen.others > 0 && h("p.card-facts", {}, words.card.places(seen.others)),
    credit && h("p.card-facts.card-credit", {}, "© ", bdi(credit.replace(/^(©|\(c\))\s*/i, ""))),
  ].filter(Boolean);
}

/** A list of cards that may be long: laid out in chunks, of which the browser draws those in sight. */
export class CardList {
  constructor() {
    this.element = h("div.list");
    /** @type {HTMLElement|null} */
    this.last = null;
    /** @type {Promise<void>} when all that was to be appended is there */
    this.grown = Promise.resolve();
  }

  /** @param {HTMLElement[]} cards */
  append(cards) {
    let rest = cards;
    while (rest.length) {
      const chunk = this.last && this.last.childElementCount < CHUNK ? this.last : this.#chunk();
      const room = CHUNK - chunk.childElementCount;
      chunk.append(...rest.slice(0, room));
      rest = rest.slice(room);
    }
  }

  /**
   * Make and append cards a few at a time. @template T @param {T[]} items @param {(item: T) => HTMLElement} make
   * @param {AbortSignal} signal
   */
  grow(items, make, signal) {
    this.grown = this.grown.then(async () => {
      for (let at = 0; at < items.length && !signal.aborted; at += SLICE) {
        if (at) await new Promise((after) => setTimeout(after));
        this.append(items.slice(at, at + SLICE).map(make));
      }
    });
    return this.grown;
  }

  #chunk() {
    const before = this.last?.offsetHeight;
    const chunk = h("ul.cards", { role: "list" });
    if (before) styled(chunk, { "contain-intrinsic-block-size": `auto ${before}px` });
    this.element.append(chunk);
    this.last = chunk;
    return chunk;
  }
}

/**
 * An end that loads more as it comes near; `load` says whether there is still more.
 * @param {() => Promise<boolean>} load @param {AbortSignal} signal @param {(error: unknown) => void} failed
 */
export function endless(load, signal, failed) {
  const end = h("div.end", { "aria-hidden": "true" });
  let busy = false;
  const observer = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && void more(), { rootMargin: AHEAD });
  const more = async () => {
    if (busy || signal.aborted) return;
    busy = true;
    end.classList.add("loading");
    try {
      const still = await load();
      if (!still) return stop();
      observer.unobserve(end);
      observer.observe(end); // which tells again where the end is
    } catch (error) {
      if (!signal.aborted) failed(error);
      stop();
    } finally {
      busy = false;
      end.classList.remove("loading");
    }
  };
  const stop = () => {
    observer.disconnect();
    end.remove();
  };
  observer.observe(end);
  signal.addEventListener("abort", stop, { once: true });
  return end;
}
