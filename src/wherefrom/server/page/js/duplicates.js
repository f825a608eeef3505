// `<wherefrom-duplicates>`: files that are one picture, which to keep, and the others removed if wanted.

import { announce, bdi, fill, h, hear, tell } from "./dom.js";
import { ask, asFailure, stopped, troubled } from "./api.js";
import { endless, mat } from "./cards.js";
import { collectionWords } from "./collectionwords.js";
import { bytes, place, size } from "./figures.js";
import { failed, tryLater } from "./frame.js";
import { icon, mark } from "./icons.js";
import { follow, over, progress } from "./jobs.js";
import { leaving, remove } from "./removal.js";
import { address, route, routes } from "./route.js";
import { allEdits, words } from "./words.js";

/** @typedef {import("./types.js").Group} Group */
/** @typedef {import("./types.js").ImageFacts & import("./types.js").DuplicateImage & {uri: string|null, edits: import("./types.js").Edit[]|null}} Member */

const said = collectionWords.duplicates;
const PAGE = 20;

/** Takes the last move back, until it has been. @type {(() => void)|null} */
let takeBack = null;

class Duplicates extends HTMLElement {
  #gone = new AbortController();
  #asking = new AbortController();
  #sum = h("p.soft", {}, "\u00a0");
  #look = h("button.button", { type: "button", onclick: () => void this.#begin() }, icon("search"), said.look);
  #progress = h("div");
  #body = h("div.groups");
  #collection = route().collection;
  /** @type {string[]} */
  #scopes = ["admin"];
  #mayMove = false;
  #acts = h("span", {}, said.aboutRemoving);
  #hint = h("p.soft", { hidden: true }, said.allowMoving);

