// Every word of the page, in plain English. Figures come from figures.js.

import { counted, number, percent, score } from "./figures.js";

export const words = {
  name: "Wherefrom",
  skip: "Skip to what was found",
  question: "Where does this picture come from?",
  promise: "Every copy of it, however it was edited, what looks like it, and the proof.",
  drop: "Drop a picture here",
  dropAnywhere: "Let go to search with this picture",
  dropAdd: "Let go to add these pictures",
  pasteToo: "or paste one",
  choose: "Choose a picture",
  camera: "Take a photo",
  address: "Address of a picture",
  addressHint: "https://…",
  find: "Search",
  searching: (/** @type {number} */ count) => `Searching ${counted(count, "picture")} kept on this server.`,
  emptyCollection: "There are no pictures in this collection yet.",
  addFirst: "Add the first ones",
  nav: { label: "Parts of the page", search: "Search", images: "Collection", duplicates: "Duplicates", add: "Add" },
  collection: "Collection",
  theme: { label: "Appearance", auto: "As the system", light: "Light", dark: "Dark" },
  close: "Close",
  cancel: "Cancel",
  again: "Try again",
  more: "More",
  loading: "Loading…",
  query: {
    label: "Your picture",
    another: "Another picture",
    noPreview: "This browser cannot show this format. It is searched all the same.",
    part: "Search a part",
    partHint: "Draw a rectangle on the picture, or move one with the arrow keys.",
    box: (/** @type {number[]} */ b) =>
      `Selected part: ${Math.round(b[2] - b[0])} by ${Math.round(b[3] - b[1])} pixels, ` +
      `${Math.round(b[0])} from the left, ${Math.round(b[1])} from the top.`,
    boxKeys: "Arrow keys move it, Shift and arrow keys change its size, Enter searches, Escape clears.",
    numbers: "By numbers",
    sides: ["Left", "Top", "Right", "Bottom"],
    search: "Search this part",
    whole: "Search the whole picture",
    object: (/** @type {number} */ n, /** @type {string} */ name) => (name ? `Search thing ${n}: perhaps ${name}` : `Search thing ${n}`),
    objects: (/** @type {number} */ n) => `${counted(n, "thing")} found in it. Press ${n === 1 ? "it" : "one"} to search for it alone.`,
    shows: "Perhaps",
    isPart: "A part of your picture was searched.",
  },
  busy: {
    sending: (/** @type {number} */ share) => `Sending… ${percent(share)}`,
    looking: "Looking…",
    fetching: "Fetching the picture…",
    slow: "Still looking. This takes longer than usual.",
    slowSending: "Still sending your picture. The connection is slow.",
    slowFetching: "Still fetching the picture or looking for it. This takes longer than usual.",
    verySlow: "This takes much longer than it should. You can wait, or try again later.",
  },
  tiers: {
    all: "All",
    same: { name: "The same picture", short: "Same", about: "Whole and unchanged: maybe another size, format or brightness." },
    copies: { name: "Edited copies", short: "Copies", about: "Cropped, mirrored, recoloured, written on, framed." },
    parts: { name: "Contains or is contained", short: "Parts", about: "They share a part: a collage, a screenshot, a detail." },
    alike: { name: "Looks alike", short: "Alike", about: "Similar to look at. Not proof that it is the same picture." },
    showAll: (/** @type {number} */ n) => `Show all ${number(n)}`,
    looking: "Looking for pictures that look alike…",
    noModel: "Pictures that look alike cannot be found here: no model is installed.",
    nav: "Kinds of match",
  },
  kinds: {
    identical: "The very same file",
    same: "The same picture",
    copy: "Edited copy",
    partial: "Shares a part",
    similar: "Looks alike",
  },
  card: {
    open: (/** @type {string} */ kind, /** @type {string} */ name) => `${kind}: ${name}. Show the proof`,
    openAlike: (/** @type {string} */ name) => `Looks alike: ${name}. Compare`,
    unchanged: "byte for byte",
    noEdits: "no visible change",
    seen: (/** @type {string} */ since) => `since ${since}`,
    places: (/** @type {number} */ n) => `and ${counted(n, "other place")}`,
    gone: "no longer there",
    noPlace: "Added without a place",
    folded: (/** @type {number} */ n) => `and ${counted(n, "near copy", "near copies")} of it`,
    noThumbnail: "No preview",
  },
  sort: {
    label: "Sort",
    best: "Surest first",
    changed: "Most changed",
    biggest: "Largest",
    smallest: "Smallest",
    newest: "Newest",
    oldest: "Oldest",
    added: "Last added",
  },
  filter: {
    label: "Filter",
    format: "File format",
    any: "Any",
    width: "At least this wide, in pixels",
    since: "Added since",
    place: "Path or address contains",
    creator: "Made by",
    sure: "How sure",
    sureAll: "All matches",
    sureVery: "Very sure: 97 and more",
    sureMost: "As good as certain: 99 and more",
    text: "As a filter",
    textHint: "type:jpeg width>=1000",
    apply: "Apply",
    clear: "Clear",
    clearAll: "Clear the filter",
  },
  share: {
    label: "Share a link",
    copied: "The link was copied.",
    copiedShort: "The link was copied. It works for some minutes, while the server remembers your picture.",
    failed: "The link could not be copied. It is in the address bar.",
  },
  save: { json: "Save as JSON", csv: "Save as CSV", saving: "Collecting all matches…", saved: (/** @type {number} */ n) => `${counted(n, "match", "matches")} saved.` },
  found: {
    label: "What was found",
    live: (/** @type {number} */ n) => (n ? `${counted(n, "match", "matches")} found.` : "No match found."),
    alikeLive: (/** @type {number} */ n) => `${counted(n, "picture")} that look alike.`,
    took: (/** @type {number} */ ms) => (ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`),
  },
  nothing: {
    title: "No copy was found",
    alike: "These pictures look alike, though. That is no proof.",
    why: "Why",
    tries: "What you can try",
    part: "Search the part that matters, without frame, text or surroundings.",
    larger: "Use a larger or less compressed version of the picture.",
    whole: "Search the whole picture again.",
    filter: "Search without the filter.",
    sure: "Show less sure matches too.",
    add: "Add the folder that it may come from.",
    held: (/** @type {number} */ n) => `Only the ${counted(n, "picture")} of this collection were searched, nothing on the web.`,
  },
  foreign: (/** @type {string} */ url) => `Another site asks this server to fetch a picture and to search for it:\n\n${url}\n\nFetch it?`,
  key: {
    title: "This server asks for a key",
    about: "Whoever runs it can give you one. It is kept until you close this tab.",
    label: "Key",
    wrong: "The server did not accept this key.",
    enter: "Use this key",
    missing: "Searching needs a key.",
    give: "Enter a key",
  },
  shot: {
    title: "Take a photo",
    take: "Take the photo",
    flip: "Other camera",
    asking: "Waiting for the camera…",
    refused: "The camera may not be used. Allow it in the browser, or choose a picture.",
    none: "No camera was found.",
    insecure: "Cameras work only on a secure address (https) or on this machine.",
    live: "What the camera sees",
  },
};

/** The words that belong to a failure: what happened, and what to do. @type {Record<string, {title: string, detail?: string}>} */
const failures = {
  offline: { title: "The server does not answer", detail: "Check that it runs and that you are connected. This page tries again by itself." },
  gone: { title: "This search is no longer kept", detail: "The server remembers a picture for some minutes. Choose it again to search." },
  busy: { title: "The server is busy", detail: "Too many searches at once. This page tries again by itself." },
  "not-a-picture": { title: "This is not a picture" },
  unsupported: { title: "This kind of picture cannot be read" },
  "missing-extra": { title: "This kind of picture cannot be read here" },
  "too-large": { title: "This picture is too large" },
  "too-slow": { title: "This picture took too long to read" },
  truncated: { title: "This file is not complete" },
  corrupt: { title: "This file is damaged" },
  empty: { title: "This file is empty" },
  unreadable: { title: "The file cannot be opened" },
  fetch: { title: "The address could not be fetched" },
  "blocked-address": { title: "This address may not be fetched" },
  "not-found": { title: "There is no such picture" },
  unauthorised: { title: "This server asks for a key" },
  forbidden: { title: "This is not allowed" },
  "slow-request": { title: "The picture took too long to arrive" },
  locked: { title: "The collection is being changed elsewhere" },
  "no-collection": { title: "There is no such collection" },
  damaged: { title: "The collection is damaged" },
  model: { title: "The model cannot be used" },
  "no-model": { title: "A model is missing" },
  usage: { title: "That cannot be searched for" },
};

/** @param {import("./api.js").Failure} failure @returns {{title: string, detail: string}} */
export function failureWords(failure) {
  const known = failures[failure.code] ?? { title: failure.title || "Something went wrong" };
  return { title: known.title, detail: known.detail ?? failure.detail };
}

/** What a score means, in a few words. @param {import("./types.js").Match} match */
export function meaning(match) {
  if (match.kind === "similar") return match.score >= 70 ? "very similar" : match.score >= 40 ? "alike" : "a little alike";
  if (match.score >= 100) return "certain";
  if (match.score >= 99) return "as good as certain";
  return match.score >= 97 ? "very sure" : "sure, but look at the proof";
}

/** What a score means, in a sentence. @param {import("./types.js").Match} match */
export function meaningInFull(match) {
  const said = score(match.score);
  if (match.kind === "similar")
    return `Score ${said}: in our tests about ${Math.round(match.score)} of 100 pictures this similar showed the same kind of thing. This is no proof.`;
  if (match.score >= 100) return "Score 100: the two files are the same, byte for byte.";
  return `Score ${said}: in our tests at least ${Math.floor(match.score)} of 100 such matches were right.`;
}

/** @type {Record<string, (amount: number|null) => string>} */
const edits = {
  crop: (share) => (share ? `cropped by ${percent(share)}` : "cropped"),
  mirror: () => "mirrored",
  rotate: (degrees) => (degrees === null ? "turned" : turned(degrees)),
  negative: () => "tones inverted",
  border: (share) => (share ? `border added, ${percent(share)}` : "border added"),
  scale: (ratio) => (ratio ? `${ratio > 1 ? "enlarged" : "reduced"} to ${percent(ratio)}` : "another size"),
  aspect: (ratio) => (ratio && ratio < 1 ? "squeezed" : "stretched"),
  perspective: () => "seen at an angle",
  embedded: (share) => (share ? `fills ${percent(share)} of your picture` : "set into something else"),
  frames: (differ) => (differ ? "begins with the same page or frame, and goes on otherwise" : "begins with the same page or frame"),
  grey: () => "colours removed",
  sepia: () => "colours changed to sepia",
  tint: () => "colours changed to one hue",
  channels: () => "red, green and blue swapped",
  hue: (degrees) => (degrees === null ? "hue turned" : `hue turned by ${Math.round(Math.min(degrees, 360 - degrees))}°`),
  recoloured: () => "colours changed",
  tone: (share) => (share === null ? "tones changed" : share < 0.05 ? "tones slightly changed" : share > 0.15 ? "tones strongly changed" : "tones changed"),
  blur: () => "blurred",
  noise: () => "grain added",
  compression: (amount) => (amount && amount > 0.5 ? "heavily compressed" : "compressed"),
  mask: (share) => (share ? `masked, ${percent(share)} hidden` : "masked"),
  overlay: (share) => (share ? `${percent(share)} of it differs` : "a part of it differs"),
};

/** What was done, one phrase. @param {import("./types.js").Edit} edit */
export const editWords = (edit) => edits[edit.name]?.(edit.amount) ?? edit.name;

/** What was done, all of it: several things laid over are one phrase. @param {import("./types.js").Edit[]} list */
export function allEdits(list) {
  const over = list.filter((edit) => edit.name === "overlay");
  const said = list.filter((edit) => edit.name !== "overlay").map(editWords);
  if (over.length) {
    const share = Math.min(1, over.reduce((sum, edit) => sum + (edit.amount ?? 0), 0));
    said.push(editWords({ name: "overlay", amount: share, area: null }) + (over.length > 1 ? `, in ${over.length} places` : ""));
  }
  return said;
}

const colourFigure = (/** @type {number} */ share) => `colours differ by ${percent(share)} of the range`;

/** @type {Record<string, (amount: number) => string>} */
const editFigures = {
  crop: (share) => `${percent(share)} of the original is missing from your picture`,
  rotate: (degrees) => `${degrees > 180 ? (360 - degrees).toFixed(1) : degrees.toFixed(1)}° ${degrees > 180 ? "anticlockwise" : "clockwise"}`,
  border: (share) => `${percent(share)} of your picture is border`,
  scale: (ratio) => `${ratio.toFixed(3)} times as long on each side`,
  aspect: (ratio) => `${ratio.toFixed(3)} times as wide for its height`,
  perspective: (share) => `a corner lies off by ${percent(share)} of the longer side`,
  embedded: (share) => `${percent(share)} of your picture shows it, the rest shows something else`,
  sepia: colourFigure,
  tint: colourFigure,
  channels: colourFigure,
  recoloured: colourFigure,
  hue: (degrees) => `every hue lies ${degrees.toFixed(0)}° further round the colour wheel`,
  tone: (share) => `brightness, contrast or colour differ by ${percent(share)} of the range`,
  blur: (sigma) => `by about ${sigma.toFixed(1)} pixels`,
  noise: (levels) => `about ${levels.toFixed(0)} of 255 grey levels`,
  compression: (amount) => `blocks stand out ${amount > 0.5 ? "strongly" : "a little"}`,
  mask: (share) => `${percent(share)} of what both show is hidden by one tone`,
  overlay: (share) => `${percent(share)} of what both show`,
};

/** The figure behind an edit, "" where there is none. @param {import("./types.js").Edit} edit */
export const editFigure = (edit) => (edit.amount === null ? "" : (editFigures[edit.name]?.(edit.amount) ?? ""));

/** The one sentence that answers the question, from the best match. @param {import("./types.js").Match} best @param {string} name */
export function verdict(best, name) {
  const said = allEdits(best.evidence.edits);
  switch (best.kind) {
    case "identical":
      return { lead: "This is exactly", name, rest: ", the very same file." };
    case "same":
      return { lead: "The same picture as", name, rest: said.length ? `: ${listed(said)}.` : ", with no visible change." };
    case "copy":
      return { lead: "The same picture as", name, rest: said.length ? `: ${listed(said)}.` : "." };
    case "partial":
      return { lead: "This shares a part with", name, rest: said.length ? `: ${listed(said)}.` : "." };
    default:
      return { lead: "Nothing is the same. Closest to look at is", name, rest: "." };
  }
}

/** "a, b and c". @param {string[]} parts */
export function listed(parts) {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`;
}

/** @param {number} degrees clockwise */
function turned(degrees) {
  const clockwise = ((degrees % 360) + 360) % 360;
  const shown = (/** @type {number} */ value) => `${Number(value.toFixed(value < 10 ? 1 : 0))}°`;
  if (Math.abs(clockwise - 180) < 0.5) return "turned upside down";
  return clockwise > 180 ? `turned ${shown(360 - clockwise)} to the left` : `turned ${shown(clockwise)} to the right`;
}

/** Which of the two was likely made from the other and why, "" where nothing says so. @param {import("./types.js").Match} best */
export function likely(best) {
  const direction = best.evidence.direction;
  if (!direction) return "";
  const why = direction.why.slice(0, 2).map((reason) => reason.text).join(", and ");
  return direction.from === "match" ? ` Likely made from it: ${why}.` : ` Likely made from your picture: ${why}.`;
}
