// "Find this picture": opens Wherefrom with the picture that was right-clicked.
//
// A picture that anybody can fetch is named by its address (`#url=…`), and the server fetches it. One that only
// this browser has (data:, blob:, or from the site that is open, maybe behind a login) is read in the page where
// it is, and handed to Wherefrom's own page as if it had been dropped there: the upload is that page's, with its
// rules and its key. That needs leave for the server's address alone, which the options page asks for.

import { api, permission, settings } from "./settings.js";

const MENU = "find";
const LARGEST = 32_000_000; // bytes that a server takes unless told otherwise
const PATIENCE = 30_000; // ms for Wherefrom's page to be there

api.runtime.onInstalled.addListener(() => {
  api.contextMenus.removeAll(() => {
    api.contextMenus.create({ id: MENU, title: "Find this picture", contexts: ["image"] });
  });
});

api.contextMenus.onClicked.addListener((info, tab) => {
  if (info.menuItemId === MENU && info.srcUrl) void find(info, tab);
});

api.action.onClicked.addListener(async () => {
  const { server, key } = await settings();
  await open(server, key, {});
});

/** @param {{srcUrl: string, frameId?: number, frameUrl?: string, pageUrl?: string}} info @param {{id?: number}|undefined} tab */
async function find(info, tab) {
  const { server, key } = await settings();
  const may = await api.permissions.contains(permission(server));
  const web = /^https?:/i.test(info.srcUrl);
  const data = may && isHere(info) ? await bytes(info, tab) : null;
  if (data) return open(server, key, { data });
  if (web) return open(server, key, { url: info.srcUrl });
  // Only this browser has it, and nothing may be handed over yet: the options say what to allow.
  await api.tabs.create({ url: api.runtime.getURL("options.html#hand-over") });
}

/** Whether the page that shows a picture may read it. @param {{srcUrl: string, frameUrl?: string, pageUrl?: string}} info */
function isHere({ srcUrl, frameUrl, pageUrl }) {
  if (/^(data|blob):/i.test(srcUrl)) return true;
  try {
    return new URL(srcUrl).origin === new URL(frameUrl ?? pageUrl ?? "").origin;
  } catch {
    return false;
  }
}

/** The picture's bytes, read in the page that shows it, as base64 and type; null where that fails.
 * @param {{srcUrl: string, frameId?: number}} info @param {{id?: number}|undefined} tab */
async function bytes(info, tab) {
  if (tab?.id === undefined || tab.id < 0) return null;
  try {
    const [{ result }] = await api.scripting.executeScript({
      target: { tabId: tab.id, frameIds: [info.frameId ?? 0] },
      args: [info.srcUrl, LARGEST],
      func: async (url, largest) => {
        const response = await fetch(url, { cache: "force-cache" });
        const blob = await response.blob();
        if (!response.ok || blob.size > largest || !blob.type.startsWith("image/")) return null;
        return new Promise((resolve, reject) => {
          const reader = new FileReader();
          reader.onload = () => resolve({ text: String(reader.result).split(",", 2)[1], type: blob.type });
          reader.onerror = () => reject(reader.error);
          reader.readAsDataURL(blob);
        });
      },
    });
    return result;
  } catch {
    return null; // a page where extensions may not run; its address is left
  }
}

/** Open Wherefrom with a picture. @param {string} server @param {string} key
 * @param {{url?: string, data?: {text: string, type: string}}} picture */
async function open(server, key, { url, data }) {
  const may = (key || data) && (await api.permissions.contains(permission(server)));
  if (!may) {
    await api.tabs.create({ url: url ? `${server}#url=${encodeURIComponent(url)}` : server });
    return;
  }
  const tab = await api.tabs.create({ url: server });
  await loaded(tab.id);
  await api.scripting.executeScript({ target: { tabId: tab.id }, args: [new URL(server).origin, key, url ?? "", data ?? null], func: handOver });
}

/** Wait for a tab. @param {number} id */
async function loaded(id) {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    const tab = await api.tabs.get(id);
    if (tab.status === "complete") return;
    await new Promise((after) => setTimeout(after, 100));
  }
}

/** Runs in Wherefrom's page: the key for this tab, and the picture as if it had been dropped. Leave is given by
 * host, so that another port, or where a redirect led to, gets nothing.
 * @param {string} origin @param {string} key @param {string} url @param {{text: string, type: string}|null} data */
function handOver(origin, key, url, data) {
  if (location.origin !== origin) return;
  if (key) sessionStorage.setItem("wherefrom-key", key);
  if (url) location.hash = `url=${encodeURIComponent(url)}`;
  if (!data) return;
  const bytes = Uint8Array.from(atob(data.text), (letter) => letter.charCodeAt(0));
  const moved = new DataTransfer();
  moved.items.add(new File([bytes], "picture", { type: data.type }));
  const drop = () => document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true }));
  const waits = setInterval(() => {
    if (!document.querySelector("wherefrom-app main > *")) return;
    clearInterval(waits);
    drop();
  }, 50);
  setTimeout(() => clearInterval(waits), 30_000);
}
