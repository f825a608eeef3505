// What is around every view: the head with its links, what is announced, notices, and the question for a key.

import { h, fill, hear, announce } from "./dom.js";
import { isTaken, key } from "./api.js";
import { icon } from "./icons.js";
import { address, go, route } from "./route.js";
import { failureWords, words } from "./words.js";

/** @typedef {import("./types.js").Status} Status */

const VIEWS = /** @type {const} */ (["search", "images", "duplicates", "add"]);
const THEME = "wherefrom-theme";
const THEMES = /** @type {const} */ (["auto", "light", "dark"]);

/** The head of the page. @returns {HTMLElement} */
export function header() {
  const links = VIEWS.map((view) => h("a.nav-link", { href: address({ view }), "data-view": view }, words.nav[view]));
  const chosen = h("select.collections", {
    "aria-label": words.collection,
    hidden: true,
    onchange: () => go(address({ view: route().view, collection: chosen.value })),
  });
  const here = () => {
    const now = route();
    for (const link of links) {
      link.href = address({ view: link.dataset.view, collection: now.collection });
      if (link.dataset.view === now.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (now.collection) chosen.value = now.collection;
  };
  hear("route", here);
  hear("status", (/** @type {Status} */ status) => {
    chosen.hidden = status.collections.length < 2;
    fill(chosen, ...status.collections.map((one) => h("option", { value: one.name }, one.name)));
    chosen.value = route().collection ?? status.collections.find((one) => one.default)?.name ?? status.collections[0]?.name;
  });
  here();
  return h(
    "header.head",
    {},
    h("a.brand", { href: "#" }, brandMark(), h("span", { translate: "no" }, words.name)),
    h("nav.nav", { "aria-label": words.nav.label }, ...links),
    chosen,
    themeButton(),
  );
}

function brandMark() {
  return h("span.brand-mark", { "aria-hidden": "true" });
}

function themeButton() {
  const apply = (/** @type {string} */ theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  const named = (/** @type {typeof THEMES[number]} */ theme) => `${words.theme.label}: ${words.theme[theme]}`;
  let now = THEMES.find((theme) => theme === localStorage.getItem(THEME)) ?? "auto";
  const button = h("button.plain.theme", { type: "button", "aria-label": named(now), title: named(now) }, icon(now));
  apply(now);
  button.addEventListener("click", () => {
    now = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    localStorage.setItem(THEME, now);
    apply(now);
    button.setAttribute("aria-label", named(now));
    button.title = named(now);
    fill(button, icon(now));
    announce(named(now));
  });
  return button;
}

/** The regions that screen readers listen to, the place of notices, and the veil over the page while dropping. */
export function live() {
  return h(
    "div.live",
    {},
    h("p.unseen", { id: "wherefrom-status", role: "status" }),
    h("p.unseen", { id: "wherefrom-alert", role: "alert" }),
    h("div.notices", { id: "wherefrom-notices" }),
    h("div.veil", { "aria-hidden": "true" }, h("p", { "data-search": words.dropAnywhere, "data-add": words.dropAdd })),
  );
}

/** The last notice that asks for nothing: the next one takes its place. @type {{end: () => void}|null} */
let plain = null;

/**
 * A notice at the foot of the page, for some seconds: it stays while it is pointed at or has the focus.
 * @param {{text: string, action?: string, act?: () => void, over?: () => void, seconds?: number, failure?: import("./api.js").Failure}} said
 */
export function notice({ text, action, act, over, seconds = 6, failure }) {
  const shown = failure ? `${failureWords(failure).title}. ${failureWords(failure).detail}` : text;
  let left = seconds * 1000;
  let held = false;
  let done = false;
  const finish = (/** @type {boolean} */ acted) => {
    if (done) return;
    done = true;
    clearInterval(clock);
    removeEventListener("pagehide", leaving);
    card.remove();
    if (!acted) over?.();
  };
  const leaving = () => finish(false);
  const card = h(
    "div.notice",
    {
      onpointerenter: () => (held = true),
      onpointerleave: () => (held = false),
      onfocusin: () => (held = true),
      onfocusout: () => (held = false),
    },
    failure && icon("alert"),
    h("p", {}, shown),
    action &&
      h("button.button.small", { type: "button", onclick: () => (finish(true), act?.()) }, action),
    h("button.plain.small", { type: "button", "aria-label": words.close, onclick: () => finish(false) }, icon("close")),
  );
  const clock = setInterval(() => {
    if (!held) left -= 250;
    if (left <= 0) finish(false);
  }, 250);
  addEventListener("pagehide", leaving);
  document.getElementById("wherefrom-notices")?.append(card);
  announce(action ? `${shown} ${action}?` : shown, Boolean(failure));
  if (action) return;
  plain?.end();
  plain = { end: () => finish(false) };
}

/** Ask for a key in a dialog. @param {{wrong: boolean, resolve: (given: boolean) => void}} asked */
export function askForKey({ wrong, resolve }) {
  const field = h("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false", "aria-describedby": "key-about" });
  const refused = h("p.bad", { role: "alert", hidden: !wrong }, words.key.wrong);
  const dialog = h(
    "dialog.ask",
    { "aria-labelledby": "key-title", onclose: () => ended() },
    h(
      "form",
      { method: "dialog", onsubmit: (/** @type {SubmitEvent} */ event) => void used(event) },
      h("h2", { id: "key-title" }, icon("key"), words.key.title),
      refused,
      h("p.soft", { id: "key-about" }, words.key.about),
      h("label", { for: "key" }, words.key.label),
      field,
      h(
        "p.actions",
        {},
        h("button.button.primary", { value: "use" }, words.key.enter),
        h("button.button", { value: "", formnovalidate: true }, words.cancel),
      ),
    ),
  );
  // A key that the server does not take is said so here, and can be put right here.
  const used = async (/** @type {SubmitEvent} */ event) => {
    const button = /** @type {HTMLButtonElement|null} */ (event.submitter);
    if (button && button.value !== "use") return;
    event.preventDefault();
    refused.hidden = true;
    if (await isTaken(field.value.trim())) return void dialog.close("use");
    refused.hidden = false;
    field.select();
  };
  const ended = () => {
    const given = dialog.returnValue === "use" && field.value.trim();
    if (given) key.set(given);
    dialog.remove();
    resolve(Boolean(given));
  };
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * A failure as a whole state: what happened, and what to do; `title` is the heading's element.
 * @param {import("./api.js").Failure} failure @param {{label: string, act: () => void}[]} actions
 */
export function failed(failure, actions, title = "h2") {
  const said = failureWords(failure);
  return h(
    "section.state",
    { role: "alert" },
    icon(failure.code === "offline" ? "offline" : "alert"),
    h(`${title}.state-title`, {}, said.title),
    said.detail && h("p", {}, said.detail),
    h("p.actions", {}, ...actions.map(({ label, act }) => h("button.button", { type: "button", onclick: act }, label))),
  );
}

/** Try again by itself after a failure that passes: when the network is back, or after some seconds.
 * @param {import("./api.js").Failure} failure @param {() => void} act @param {AbortSignal} signal */
export function tryLater(failure, act, signal) {
  if (!failure.passes) return;
  const stop = new AbortController();
  const once = () => {
    stop.abort();
    clearTimeout(clock);
    if (!signal.aborted) act();
  };
  const clock = setTimeout(once, Math.min(60, Math.max(4, failure.retryAfter)) * 1000);
  addEventListener("online", once, { signal: stop.signal });
  signal.addEventListener("abort", () => (clearTimeout(clock), stop.abort()), { once: true });
}
