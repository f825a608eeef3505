// The ways to look at a proof: side by side with areas and points, slider, blink, difference.

import { announce, calm, fill, h, styled, svg } from "./dom.js";
import { proof, queryPicture, thumbnail } from "./api.js";
import { picture } from "./cards.js";
import { icon } from "./icons.js";
import { proofWords } from "./proofwords.js";

/** @typedef {import("./searching.js").Search} Search */
/** @typedef {import("./types.js").Match} Match */
/** @typedef {import("./types.js").Point} Point */

export const HOWS = /** @type {const} */ (["sides", "slider", "blink", "difference"]);

const LARGE = 1024; // pixels of the longer side of pictures on the stage
const LINES = 70; // more would hide the pictures
const BLINK = 900; // ms that each picture is shown: far from what could harm anybody
const GAP = 36;
const SIDE = 1000; // the length that both pictures share in the drawing's own units

/**
 * The view of this name. @param {Search} search @param {Match} match @param {string} how @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function view(search, match, how, signal) {
  if (how === "slider") return slider(search, match);
  if (how === "blink") return blink(search, match, signal);
  if (how === "difference") return difference(search, match);
  return sides(search, match, signal);
}

/** @param {Search} search */
const query = (search) => ({ width: search.query?.width ?? 1, height: search.query?.height ?? 1 });

/** The query's picture. @param {Search} search @param {Match} match */
const ours = (search, match) => picture(queryPicture(match.token ?? search.token, LARGE), { ...query(search), alt: proofWords.yours, eager: true });

// Side by side

/** @param {Search} search @param {Match} match @param {AbortSignal} signal */
function sides(search, match, signal) {
  const left = h("figure.side", {}, ours(search, match), h("figcaption", {}, proofWords.yours));
  const right = h("figure.side", {}, picture(thumbnail(match.id, LARGE), { ...match, alt: proofWords.theirs, eager: true }), h("figcaption", {}, proofWords.theirs));
  const drawing = svg("svg", { class: "drawing", "aria-hidden": "true" });
  const pair = h("div.pair", {}, left, right, drawing);
  const box = h("div.fitted.sided", {}, pair);
  const shows = { areas: true, points: false };
  let laid = "";
  const lay = () => {
    const { width, height } = box.getBoundingClientRect();
    if (!width || !height) return;
    const [a, b] = [query(search), match];
    const across = { w: SIDE * (a.width / a.height + b.width / b.height) + GAP, h: SIDE };
    const down = { w: SIDE, h: SIDE * (a.height / a.width + b.height / b.width) + GAP };
    const scale = (/** @type {{w: number, h: number}} */ sheet) => Math.min(width / sheet.w, height / sheet.h);
    // Whichever way both are larger, by their common side.
    const area = (/** @type {{w: number, h: number}} */ sheet) => scale(sheet) ** 2 * sheet.w * sheet.h;
    const beside = area(across) >= area(down);
    if (laid === String(beside)) return;
    laid = String(beside);
    const sheet = beside ? across : down;
    pair.toggleAttribute("data-beside", beside);
    const ka = beside ? SIDE / a.height : SIDE / a.width;
    const kb = beside ? SIDE / b.height : SIDE / b.width;
    const shift = beside ? [a.width * ka + GAP, 0] : [0, a.height * ka + GAP];
    styled(pair, { "--ratio": `${sheet.w} / ${sheet.h}` });
    put(left, 0, 0, a.width * ka, a.height * ka, sheet);
    put(right, shift[0], shift[1], b.width * kb, b.height * kb, sheet);
    drawing.setAttribute("viewBox", `0 0 ${sheet.w} ${sheet.h}`);
    fill(drawing, ...drawn(match, { a, b, ka, kb, shift }));
  };
  const watching = new ResizeObserver(lay);
  watching.observe(box);
  signal.addEventListener("abort", () => watching.disconnect(), { once: true });
  const toggle = (/** @type {"areas"|"points"} */ name, /** @type {boolean} */ there) =>
    there &&
    h(
      "label.check",
      {},
      h("input", { type: "checkbox", checked: shows[name], onchange: (/** @type {any} */ event) => pair.toggleAttribute(`data-${name}`, event.target.checked) }),
      proofWords[name],
    );
  pair.toggleAttribute("data-areas", shows.areas);
  const { evidence } = match;
  return h(
    "div.way",
    {},
    box,
    h("div.way-tools", {}, match.kind === "similar" ? h("p.soft", {}, proofWords.noProof) : [toggle("areas", Boolean(evidence.query_area)), toggle("points", evidence.points.length > 0)]),
  );
}

