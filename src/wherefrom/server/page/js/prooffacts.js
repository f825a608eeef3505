// What is known of a match, in words first; the figures are one press further down.

import { bdi, fill, h, styled, tell } from "./dom.js";
import { ask, original, search as searched, stopped } from "./api.js";
import { doneTo, mat, seenAt } from "./cards.js";
import { bytes, date, place, size, taken, time } from "./figures.js";
import { icon, mark } from "./icons.js";
import { knowing, placing, proofWords } from "./proofwords.js";
import { address, route } from "./route.js";
import { copyText } from "./toolbar.js";
import { editFigure, editWords, likely, meaningInFull, verdict, words } from "./words.js";

/** @typedef {import("./types.js").Match} Match */
/** @typedef {import("./types.js").ImageFacts} ImageFacts */

const FAMILY = 24; // of which thumbnails are shown

/** @param {import("./searching.js").Search} search @param {Match} match @param {AbortSignal} signal */
export function facts(search, match, signal) {
  const file = h("div");
  const family = h("div", {}, h("p.soft", {}, words.loading));
  fill(file, fileList(match));
  void more(match, file, signal);
  if (match.kind !== "similar") void kin(match, family, signal);
  const said = verdict(match, seenAt(match).name);
  const id = match.id;
  return h(
    "div.facts",
    {},
    h("p.proof-verdict.serif", {}, match.kind === "similar" ? words.kinds.similar : [`${said.lead} `, bdi(said.name), said.rest, likely(match)]),
    h("p.soft", {}, meaningInFull(match)),
    h(
      "p.actions",
      {},
      h("a.button.small", { href: address({ id, collection: route().collection }) }, icon("search"), proofWords.copies),
      match.original_url && h("a.button.small", { href: original(id), target: "_blank", rel: "noopener" }, icon("picture"), proofWords.original),
    ),
    match.kind !== "similar" && section(proofWords.done, done(match)),
    section(proofWords.know, h("ul.plain-list", {}, ...knowing(match).map((one) => h("li", {}, one)))),
    section(proofWords.where, places(match)),
    match.kind !== "similar" && section(proofWords.family, family),
    section(proofWords.file, file),
    h("details.figures", {}, h("summary", {}, proofWords.figures), figures(match, search)),
  );
}

/** @param {string} title @param {Node} content */
const section = (title, content) => h("section", {}, h("h3", {}, title), content);

/** @param {Match} match */
function done(match) {
  const { edits } = match.evidence;
  if (!edits.length) return h("p", {}, proofWords.nothingDone);
  return h(
    "ul.edits",
    {},
    ...edits.map((edit) => h("li", {}, editWords(edit), editFigure(edit) && h("span.soft", {}, editFigure(edit)))),
  );
}

/** @param {ImageFacts} image */
export function places(image) {
  if (!image.sightings.length) return h("p.soft", {}, words.card.noPlace);
  return h("ul.places", {}, ...image.sightings.map(sighting));
}

/** @param {import("./types.js").Sighting} one */
function sighting(one) {
  const found = place(one.uri);
  const page = one.page ? place(one.page) : null;
  const copy = async () => {
    try {
      await copyText(found.whole);
      tell("notice", { text: proofWords.copied, seconds: 2 });
    } catch {
      tell("notice", { text: words.share.failed });
    }
  };
  const dates = [
    one.first_seen && `${proofWords.since} ${date(one.first_seen)}`,
    one.last_seen && date(one.last_seen) !== date(one.first_seen) && `${proofWords.until} ${date(one.last_seen)}`,
    one.gone ? `${proofWords.gone} ${date(one.gone)}` : one.there === false && words.card.gone,
    one.link && `${proofWords.link[one.link.kind]} ${place(one.link.uri).whole}`,
  ].filter(Boolean);
  return h(
    "li",
    {},
    h(
      "div.place",
      {},
      found.link ? h("a", { href: found.link, target: "_blank", rel: "noopener noreferrer" }, bdi(found.whole)) : bdi(found.whole),
      h("button.plain.small", { type: "button", "aria-label": `${proofWords.copyPath}: ${found.name}`, title: proofWords.copyPath, onclick: () => void copy() }, icon("copy")),
    ),
    one.title && bdi(one.title, "p"),
    page?.link && h("p", {}, `${proofWords.onPage} `, h("a", { href: page.link, target: "_blank", rel: "noopener noreferrer" }, bdi(page.whole))),
    h("p.soft", {}, dates.join(" · ")),
  );
}

