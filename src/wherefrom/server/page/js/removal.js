// Removal that can be undone: what is removed vanishes at once, and is taken out of the collection only after
// some seconds, or when the page is left.

import { announce, tell } from "./dom.js";
import { ask } from "./api.js";
import { collectionWords } from "./collectionwords.js";

const SECONDS = 10;

/** An image, or with `uri` just that place of it. @typedef {{id: string, uri?: string}} Removed */

/** Images that wait to be removed, so that views that are opened meanwhile leave them out. @type {Set<string>} */
export const leaving = new Set();

/**
 * Remove, after a while in which it can be undone.
 * @param {Removed[]} items @param {{back: () => void, done?: () => void, of?: string}} after  `back` when they are there again, `of` what
 */
export function remove(items, { back, done, of }) {
  for (const { id, uri } of items) if (!uri) leaving.add(id);
  const kept = () => {
    for (const { id } of items) leaving.delete(id);
    back();
  };
  tell("notice", {
    text: collectionWords.removed(items.length, of),
    action: collectionWords.undo,
    seconds: SECONDS,
    act: () => {
      kept();
      announce(collectionWords.undone);
    },
    over: async () => {
      const failed = await taken(items);
      for (const { id } of items) leaving.delete(id);
      if (failed.length) {
        back();
        tell("notice", { text: collectionWords.notRemoved(failed.length) });
      } else done?.();
      tell("collection-changed");
    },
  });
}

/** Take out of the collection; gives what could not be. @param {Removed[]} items */
async function taken(items) {
  const failed = [];
  // Sent at once and kept alive, since the page may be about to close.
  const sent = items.map(({ id, uri }) =>
    uri
      ? ask("sightings", { method: "DELETE", query: { uri }, keepalive: true })
      : ask(`images/${id}`, { method: "DELETE", keepalive: true }),
  );
  for (const [at, result] of (await Promise.allSettled(sent)).entries()) {
    if (result.status === "rejected" && result.reason?.status !== 404) failed.push(items[at]);
  }
  return failed;
}