/** @param {any} element @param {number} x @param {number} y @param {number} w @param {number} h0 @param {{w: number, h: number}} sheet */
function put(element, x, y, w, h0, sheet) {
  styled(element, { left: `${(100 * x) / sheet.w}%`, top: `${(100 * y) / sheet.h}%`, width: `${(100 * w) / sheet.w}%`, height: `${(100 * h0) / sheet.h}%` });
}

/**
 * An area of the query in pixels of the match; null where nothing says how the two lie.
 * @param {Point[]} area @param {number[][]|null} transform @returns {Point[]|null}
 */
function onMatch(area, transform) {
  if (!transform) return null;
  const [[a, b, c], [d, e, f], [g, h0, i]] = transform;
  // The adjugate: the inverse but for a factor, which falls out.
  const back = [
    [e * i - f * h0, c * h0 - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h0 - e * g, b * g - a * h0, a * e - b * d],
  ];
  return area.map(([x, y]) => {
    const [u, v, w] = back.map(([p, q, r]) => p * x + q * y + r);
    return /** @type {Point} */ ([u / w, v / w]);
  });
}

/**
 * Areas, what differs, and points with their lines, in the units of the sheet.
 * @param {Match} match
 * @param {{a: {width: number, height: number}, b: {width: number, height: number}, ka: number, kb: number, shift: number[]}} sheet
 */
function drawn({ evidence }, { a, b, ka, kb, shift }) {
  const mine = (/** @type {number} */ x, /** @type {number} */ y) => [x * ka, y * ka];
  const theirs = (/** @type {number} */ x, /** @type {number} */ y) => [x * kb + shift[0], y * kb + shift[1]];
  const path = (/** @type {Point[]} */ corners, /** @type {typeof mine} */ to) => `M${corners.map(([x, y]) => to(x, y).map((value) => value.toFixed(1)).join(" ")).join("L")}Z`;
  /** @type {(size: {width: number, height: number}) => Point[]} */
  const frame = ({ width, height }) => [[0, 0], [width, 0], [width, height], [0, height]];
  /** @type {SVGElement[]} */
  const areas = [];
  for (const [corners, size, to] of /** @type {const} */ ([[evidence.query_area, a, mine], [evidence.match_area, b, theirs]])) {
    if (!corners) continue;
    areas.push(svg("path", { class: "dim", d: path(frame(size), to) + path(corners, to), "fill-rule": "evenodd" }));
    areas.push(svg("path", { class: "outline under", d: path(corners, to) }), svg("path", { class: "outline", d: path(corners, to) }));
  }
  for (const edit of evidence.edits) {
    if (edit.name !== "overlay" || !edit.area) continue;
    areas.push(svg("path", { class: "laid-over", d: path(edit.area, mine) }));
    const there = onMatch(edit.area, evidence.transform);
    if (there) areas.push(svg("path", { class: "laid-over", d: path(there, theirs) }));
  }
  const points = evidence.points;
  const step = Math.max(1, points.length / LINES);
  const lines = [];
  for (let at = 0; at < points.length; at += step) {
    const [x, y, u, v] = points[Math.floor(at)];
    const [[x1, y1], [x2, y2]] = [mine(x, y), theirs(u, v)];
    lines.push(svg("line", { x1, y1, x2, y2 }));
  }
  const dots = points.flatMap(([x, y, u, v]) =>
    [mine(x, y), theirs(u, v)].map(([cx, cy]) => svg("circle", { cx, cy, r: 5 })),
  );
  return [svg("g", { class: "areas" }, areas), svg("g", { class: "points" }, lines, dots)];
}

