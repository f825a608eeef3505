// Jobs of the server, followed as they go.

import { announce, fill, h } from "./dom.js";
import { ask, asFailure, events, stopped } from "./api.js";
import { collectionWords } from "./collectionwords.js";
import { failureWords, listed } from "./words.js";

/** @typedef {import("./types.js").Job} Job */

const said = collectionWords.adding;
const OVER = new Set(["done", "failed", "cancelled"]);

/** Whether a job has ended. @param {Job} job */
export const over = (job) => OVER.has(job.state);

/**
 * Follow a job until it is over, also when the line breaks in between.
 * @param {string} id @param {(job: Job) => void} heard @param {AbortSignal} signal @returns {Promise<Job|null>}
 */
export async function follow(id, heard, signal) {
  for (let lost = 0; !signal.aborted; ) {
    try {
      for await (const job of events(id, signal)) {
        lost = 0;
        heard(job);
        if (over(job)) return job;
      }
      const job = await ask(`jobs/${id}`, { signal });
      heard(job);
      if (over(job)) return job;
    } catch (error) {
      if (stopped(error) || signal.aborted) return null;
      const failure = asFailure(error);
      lost += 1;
      if (!failure.passes || lost > 20) throw failure;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(8000, 500 * 2 ** lost)));
  }
  return null;
}

/** How a job goes, as something to look at; `show` brings it up to date. @param {string} title */
export function progress(title) {
  const bar = h("progress", { max: 1, "aria-label": title });
  const line = h("p.soft.progress-line", {}, said.waiting);
  const stop = h("button.button.small", { type: "button" }, said.stop);
  let id = "";
  let told = 0;
  stop.addEventListener("click", async () => {
    stop.disabled = true;
    try {
      await ask(`jobs/${id}`, { method: "DELETE" });
    } catch (error) {
      line.textContent = failureWords(asFailure(error)).title;
    }
  });
  return {
    element: h("div.job", {}, h("div.job-head", {}, h("strong", {}, title), stop), bar, line),
    /** @param {Job} job */
    show(job) {
      id = job.id;
      const { done, total, rate } = job.progress;
      stop.hidden = over(job);
      if (job.state === "waiting") line.textContent = said.waiting;
      else {
        const left = rate && total !== null && total > done ? (total - done) / rate : 0;
        fill(line, [done || total !== null ? said.of(done, total) : said.counting, rate && said.rate(rate), left > 1 && said.left(left)].filter(Boolean).join(" · "));
      }
      if (total) bar.value = over(job) ? 1 : done / total;
      else if (over(job)) bar.value = 1;
      else bar.removeAttribute("value");
      if (Date.now() - told > 10_000 || over(job)) {
        told = Date.now();
        announce(listed([title, over(job) ? said.states[job.state] : (line.textContent ?? "")]));
      }
    },
  };
}
