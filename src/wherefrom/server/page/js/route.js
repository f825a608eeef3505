// Deep links: everything that can be looked at has an address behind `#`, and the back button works.

/** @typedef {import("./types.js").Route} Route */

const VIEWS = ["search", "images", "duplicates", "add"];

/** What the address says. `#url=…`, `#id=…` and `#token=…` are searches. @returns {Route} */
export function route() {
  const said = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const view = VIEWS.includes(said.view) ? said.view : "search";
  return /** @type {Route} */ ({ ...said, view });
}

/** The address of a route, without what is empty or usual. @param {Partial<Route>} wanted */
export function address(wanted) {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) {
    if (value && !(key === "view" && value === "search")) said.set(key, value);
  }
  return `#${said}`;
}

/** The address of the present route with changes; undefined takes something away. @param {Partial<Route>} changes */
export const changed = (changes) => address({ ...route(), ...changes });

/**
 * Go to an address, with a step back or, with `replace`, without.
 * @param {string} hash @param {{replace?: boolean}} [options]
 */
export function go(hash, { replace = false } = {}) {
  if (hash === location.hash || (hash === "#" && !location.hash)) return;
  if (replace) history.replaceState(history.state, "", hash);
  else history.pushState(null, "", hash);
  dispatchEvent(new CustomEvent("wherefrom:route"));
}

/** Whether a picture is being searched for. @param {Route} said */
export const asks = (said) => said.view === "search" && Boolean(said.url || said.id || said.token || said.upload);

/** Hear of every change of address. @param {(now: Route) => void} heard @param {AbortSignal} signal */
export function routes(heard, signal) {
  const hearing = () => heard(route());
  addEventListener("popstate", hearing, { signal });
  addEventListener("wherefrom:route", hearing, { signal });
}

/**
 * A box as "left,top,right,bottom" and back; undefined where it is none.
 * @param {string|undefined} text @returns {import("./types.js").Box|undefined}
 */
export function box(text) {
  const numbers = (text ?? "").split(",").map(Number);
  const good = numbers.length === 4 && numbers.every(Number.isFinite) && numbers[0] < numbers[2] && numbers[1] < numbers[3];
  return good ? /** @type {import("./types.js").Box} */ (numbers) : undefined;
}
