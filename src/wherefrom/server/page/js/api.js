// The client of the HTTP API: the only place that asks the server for anything.

import { tell } from "./dom.js";
import { route } from "./route.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Job} Job */
/** @typedef {Record<string, string|number|undefined|null>} Query */

const BASE = new URL("api/v1/", document.baseURI);
const KEY = "wherefrom-key";

/** Why a request did not succeed. `code` is the server's word, or `offline` where none answered. */
export class Failure extends Error {
  /**
   * @param {string} code @param {string} [detail]
   * @param {{status?: number, title?: string, retryAfter?: number}} [more]
   */
  constructor(code, detail = "", { status = 0, title = "", retryAfter = 0 } = {}) {
    super(detail || title || code);
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.title = title;
    this.retryAfter = retryAfter;
  }

  /** Whether trying again later may help. */
  get passes() {
    return this.code === "offline" || this.code === "busy";
  }
}

/** @param {unknown} error @returns {Failure} */
export function asFailure(error) {
  return error instanceof Failure ? error : new Failure("page", String(error), { title: "This page made a mistake" });
}

/** Whether the person stopped it. @param {unknown} error */
export const stopped = (error) => error instanceof DOMException && error.name === "AbortError";

/** Tell the person of a failure, unless they stopped it themselves. @param {unknown} error */
export function troubled(error) {
  if (!stopped(error)) tell("notice", { text: "", failure: asFailure(error) });
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  /** @param {string} value */
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** @param {string} path @param {Query} [query] */
export function link(path, query = {}) {
  const url = new URL(path, BASE);
  const collection = route().collection;
  for (const [name, value] of Object.entries({ collection, ...query })) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  return url.href;
}

/**
 * Ask the server; JSON comes back. A 401 asks the person for a key, until one is right or none is given.
 * @param {string} path
 * @param {{method?: string, query?: Query, json?: unknown, body?: BodyInit, signal?: AbortSignal,
 *   keepalive?: boolean, quiet?: boolean}} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, options = {}) {
  const response = await fetched(path, options);
  if (response.status === 204) return null;
  return read(() => response.json());
}

/** @param {string} path @param {any} options @returns {Promise<Response>} */
async function fetched(path, options) {
  const { method = "GET", query, json, body, signal, keepalive, quiet } = options;
  const headers = authorized(json === undefined ? {} : { "Content-Type": "application/json" });
  let response;
  try {
    const sent = json === undefined ? body : JSON.stringify(json);
    response = await fetch(link(path, query), { method, headers, body: sent, signal, keepalive });
  } catch (error) {
    if (stopped(error)) throw error;
    throw new Failure("offline");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const failure = failureOf(response.status, problem, response.headers.get("Retry-After"));
  if (failure.status === 401 && !quiet && (await unlocked())) return fetched(path, options);
  throw failure;
}

/**
 * Send bytes and hear how far they are, which `fetch` cannot tell.
 * @param {string} path
 * @param {{query: Query, body: Blob|FormData, signal?: AbortSignal, progress?: (share: number) => void}} options
 * @returns {Promise<any>}
 */
export async function send(path, options) {
  try {
    return await sent(path, options);
  } catch (error) {
    if (error instanceof Failure && error.status === 401 && (await unlocked())) return send(path, options);
    throw error;
  }
}

/** @param {string} path @param {any} options */
function sent(path, { query, body, signal, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", link(path, query));
    const headers = authorized(body instanceof Blob ? { "Content-Type": mediaType(body) } : {});
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress?.(event.loaded / event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(failureOf(request.status, request.response ?? {}, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Failure("offline"));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

/** Search; `source` is a file or what names a picture. @param {{file?: Blob, url?: string, id?: string, token?: string}} source
 * @param {Query} options @param {{signal?: AbortSignal, progress?: (share: number) => void}} [how] @returns {Promise<Answer>} */
export function search(source, options, { signal, progress } = {}) {
  if (source.file) return send("search", { query: options, body: source.file, signal, progress });
  const { file: _, ...named } = source;
  return ask("search", { method: "POST", json: { ...options, ...named }, signal });
}

/** More of an answer that the server keeps. @param {string} token @param {Query} query @param {AbortSignal} [signal] @returns {Promise<Answer>} */
export const page = (token, query, signal) => ask(`searches/${token}`, { query, signal });

/** The query's picture, upright. @param {string} token @param {number} size */
export const queryPicture = (token, size) => link(`searches/${token}/image`, { size });

/** A drawing of a proof. @param {string} token @param {string} id @param {string} how */
export const proof = (token, id, how) => link(`searches/${token}/proofs/${id}`, { how });

/** @param {string} id @param {number} size */
export const thumbnail = (id, size) => link(`images/${id}/thumbnail`, { size });

/** @param {string} id */
export const original = (id) => link(`images/${id}/original`);

/**
 * What a job tells, until it ends. Server-sent events read by `fetch`, which can send a key.
 * @param {string} id @param {AbortSignal} signal @returns {AsyncGenerator<Job>}
 */
export async function* events(id, signal) {
  const response = await fetched(`jobs/${id}/events`, { signal });
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await read(() => reader.read());
    if (done) return;
    const parts = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const data = part
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trim());
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}

/**
 * The address of a picture as an `<img>` can use it: with a key the bytes are fetched, since images send none.
 * @param {string} url @param {AbortSignal} [signal]
 * @returns {Promise<{src: string, done: () => void}>}
 */
export async function usable(url, signal) {
  if (!key.get() || !url.startsWith(BASE.origin)) return { src: url, done: () => {} };
  const response = await fetch(url, { headers: authorized({}), signal });
  if (!response.ok) throw new Failure("offline", "", { status: response.status });
  const src = URL.createObjectURL(await response.blob());
  return { src, done: () => URL.revokeObjectURL(src) };
}

/** @type {Promise<boolean>|null} */
let asking = null;

/** Ask for a key, once for all that wait; false where the person gives none. */
export function unlocked() {
  asking ??= new Promise((resolve) => tell("key-wanted", { wrong: Boolean(key.get()), resolve }))
    .then((given) => {
      if (given) tell("collection-changed"); // what may be seen is another now
      return Boolean(given);
    })
    .finally(() => {
      asking = null;
    });
  return asking;
}

/** Whether the server takes a key, as far as it can be asked. @param {string} text */
export async function isTaken(text) {
  try {
    return (await fetch(link("status"), { headers: { Authorization: `Bearer ${text}` } })).status !== 401;
  } catch {
    return true; // whoever uses it is told that there is no server
  }
}

/** What the server takes as a picture: its bytes tell what it is. @param {Blob} file */
const mediaType = (file) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");

/** @param {Record<string, string>} headers */
function authorized(headers) {
  return key.get() ? { ...headers, Authorization: `Bearer ${key.get()}` } : headers;
}

/** @param {number} status @param {any} problem @param {string|null} wait */
function failureOf(status, problem, wait) {
  const retryAfter = Number(wait) || 0;
  const busy = status === 429 || (status === 503 && (retryAfter > 0 || !problem.code));
  const code = busy ? "busy" : status === 502 && !problem.code ? "offline" : status === 403 && !problem.code ? "forbidden" : (problem.code ?? "error");
  return new Failure(code, problem.detail ?? "", { status, title: problem.title ?? "", retryAfter });
}

/** @template T @param {() => Promise<T>} reading @returns {Promise<T>} */
async function read(reading) {
  try {
    return await reading();
  } catch (error) {
    if (stopped(error)) throw error;
    throw new Failure("offline");
  }
}
