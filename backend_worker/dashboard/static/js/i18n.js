/** Texts of i18n/*.json, and numbers, dates and plurals as the language writes them. */

import { recall, remember } from "./storage.js";

export const LANGUAGES = { en: "English", fr: "Français" };

const listeners = new Set();
let code = "en";
let locale = "en"; // with the region, if the browser names one: it decides about 24 hours
let texts = {};
let formats = new Map();

/** The language in use. */
export const language = () => code;

/** The language that the person chose, or the first of the browser's that we have. */
export function preferred() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  for (const tag of navigator.languages ?? [navigator.language]) {
    const short = tag.split("-")[0].toLowerCase();
    if (short in LANGUAGES) return short;
  }
  return "en";
}

/** Load a language and show the page's fixed texts in it. */
export async function use(wanted, { keep = false } = {}) {
  const answer = await fetch(`i18n/${wanted}.json`);
  if (!answer.ok) throw new Error(`the texts in ${wanted} cannot be loaded (${answer.status})`);
  texts = await answer.json();
  code = wanted;
  locale = (navigator.languages ?? []).find((tag) => tag.split("-")[0] === wanted) ?? wanted;
  formats = new Map();
  if (keep) remember("language", wanted);
  document.documentElement.lang = wanted;
  translate(document);
  for (const listener of listeners) listener();
}

/** Call a function whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Show the texts of elements with data-t, data-t-label and data-t-placeholder. */
function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]"))
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of root.querySelectorAll("[data-t-placeholder]"))
    element.placeholder = t(element.dataset.tPlaceholder);
}

/**
 * A text with its values filled in.
 *
 * A text that depends on a number is an object of plural categories ("one", "other"); the
 * number is the value `count`. Numbers are written with the language's separators.
 */
export function t(key, values = {}) {
  let text = texts[key];
  if (text === undefined) {
    console.error(`no text ${key} in ${code}`);
    return key;
  }
  if (typeof text === "object")
    text = text[format("plural", () => new Intl.PluralRules(locale)).select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

/** Whether there is such a text: kinds of events may be newer than this page. */
export const has = (key) => key in texts;

function format(name, make) {
  if (!formats.has(name)) formats.set(name, make());
  return formats.get(name);
}

export const number = (value, digits = 0) =>
  format(`n${digits}`, () => new Intl.NumberFormat(locale, { maximumFractionDigits: digits })).format(value);

export const percent = (share) =>
  format("percent", () => new Intl.NumberFormat(locale, { style: "percent" })).format(share);

const unit = (value, name, digits = 0, width = "short") =>
  format(`${name}${digits}${width}`, () =>
    new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: width, maximumFractionDigits: digits }),
  ).format(value);

const SIZES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** A number of bytes in powers of 1000, as disks are sold. */
export function bytes(value) {
  let step = 0;
  for (; value >= 999.5 && step < SIZES.length - 1; step += 1) value /= 1000;
  return unit(value, SIZES[step], value < 10 && step > 1 ? 1 : 0);
}

/** Memory in MB or GB of powers of 1024, as `systemctl status` counts. */
export function memory(value) {
  const mebibytes = value / 2 ** 20;
  return mebibytes < 1024 ? unit(mebibytes, "megabyte") : unit(mebibytes / 1024, "gigabyte", 1);
}

export const celsius = (value) => unit(value, "celsius", 0);

const SPANS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** A duration in its two largest units: "2 hr 5 min". */
export function duration(seconds) {
  if (seconds < 10) return unit(seconds, "second", seconds < 1 ? 1 : 0);
  const whole = Math.round(seconds);
  const first = SPANS.findIndex(([, size]) => whole >= size);
  const [name, size] = SPANS[first];
  const parts = [unit(Math.floor(whole / size), name)];
  const next = SPANS[first + 1];
  const rest = next && Math.floor((whole % size) / next[1]);
  if (rest) parts.push(unit(rest, next[0]));
  return parts.join(" ");
}

/** How long a library plays: in one unit, so that it stays one short figure. */
export const playingTime = (seconds) =>
  seconds < 3600 ? unit(seconds / 60, "minute") : unit(seconds / 3600, "hour");

/** A track's length: 3:07. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

export const time = (date) =>
  format("time", () => new Intl.DateTimeFormat(locale, { timeStyle: "medium" })).format(date);

/** The time of today, else the day as well. */
export const when = (date) =>
  date.toDateString() === new Date().toDateString()
    ? time(date)
    : format("when", () => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" })).format(date);

export const dateTime = (date) =>
  format("dateTime", () => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" })).format(date);

/** How long ago: "12 minutes ago". */
export function ago(date, now = new Date()) {
  const seconds = Math.max(0, (now - date) / 1000);
  const relative = format("ago", () => new Intl.RelativeTimeFormat(locale, { numeric: "auto" }));
  const [name, size] = SPANS.find(([, span]) => seconds >= span) ?? ["second", 1];
  if (name === "second") return t("moment");
  return relative.format(-Math.floor(seconds / size), name);
}

/** "a, b and c". */
export const list = (items) =>
  format("list", () => new Intl.ListFormat(locale, { type: "conjunction" })).format(items);

/** Sort names as the language does. */
export const compare = (one, other) =>
  format("collator", () => new Intl.Collator(locale)).compare(one, other);