  connectedCallback() {
    const { signal } = this.#gone;
    fill(
      this,
      h("header.view-head.wide", {}, h("div", {}, h("h1", {}, said.title), this.#sum), this.#look),
      h("p.lead.view-about", {}, `${said.about} `, this.#acts),
      this.#hint,
      this.#progress,
      this.#body,
    );
    hear("status", (/** @type {import("./types.js").Status} */ status) => {
      this.#scopes = status.scopes;
      this.#look.hidden = !status.scopes.includes("admin");
      this.#mayMove = status.allowed.file_actions && status.scopes.includes("admin");
      this.#hint.hidden = this.#mayMove || !status.scopes.includes("admin");
      this.toggleAttribute("data-may-move", this.#mayMove);
      fill(this.#acts, this.#mayMove ? said.aboutMoving : said.aboutRemoving);
    }, signal);
    hear("duplicates-changed", () => void this.#total(), signal);
    addEventListener("keydown", (event) => {
      const typed = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || typed || !takeBack) return;
      event.preventDefault();
      takeBack();
    }, { signal });
    routes((now) => {
      if (now.view !== "duplicates" || now.collection === this.#collection) return;
      this.#collection = now.collection;
      this.#list();
    }, signal);
    this.#list();
    void this.#running();
  }

  disconnectedCallback() {
    this.#gone.abort();
    this.#asking.abort();
  }

  /** A job that is under way already is followed. */
  async #running() {
    try {
      const { jobs } = await ask("jobs", { signal: this.#gone.signal, quiet: true });
      const job = jobs.find((/** @type {any} */ one) => one.kind === "duplicates" && !over(one));
      if (job) await this.#follow(job.id);
    } catch {
      // Keys that may only search see no jobs.
    }
  }

  async #begin() {
    this.#look.disabled = true;
    try {
      const job = await ask("jobs", { method: "POST", json: { kind: "duplicates" } });
      await this.#follow(job.id);
    } catch (error) {
      troubled(error);
    } finally {
      this.#look.disabled = false;
    }
  }

  /** @param {string} id */
  async #follow(id) {
    const shown = progress(said.looking);
    fill(this.#progress, shown.element);
    try {
      const job = await follow(id, (now) => shown.show(now), this.#gone.signal);
      if (!job) return;
      if (job.state === "failed") tell("notice", { text: job.error?.message ?? words.again });
      this.#list();
    } finally {
      fill(this.#progress);
    }
  }

  #list() {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    /** @type {string|undefined|null} */
    let cursor;
    const load = async () => {
      const answer = await ask("duplicates", { query: { limit: PAGE, cursor }, signal });
      if (signal.aborted) return false;
      if (cursor === undefined) this.#begun(answer);
      cursor = answer.next;
      for (const group of answer.groups) {
        const shown = groupOf(group, answer.job);
        if (shown) groups.append(shown);
      }
      return cursor !== null;
    };
    const groups = h("div.group-list");
    fill(this.#body, groups, endless(load, signal, (error) => this.#troubled(error, signal)));
  }

  /** What all groups come to after one has changed. */
  async #total() {
    try {
      const answer = await ask("duplicates", { query: { limit: 1 }, signal: this.#gone.signal, quiet: true });
      this.#sum.textContent = answer.total ? said.sum(answer.total, answer.files ?? 0, answer.bytes_to_free ?? 0) : said.none;
    } catch {
      // The sum stays as it was until the list is asked for anew.
    }
  }

  /** @param {any} answer */
  #begun(answer) {
    fill(this.#look, icon("again"), said.again);
    const text = answer.total ? said.sum(answer.total, answer.files ?? 0, answer.bytes_to_free ?? 0) : said.none;
    this.#sum.textContent = text;
    announce(text);
    if (!answer.total) {
      this.#body.prepend(h("section.state", {}, icon("check"), h("h2", {}, said.none), h("p", {}, said.noneAbout)));
    }
  }

  /** @param {unknown} error @param {AbortSignal} signal */
  #troubled(error, signal) {
    if (stopped(error)) return;
    const failure = asFailure(error);
    if (failure.status === 409) {
      tell("notice", { text: said.stale });
      return this.#list();
    }
    if (failure.status === 404) {
      const may = this.#scopes.includes("admin");
      fill(
        this.#body,
        h(
          "section.state",
          {},
          icon("copy"),
          h("h2", {}, said.never),
          may ? h("p.actions", {}, h("button.button.primary", { type: "button", onclick: () => void this.#begin() }, icon("search"), said.look)) : h("p", {}, said.mayNot),
        ),
      );
      return;
    }
    fill(this.#body, failed(failure, [{ label: words.again, act: () => this.#list() }]));
    tryLater(failure, () => this.#list(), signal);
  }
}

/**
 * A group with its choice. Nothing where fewer than two of it are left.
 * @param {Group} group @param {string} job  what found it
 */
function groupOf(group, job) {
  const members = /** @type {Member[]} */ (group.images.filter((one) => !leaving.has(one.id)));
  if (members.length < 2) return null;
  const keep = members.find((one) => one.id === group.keep) ?? members[0];
  const names = members.map((one) => (one.uri ? place(one.uri).name : one.id.slice(7, 19)));
  const boxes = members.map((one, at) =>
    h("input", { type: "checkbox", checked: one !== keep && one.suggestion === "spare", "aria-label": said.removing(names[at]), onchange: () => count() }),
  );
  const act = h("button.button.small.danger", { type: "button", onclick: () => go() });
  const bin = h("button.button.small.bin", { type: "button", onclick: () => void move() });
  const warning = h("p.soft", { role: "status" });
  const items = members.map((one, at) => member(one, keep, names[at], boxes[at], group.choice));
  const chosen = () => members.filter((_, at) => boxes[at].checked && !items[at].hidden);
  const present = () => members.filter((_, at) => !items[at].hidden);
  const movable = () => (keep.uri ? chosen().filter((one) => one !== keep && one.suggestion === "spare" && one.uri) : []);

  function count() {
    const some = chosen();
    const all = some.length === present().length;
    act.disabled = all || !some.length;
    fill(act, icon("remove"), some.length ? said.act(some.length) : said.actAll);
    warning.textContent = all ? said.all : "";
    const spares = movable();
    bin.hidden = all || group.kind === "parts" || !spares.length;
    fill(bin, icon("remove"), said.move(spares.length));
    for (const [at, item] of items.entries()) item.toggleAttribute("data-removing", boxes[at].checked);
  }

  function go() {
    const some = chosen();
    const staying = new Set(present().filter((one) => !some.includes(one)).map((one) => one.id));
    const shown = some.map((one) => items[members.indexOf(one)]);
    const alone = present().length - some.length < 2;
    const removed = some.map(({ id, uri }) => (staying.has(id) && uri ? { id, uri } : { id }));
    const unique = removed.filter((one, at) => one.uri || removed.findIndex((other) => other.id === one.id && !other.uri) === at);
    for (const item of shown) item.hidden = true;
    article.hidden = alone;
    count();
    const next = /** @type {HTMLElement|null} */ (article.nextElementSibling ?? article.previousElementSibling);
    if (alone) next?.querySelector("button")?.focus();
    remove(unique, {
      of: keepName,
      back: () => {
        for (const item of shown) item.hidden = false;
        article.hidden = false;
        count();
        act.focus();
      },
      done: () => {
        for (const item of shown) item.remove();
        if (alone) article.remove();
      },
    });
  }

  /** Move what could go to the bin of this machine; only files that were found to be spare are. */
  async function move() {
    const some = movable();
    bin.disabled = true;
    try {
      const spare = some.map(({ id, uri }) => ({ id, uri }));
      const told = await ask("duplicates/trash", { method: "POST", json: { job, group: group.id, keep: { id: keep.id, uri: keep.uri }, spare } });
      if (told.passed.length) tell("notice", { text: said.passed(told.passed.length, told.passed[0].why) });
      if (!told.done.length) return;
      const gone = new Set(told.done.map((/** @type {{uri: string}} */ one) => one.uri));
      const shown = items.filter((_, at) => members[at].uri && gone.has(/** @type {string} */ (members[at].uri)));
      const alone = present().length - shown.length < 2;
      for (const item of shown) item.hidden = true;
      article.hidden = alone;
      count();
      tell("duplicates-changed");
      let taken = false;
      const back = async () => {
        if (taken) return;
        taken = true;
        if (takeBack === undo) takeBack = null;
        try {
          const { undone } = await ask("duplicates/undo", { method: "POST", query: { run: told.run } });
          const stays = undone.find((/** @type {{why: string|null}} */ one) => one.why);
          for (const item of shown) item.hidden = false;
          article.hidden = false;
          count();
          if (stays) tell("notice", { text: stays.why });
          else announce(said.movedBack);
          tell("duplicates-changed");
        } catch (error) {
          troubled(error);
        }
      };
      const undo = () => void back();
      tell("notice", { text: said.moved(told.done.length, keepName), action: collectionWords.undo, seconds: 20, act: () => undo() });
      takeBack = undo;
    } catch (error) {
      troubled(error);
    } finally {
      bin.disabled = false;
    }
  }

  /** @param {"apart"|"both"} decision */
  async function decide(decision) {
    const ids = present().map((one) => one.id).join(",");
    try {
      await ask("decisions", { method: "POST", query: { ids, decision } });
      article.hidden = true;
      const back = async () => {
        try {
          await ask("decisions", { method: "POST", query: { ids, decision: "none" } });
          article.hidden = false;
        } catch (error) {
          troubled(error);
        }
      };
      tell("notice", { text: said.decided[decision], action: collectionWords.undo, seconds: 10, act: () => void back() });
    } catch (error) {
      troubled(error);
    }
  }

  const several = new Set(members.map((one) => one.id)).size === members.length;
  const decisions = h(
    "p.actions",
    {},
    several && h("button.button.small", { type: "button", onclick: () => void decide("apart") }, said.apart),
    h("button.button.small", { type: "button", onclick: () => void decide("both") }, said.both),
  );
  const keepName = names[members.indexOf(keep)];
  const article = h(
    "article.group",
    { "aria-label": said.group(keepName) },
    h("header.group-head", {}, h("h2", { title: keepName }, bdi(keepName)), h("p.soft", {}, group.kind === "parts" ? said.parts : group.choice ? said.choice : said.suggested(group.why)), warning, group.kind !== "parts" && decisions, h("div.group-acts", {}, bin, act)),
    h("ul.members", { role: "list" }, ...items),
  );
  count();
  return article;
}

/** @param {Member} one @param {Member} keep @param {string} name @param {HTMLInputElement} box @param {boolean} choice */
function member(one, keep, name, box, choice) {
  const kept = one === keep;
  const found = one.uri ? place(one.uri) : null;
  const collection = route().collection;
  const href = kept ? address({ id: one.id, collection }) : address({ id: keep.id, match: one.id, collection });
  const open = !kept && (one.suggestion === "choice" || one.suggestion === "keep") ? one.why : "";
  const done = one.kind === "identical" ? said.same : one.edits ? allEdits(one.edits).join(", ") : one.sentence;
  return h(
    "li.card.member",
    {},
    one.id === keep.id && !kept ? h("span.card-link", {}, mat(one, 256)) : h("a.card-link", { href, "aria-label": kept ? name : said.compare(name) }, mat(one, 256)),
    h(
      "div.card-words",
      {},
      h("p.card-kind", {}, kept ? (choice ? [said.yours] : [icon("check"), said.keep]) : [one.kind && mark(one.kind), words.kinds[/** @type {import("./types.js").Kind} */ (one.kind)]]),
      !kept && h("p.card-edits", {}, done),
      open && h("p.card-edits", {}, open),
      h("p.card-name", { title: found?.whole }, bdi(name)),
      h("p.card-facts", {}, `${size(one.width, one.height)} · ${bytes(one.bytes)}`),
      found && h("p.card-facts", {}, bdi(found.folder)),
      h("label.check", {}, box, said.check),
    ),
  );
}

customElements.define("wherefrom-duplicates", Duplicates);