/** What the file says, and once it is known what it shows. @param {ImageFacts} image */
export function fileList(image) {
  const { fact } = proofWords;
  /** @type {[string, any][]} */
  const rows = [
    [fact.size, size(image.width, image.height)],
    [fact.format, image.format.toUpperCase()],
    [fact.bytes, bytes(image.bytes)],
    [fact.added, image.added && time(image.added)],
    [fact.taken, image.credit.taken && taken(image.credit.taken)],
    [fact.creator, image.credit.creator && bdi(image.credit.creator)],
    [fact.credit_line, image.credit.credit_line && bdi(image.credit.credit_line)],
    [fact.copyright, image.credit.copyright && bdi(image.credit.copyright)],
    [fact.licensor, image.credit.licensor && bdi(image.credit.licensor)],
    [fact.rights_url, image.credit.rights_url && h("a", { href: image.credit.rights_url, target: "_blank", rel: "noopener noreferrer" }, bdi(image.credit.rights_url))],
    [fact.labels, image.labels?.map((one) => one.name).join(", ")],
    [fact.colours, image.colours?.length && swatches(image.colours)],
    ...Object.entries(image.fields ?? {}).map(([name, value]) => /** @type {[string, any]} */ ([name, bdi(String(value))])),
    [fact.id, h("code.id", {}, image.id)],
  ];
  return h("dl.rows", {}, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", { dir: "auto" }, name), h("dd", {}, value)]));
}

/** @param {NonNullable<ImageFacts["colours"]>} colours */
function swatches(colours) {
  return h(
    "span.swatches",
    {},
    ...colours.slice(0, 8).map((one) => {
      const code = one.hex ?? one.colour ?? "";
      const said = [one.name ?? code, one.share ? `${Math.round(100 * one.share)} %` : ""].join(" ");
      return styled(h("span.swatch", { title: said, role: "img", "aria-label": said }), { "background-color": code });
    }),
  );
}

/** @param {Match} match @param {HTMLElement} into @param {AbortSignal} signal */
async function more(match, into, signal) {
  try {
    const image = await ask(`images/${match.id}`, { signal });
    fill(into, fileList(image));
  } catch (error) {
    if (!stopped(error)) return; // what the match said is shown already
  }
}

/** The copies of the match itself. @param {Match} match @param {HTMLElement} into @param {AbortSignal} signal */
async function kin(match, into, signal) {
  try {
    const answer = await searched({ id: match.id }, { kinds: "claims", limit: FAMILY }, { signal });
    const others = answer.matches.filter((one) => one.id !== match.id);
    if (!others.length) fill(into, h("p.soft", {}, proofWords.familyNone));
    else fill(into, h("p.soft", {}, proofWords.familyAbout), h("ul.kin", { role: "list" }, ...others.map(relative)));
  } catch (error) {
    if (!stopped(error)) fill(into, h("p.soft", {}, proofWords.familyUnknown));
  }
}

/** @param {Match} one */
function relative(one) {
  const { name } = seenAt(one);
  const said = doneTo(one);
  return h(
    "li",
    {},
    h("a.kin-link", { href: address({ id: one.id, collection: route().collection }), title: `${name}: ${said}` }, mat(one, 192), h("span.kin-words", {}, mark(one.kind), bdi(name))),
  );
}

/** @param {Match} match @param {import("./searching.js").Search} search */
function figures(match, search) {
  const { evidence } = match;
  const { figure } = proofWords;
  /** @type {[string, any][]} */
  const rows = [
    [figure.method, evidence.method],
    [figure.inliers, evidence.inliers],
    [figure.distance, evidence.distance],
    [figure.agreement, evidence.agreement?.toFixed(3)],
    [figure.similarity, evidence.similarity?.toFixed(3)],
    [figure.query, evidence.coverage.query?.toFixed(3)],
    [figure.match, evidence.coverage.match?.toFixed(3)],
    ...evidence.edits.filter((edit) => edit.amount !== null).map((edit) => /** @type {[string, any]} */ ([editWords(edit), edit.amount?.toFixed(4)])),
  ];
  const said = placing(evidence, match);
  return h(
    "div",
    {},
    said && h("p", {}, said),
    h("dl.rows", {}, ...rows.filter(([, value]) => value !== null && value !== undefined).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    evidence.transform && h("p.soft", {}, `${figure.transform}, ${size(match.width, match.height)} → ${size(search.query?.width ?? 0, search.query?.height ?? 0)}`),
    evidence.transform &&
      h("table.matrix", { "aria-label": figure.transform }, h("tbody", {}, ...evidence.transform.map((row) => h("tr", {}, ...row.map((value) => h("td", {}, value.toPrecision(6))))))),
  );
}
