// The words of proofs, and sentences made from evidence.

import { counted, percent } from "./figures.js";
import { listed } from "./words.js";

/** @typedef {import("./types.js").Evidence} Evidence */

export const proofWords = {
  views: "Ways to look at it",
  facts: "What is known of this match",
  unknown: "This match is not in the answer any more.",
  before: "Match before",
  after: "Next match",
  hows: { sides: "Side by side", slider: "Slider", blink: "Blink", difference: "Difference" },
  yours: "Your picture",
  theirs: "The match",
  areas: "Areas that both show",
  points: "Points that agree",
  slide: "How much of your picture is laid over the match",
  slideHint: "Move the line to compare. The match is turned and sized to lie exactly under your picture.",
  blinkHint: "Both pictures in turn, in the same position. What jumps was changed.",
  play: "Start",
  pause: "Stop",
  swap: "Show the other",
  showing: (/** @type {string} */ which) => `Showing: ${which}`,
  differenceHint: "What is coloured is different, what is grey is the same. Brightness and contrast were made equal first.",
  noDrawing: "This cannot be drawn: the file of the match is not at hand, or this server does not show originals.",
  noProof: "These two look alike. Nothing shows that they are the same picture.",
  done: "What is different",
  nothingDone: "No visible change.",
  know: "How we know",
  where: "Where it was seen",
  family: "Its family",
  familyAbout: "Other copies of this picture in the collection.",
  familyNone: "No other copies of it are known.",
  familyUnknown: "Its family cannot be shown: the file of the match is not at hand.",
  file: "The file",
  figures: "All figures",
  copies: "Find its copies",
  original: "Open the file",
  copyPath: "Copy",
  copied: "Copied.",
  since: "first seen",
  until: "last seen",
  gone: "gone since",
  link: { symbolic: "link to", hard: "the same file as" },
  onPage: "on the page",
  fact: {
    size: "Size", format: "Format", bytes: "Bytes", added: "Added", taken: "Taken", creator: "Made by", credit_line: "Credit",
    copyright: "Copyright", licensor: "Licensed by", rights_url: "Licence", labels: "Perhaps", colours: "Colours", id: "Number",
  },
  figure: {
    method: "Method", distance: "Bits that differ, of 256", inliers: "Points that agree", agreement: "Agreement of the pixels",
    similarity: "Similarity", query: "Share of your picture", match: "Share of the match", transform: "From the match to your picture",
  },
};

/** How we know, as sentences. @param {import("./types.js").Match} match @returns {string[]} */
export function knowing(match) {
  const { evidence } = match;
  const said = [];
  if (evidence.method === "sha256") return ["Both files have the same bytes, every one of them."];
  if (match.kind === "similar") return [proofWords.noProof];
  if (evidence.inliers !== null) {
    said.push(`${counted(evidence.inliers, "detail")} lie in the same arrangement in both pictures.`);
  }
  if (evidence.distance !== null) {
    said.push(evidence.distance === 0 ? "As a whole they look exactly the same." : `As a whole they look the same in ${percent(1 - evidence.distance / 256)} of what was compared.`);
  }
  const { query, match: other } = evidence.coverage;
  if (query !== null && other !== null) {
    if (query > 0.99 && other > 0.99) said.push("Both show the whole of the other.");
    else said.push(`${percent(other)} of the match is in your picture, and it fills ${percent(query)} of yours.`);
  }
  if (evidence.agreement !== null) {
    said.push(
      evidence.agreement > 0.9
        ? "Laid on each other, their pixels agree nearly everywhere."
        : evidence.agreement > 0.6
          ? "Laid on each other, their pixels agree for the most part."
          : "Laid on each other, their pixels agree in places.",
    );
  }
  return said;
}

/**
 * What is done to the match to lay it on the query, in words; "" where nothing is known.
 * @param {Evidence} evidence @param {{width: number, height: number}} match
 */
export function placing(evidence, match) {
  const m = evidence.transform;
  if (!m) return "";
  const [x, y] = [match.width / 2, match.height / 2];
  const w = m[2][0] * x + m[2][1] * y + m[2][2] || 1;
  const [u, v] = [(m[0][0] * x + m[0][1] * y + m[0][2]) / w, (m[1][0] * x + m[1][1] * y + m[1][2]) / w];
  // How the middle of the match is moved: its derivative there.
  const a = (m[0][0] - u * m[2][0]) / w;
  const b = (m[0][1] - u * m[2][1]) / w;
  const c = (m[1][0] - v * m[2][0]) / w;
  const d = (m[1][1] - v * m[2][1]) / w;
  const area = a * d - b * c;
  const mirrored = area < 0;
  const scale = Math.sqrt(Math.abs(area));
  const turn = (Math.atan2(mirrored ? -c : c, mirrored ? -a : a) * 180) / Math.PI;
  const degrees = mirrored ? -turn : turn;
  const said = [];
  if (mirrored) said.push("mirrored");
  if (Math.abs(degrees) >= 0.5) said.push(`turned ${Number(Math.abs(degrees).toFixed(1))}° to the ${degrees > 0 ? "right" : "left"}`);
  if (Math.abs(scale - 1) > 0.005) said.push(`${scale > 1 ? "enlarged" : "reduced"} to ${percent(scale)}`);
  const moved = [Math.round(u - x * scale), Math.round(v - y * scale)];
  const ways = [];
  if (Math.abs(moved[0]) >= 1) ways.push(`${counted(Math.abs(moved[0]), "pixel")} to the ${moved[0] > 0 ? "right" : "left"}`);
  if (Math.abs(moved[1]) >= 1) ways.push(`${counted(Math.abs(moved[1]), "pixel")} ${moved[1] > 0 ? "down" : "up"}`);
  if (ways.length) said.push(`moved ${ways.join(" and ")}`);
  return said.length ? `To lie on your picture, the match is ${listed(said)}.` : "The match lies on your picture as it is.";
}
