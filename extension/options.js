// The options: where Wherefrom is, its key, and leave to hand pictures over to it.

import { addressOf, api, isSafe, permission, settings, USUAL } from "./settings.js";

const form = document.querySelector("form");
const server = /** @type {HTMLInputElement} */ (document.getElementById("server"));
const key = /** @type {HTMLInputElement} */ (document.getElementById("key"));
const said = document.getElementById("said");

const now = await settings();
server.value = now.server;
key.value = now.key;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void save();
});

document.getElementById("forget").addEventListener("click", async () => {
  const { server: old } = await settings();
  await api.storage.local.clear();
  await api.permissions.remove(permission(old)).catch(() => false);
  server.value = USUAL;
  key.value = "";
  said.textContent = "Address, key and leave are forgotten.";
});

async function save() {
  let address;
  try {
    address = addressOf(server.value.trim());
  } catch {
    said.textContent = "That is no address. It begins with http:// or https://.";
    server.focus();
    return;
  }
  if (key.value && !isSafe(address)) {
    said.textContent = "A key is sent only to https:// addresses and to this machine: over http:// anybody between could read it.";
    return;
  }
  // Asked for first: a browser lets this be asked only in answer to a press.
  const given = await api.permissions.request(permission(address)).catch(() => false);
  server.value = address;
  await api.storage.local.set({ server: address, key: key.value.trim() });
  said.textContent = given
    ? "Saved."
    : "Saved. Pictures are named by their address; those that have none cannot be handed over, and you give the key in the page.";
}
