// Icons and the marks of the kinds, drawn as lines on a field of 20 by 20. They are never read out.

import { svg } from "./dom.js";

const paths = {
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M13 13l4 4",
  picture: "M3 4.5h14v11H3zM3 13l4-4 3.5 3.5L13 10l4 4M13 7.5h.01",
  camera: "M3 6.5h3l1.5-2h5l1.5 2h3v9H3zM10 8a2.8 2.8 0 1 0 0 5.6A2.8 2.8 0 0 0 10 8",
  close: "M5 5l10 10M15 5L5 15",
  back: "M12 4.5L6.5 10l5.5 5.5",
  next: "M8 4.5l5.5 5.5L8 15.5",
  down: "M5 7.5l5 5 5-5",
  filter: "M3.5 5h13M6 10h8M8.5 15h3",
  sort: "M6 4v12M3.5 13.5L6 16l2.5-2.5M14 16V4M11.5 6.5L14 4l2.5 2.5",
  share: "M8.5 11.5a3 3 0 0 0 4.3 0l2.9-2.9a3 3 0 0 0-4.3-4.3l-1 1M11.5 8.5a3 3 0 0 0-4.3 0l-2.9 2.9a3 3 0 0 0 4.3 4.3l1-1",
  save: "M10 3.5v9M6 9l4 4 4-4M4 16.5h12",
  crop: "M6 2.5V14h11.5M2.5 6H14v11.5",
  copy: "M7 7h9.5v9.5H7zM4 13H3.5V3.5H13V4",
  check: "M4 10.5l4 4 8-9",
  remove: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6M8.5 9v4.5M11.5 9v4.5",
  folder: "M3 5.5h5l1.5 2H17v8H3z",
  play: "M7 4.5v11l8.5-5.5z",
  pause: "M7 4.5v11M13 4.5v11",
  again: "M15.5 6.5A6.5 6.5 0 1 0 16.5 11M16 3v4h-4",
  alert: "M10 3L2.5 16.5h15zM10 8v4M10 14.3h.01",
  offline: "M3 3l14 14M4 9.5a9 9 0 0 1 3-2M10.5 6.6A9 9 0 0 1 16 9.5M7 12.5a4.5 4.5 0 0 1 3-1.2M10 15.5h.01",
  light: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 2.5v1.5M10 16v1.5M2.5 10H4M16 10h1.5M4.7 4.7l1 1M14.3 14.3l1 1M15.3 4.7l-1 1M5.7 14.3l-1 1",
  dark: "M16 12a6.5 6.5 0 0 1-8-8 6.5 6.5 0 1 0 8 8",
  auto: "M10 3.5a6.5 6.5 0 1 0 0 13zM10 3.5a6.5 6.5 0 0 1 0 13",
  plus: "M10 4v12M4 10h12",
  key: "M7 9.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M9.5 10.5l7-7M13.5 6.5l2 2",
};

/** @typedef {keyof typeof paths} IconName */

/** An icon, hidden from screen readers. @param {IconName} name */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: paths[name] }));
}

/** @type {Record<string, string>} share of the disc that is full, by kind */
const filled = {
  identical: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1",
  same: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1",
  copy: "M8 8V1a7 7 0 1 1-7 7z",
  partial: "M8 1a7 7 0 0 1 0 14z",
  similar: "",
};

/**
 * The mark of a kind: a disc, the fuller the more the two pictures share; looks alike is an empty ring.
 * @param {string} kind
 */
export function mark(kind) {
  return svg(
    "svg",
    { class: `mark mark-${kind}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("circle", { class: "ring", cx: 8, cy: 8, r: 6.25 }),
    filled[kind] && svg("path", { class: "full", d: filled[kind] }),
    kind === "identical" && svg("path", { class: "tick", d: "M4.8 8.3l2.2 2.2 4.2-4.6" }),
  );
}