// Slider, blink, difference: both in the query's frame

/** @param {Search} search @param {Match} match */
function stack(search, match) {
  const { width, height } = query(search);
  const under = picture(proof(match.token ?? search.token, match.id, "aligned"), { width, height, alt: proofWords.theirs, eager: true });
  const over = ours(search, match);
  const frame = styled(h("div.frame", {}, under, over), { "--ratio": `${width} / ${height}` });
  under.addEventListener("error", () => queueMicrotask(() => frame.replaceWith(h("p.no-drawing", {}, proofWords.noDrawing))), { once: true });
  over.classList.add("over");
  return frame;
}

/** @param {Search} search @param {Match} match */
function slider(search, match) {
  const frame = stack(search, match);
  frame.classList.add("sliding");
  frame.append(h("span.cut-line", { "aria-hidden": "true" }));
  const range = h("input.slide", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": proofWords.slide });
  const set = () => styled(frame, { "--cut": `${range.value}%` });
  range.addEventListener("input", set);
  frame.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    const follow = (/** @type {PointerEvent} */ now) => {
      const area = frame.getBoundingClientRect();
      range.value = String((100 * (now.clientX - area.left)) / area.width);
      set();
    };
    follow(event);
    const end = new AbortController();
    frame.addEventListener("pointermove", follow, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => end.abort(), { signal: end.signal });
  });
  set();
  return h("div.way", {}, h("div.fitted", {}, frame), h("div.way-tools.column", {}, range, h("p.soft", {}, proofWords.slideHint)));
}

/** @param {Search} search @param {Match} match @param {AbortSignal} signal */
function blink(search, match, signal) {
  const frame = stack(search, match);
  frame.classList.add("blinking");
  const which = h("p.which", {});
  let clock = 0;
  const turn = (/** @type {boolean} */ aloud) => {
    const now = frame.toggleAttribute("data-under");
    which.textContent = now ? proofWords.theirs : proofWords.yours;
    if (aloud) announce(proofWords.showing(which.textContent));
  };
  const stop = () => {
    clearInterval(clock);
    clock = 0;
    fill(button, icon("play"), proofWords.play);
  };
  const start = () => {
    clock = setInterval(() => (frame.isConnected ? turn(false) : stop()), BLINK);
    fill(button, icon("pause"), proofWords.pause);
  };
  const button = h("button.button", { type: "button", onclick: () => (clock ? stop() : start()) }, icon("play"), proofWords.play);
  const other = h("button.button", { type: "button", onclick: () => (stop(), turn(true)) }, proofWords.swap);
  which.textContent = proofWords.yours;
  signal.addEventListener("abort", stop, { once: true });
  if (!calm()) start();
  return h("div.way", {}, h("div.fitted", {}, frame), h("div.way-tools", {}, button, other, which, h("p.soft.wide", {}, proofWords.blinkHint)));
}

/** @param {Search} search @param {Match} match */
function difference(search, match) {
  const { width, height } = query(search);
  const image = picture(proof(match.token ?? search.token, match.id, "difference"), { width, height, alt: proofWords.differenceHint, eager: true });
  const frame = styled(h("div.frame", {}, image), { "--ratio": `${width} / ${height}` });
  image.addEventListener("error", () => queueMicrotask(() => frame.replaceWith(h("p.no-drawing", {}, proofWords.noDrawing))), { once: true });
  image.addEventListener("load", () => styled(frame, { "--ratio": `${image.naturalWidth} / ${image.naturalHeight}` }), { once: true });
  return h("div.way", {}, h("div.fitted", {}, frame), h("div.way-tools", {}, h("p.soft", {}, proofWords.differenceHint)));
}
