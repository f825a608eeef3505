// Where Wherefrom is, and its key: kept on this device, never synchronised.

export const api = globalThis.browser ?? globalThis.chrome;

export const USUAL = "http://127.0.0.1:8765/";

/** @returns {Promise<{server: string, key: string}>} */
export async function settings() {
  const { server = USUAL, key = "" } = await api.storage.local.get(["server", "key"]);
  return { server, key };
}

/** The address as a page's, with a slash at its end; throws TypeError where it is none. @param {string} text */
export function addressOf(text) {
  const url = new URL(text.includes("://") ? text : `http://${text}`);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError("http or https");
  url.hash = url.search = url.username = url.password = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

/** Whether what is sent to an address stays on this machine or is encrypted. @param {string} server */
export function isSafe(server) {
  const { protocol, hostname } = new URL(server);
  return protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

/** What has to be allowed to hand something over to the server's page. @param {string} server */
export const permission = (server) => ({ origins: [`${new URL(server).protocol}//${new URL(server).hostname}/*`] });
