// `<wherefrom-add>`: a folder of the server indexed with live progress, and pictures sent from this device.

import { announce, bdi, fill, h, hear, tell } from "./dom.js";
import { ask, asFailure, send, stopped } from "./api.js";
import { collectionWords } from "./collectionwords.js";
import { place, time } from "./figures.js";
import { icon } from "./icons.js";
import { follow, over, progress } from "./jobs.js";
import { plain } from "./plain.js";
import { address, route } from "./route.js";
import { chooser } from "./start.js";
import { failureWords, words } from "./words.js";

/** @typedef {import("./types.js").Job} Job */

const said = collectionWords.adding;
const AT_ONCE = 2; // pictures sent at a time
const JOBS = 6; // that are listed

class Add extends HTMLElement {
  #gone = new AbortController();
  #folder = h("section.panel", { "aria-labelledby": "add-folder" }, h("h2", { id: "add-folder" }, said.folder), h("p.soft", {}, words.loading));
  #sent = h("div.sent");
  #jobs = h("section.lately", { hidden: true });
  #state = "";

  connectedCallback() {
    const { signal } = this.#gone;
    fill(
      this,
      h("header.view-head", {}, h("h1", {}, said.title)),
      h(
        "div.panels",
        {},
        this.#folder,
        h(
          "section.panel",
          { "aria-labelledby": "add-own" },
          h("h2", { id: "add-own" }, said.own),
          h("p.soft", {}, said.ownAbout),
          h("p.actions", {}, chooser(said.choose, (files) => void this.#send(files), { many: true })),
          this.#sent,
        ),
      ),
      this.#jobs,
    );
    hear("status", (status) => this.#allowed(status), signal);
    hear("status-failed", (failure) => fill(this.#folder, h("h2", { id: "add-folder" }, said.folder), h("p", {}, failureWords(failure).title)), signal);
    hear("add-files", (/** @type {File[]} */ files) => void this.#send(files), signal);
    void this.#lately();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** @param {import("./types.js").Status} status */
  #allowed(status) {
    const state = JSON.stringify([status.allowed, status.scopes]);
    if (state === this.#state) return;
    this.#state = state;
    const title = h("h2", { id: "add-folder" }, said.folder);
    if (!status.scopes.includes("admin")) return void fill(this.#folder, title, h("p.soft", {}, said.mayNot));
    if (!status.allowed.index) {
      return void fill(
        this.#folder,
        title,
        h("p.soft", {}, said.notAllowed),
        h("code.command", {}, "wherefrom serve --index-root FOLDER"),
        h("p.soft", {}, said.orCommand),
        h("code.command", {}, "wherefrom index FOLDER"),
      );
    }
    const path = h("input", { id: "folder", type: "text", required: true, placeholder: said.pathHint, autocomplete: "off", spellcheck: "false", dir: "auto" });
    const prune = h("input", { type: "checkbox" });
    const retry = h("input", { type: "checkbox" });
    const shown = h("div", {});
    const problem = h("p.bad", { role: "alert" });
    const begin = async (/** @type {Event} */ event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        const job = await ask("jobs", { method: "POST", json: { kind: "index", path: path.value.trim(), prune: prune.checked, retry: retry.checked } });
        await this.#follow(job, shown);
      } catch (error) {
        if (stopped(error)) return;
        const { title: head, detail } = failureWords(asFailure(error));
        problem.textContent = plain(detail || head);
      }
    };
    fill(
      this.#folder,
      title,
      h(
        "form",
        { onsubmit: begin },
        h("p.field", {}, h("label", { for: "folder" }, said.path), h("span.joined", {}, path, h("button.button.primary", {}, said.start))),
        h("label.check", {}, prune, said.prune),
        h("label.check", {}, retry, said.retry),
      ),
      problem,
      shown,
    );
  }

  /** @param {Job} job @param {HTMLElement} into */
  async #follow(job, into) {
    const name = String(/** @type {any} */ (job).options?.path ?? said.kinds.index);
    const shown = progress(name);
    fill(into, shown.element);
    shown.show(job);
    const ended = await follow(job.id, (now) => shown.show(now), this.#gone.signal);
    if (!ended) return;
    into.append(report(ended));
    tell("collection-changed");
    void this.#lately();
  }

  async #lately() {
    try {
      const { jobs } = await ask("jobs", { signal: this.#gone.signal, quiet: true });
      this.#jobs.hidden = !jobs.length;
      const rows = jobs.slice(0, JOBS).map((/** @type {Job} */ job) =>
        h(
          "li",
          { "data-state": job.state },
          h("strong", {}, said.kinds[/** @type {keyof typeof said.kinds} */ (job.kind)] ?? job.kind),
          bdi(/** @type {any} */ (job).options?.path ?? "", "span"),
          h("span.soft", {}, said.states[job.state]),
          h("span.soft", {}, time(job.finished ?? job.started)),
          h("span.soft.job-sum", {}, job.kind === "index" && job.report ? said.sum(job.report) : (job.error?.message ?? "")),
        ),
      );
      fill(this.#jobs, h("h2", {}, said.jobs), h("ul.job-list", { role: "list" }, ...rows));
      const running = jobs.find((/** @type {Job} */ job) => job.kind === "index" && !over(job));
      const into = this.#folder.querySelector("form ~ div");
      if (running && into && !into.firstChild) await this.#follow(running, into);
    } catch {
      // Keys that may not have jobs done see none.
    }
  }

  /** @param {File[]} files */
  async #send(files) {
    const bar = h("progress", { max: files.length, value: 0, "aria-label": said.own });
    const line = h("p.soft", {}, said.sending(0, files.length));
    const list = h("ul.outcomes", { role: "list" });
    const count = { added: 0, known: 0, skipped: 0, failed: 0 };
    fill(this.#sent, bar, line, list);
    const waiting = [...files];
    let done = 0;
    const work = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        const { status, reason } = await this.#one(file);
        if (this.#gone.signal.aborted) return;
        count[status] += 1;
        done += 1;
        bar.value = done;
        line.textContent = said.sending(done, files.length);
        list.append(h("li", { "data-outcome": status }, bdi(file.name, "span"), h("span.soft", {}, [said.outcome[status], reason].filter(Boolean).join(": "))));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (this.#gone.signal.aborted) return;
    fill(line, said.sum(count), " · ", h("a", { href: address({ view: "images", collection: route().collection }) }, said.browse));
    announce(said.sum(count));
    tell("collection-changed");
  }

  /** @param {File} file @returns {Promise<{status: "added"|"known"|"skipped"|"failed", reason: string|null}>} */
  async #one(file) {
    const body = new FormData();
    body.append("image", file, file.name);
    try {
      const { outcomes } = await send("images", { query: {}, body, signal: this.#gone.signal });
      return outcomes[0];
    } catch (error) {
      if (stopped(error)) return { status: "failed", reason: null };
      const { title, detail } = failureWords(asFailure(error));
      return { status: "failed", reason: detail || title };
    }
  }
}

/** What came of an index. @param {Job} job */
function report(job) {
  if (job.state === "failed") return h("p.bad", {}, job.error?.message ?? said.states.failed);
  if (!job.report) return h("p.soft", {}, said.states[job.state]);
  const refused = /** @type {{uri: string, reason: string}[]} */ (job.report.refused ?? []);
  return h(
    "div.report",
    {},
    h("p", {}, icon("check"), ` ${said.sum(job.report)}. `, h("a", { href: address({ view: "images", collection: route().collection }) }, said.browse)),
    refused.length > 0 &&
      h("details", {}, h("summary", {}, said.refused(refused.length)), h("ul.outcomes", { role: "list" }, ...refused.map((one) => h("li", {}, bdi(place(one.uri).whole, "span"), h("span.soft", {}, one.reason))))),
  );
}

customElements.define("wherefrom-add", Add);
