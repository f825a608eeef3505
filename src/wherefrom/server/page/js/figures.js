// Numbers, sizes, dates and places as people write them.

import { decoded } from "./plain.js";

const grouped = new Intl.NumberFormat("en-GB");
const short = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

const GAP = "\u202f"; // a narrow space that does not break

/** 12345 as "12,345". @param {number} value */
export const number = (value) => grouped.format(value);

/** "1 picture", "2 pictures". @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** A share of 0 to 1 as "31 %". @param {number} share */
export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 1) return `under 1${GAP}%`;
  if (value > 99 && value < 100) return `over 99${GAP}%`;
  return `${Math.round(value)}${GAP}%`;
}

/** Bytes as "86.2 kB". @param {number} count */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let step = 0;
  let value = count;
  while (value >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${value < 10 ? short.format(value) : grouped.format(Math.round(value))}${GAP}${units[step]}`;
}

/** "512 × 768". @param {number} width @param {number} height */
export const size = (width, height) => `${number(width)}${GAP}×${GAP}${number(height)}`;

/** A score as "98.7"; 100 without a fraction. @param {number} value */
export const score = (value) => (value >= 100 ? "100" : value.toFixed(1));

/** An ISO 8601 time as "12 Mar 2024". @param {string|null|undefined} iso */
export function date(iso) {
  return written(iso, day);
}

/** An ISO 8601 time with hour and minute. @param {string|null|undefined} iso */
export function time(iso) {
  return written(iso, moment);
}

/** A day, month or year that a file states, as far as it says. @param {string} iso */
export function taken(iso) {
  return iso.length > 7 ? date(iso.slice(0, 10)) : iso;
}

/** Seconds as "3 s", "2 min", "1 h 5 min". @param {number} seconds */
export function lasting(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole}${GAP}s`;
  if (whole < 3600) return `${Math.round(whole / 60)}${GAP}min`;
  const hours = Math.floor(whole / 3600);
  return `${hours}${GAP}h ${Math.round((whole - hours * 3600) / 60)}${GAP}min`;
}

/**
 * Where something was seen: the name to show, the folder or host before it, and the whole to copy.
 * @param {string} uri
 * @returns {{name: string, folder: string, whole: string, link: string|null}}
 */
export function place(uri) {
  if (uri.startsWith("file://")) {
    const path = decoded(uri.slice(7));
    const parts = path.split("/").filter(Boolean);
    const name = parts.pop() ?? path;
    return { name, folder: parts.slice(-2).join("/"), whole: path, link: null };
  }
  try {
    const url = new URL(uri);
    const name = decoded(url.pathname.split("/").filter(Boolean).pop() ?? url.host);
    if (url.protocol === "upload:") return { name, folder: "uploaded", whole: name, link: null };
    const safe = url.protocol === "https:" || url.protocol === "http:";
    return { name, folder: url.host, whole: uri, link: safe ? url.href : null };
  } catch {
    return { name: uri, folder: "", whole: uri, link: null };
  }
}

/** @param {string|null|undefined} iso @param {Intl.DateTimeFormat} form */
function written(iso, form) {
  if (!iso) return "";
  const found = new Date(iso);
  return Number.isNaN(found.getTime()) ? iso : form.format(found);
}

/** Folder or host and a date, as far as they are known. @param {string} folder @param {string} since */
export const listedPlace = (folder, since) => [folder, since && `since ${since}`].filter(Boolean).join(" · ");
