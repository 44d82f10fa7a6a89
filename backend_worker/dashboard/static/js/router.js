/**
 * Which view the address asks for: "#/albums?q=x" and so on.
 *
 * A view is a function ({match, query, signal}) => {title, node, keep?, update?}. `signal` ends
 * with the view. One with `keep` is put away as it is when left, and shown again with its
 * place and focus when somebody comes back; `update(query)` takes a changed query in place.
 */

import { put } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

const KEPT = 4;
const KEPT_MS = 10 * 60_000;

const kept = new Map(); // address -> page
let routes = [];
let current = null; // {address, view, query, match, page, ends, scroll, focus}

/**
 * Begin.
 * @param {Array<[RegExp, string, Function]>} table pattern of the path, tab, view
 */
export function startRouter(table) {
  routes = table;
  history.scrollRestoration = "manual";
  window.addEventListener("hashchange", () => show(true));
  onLanguage(() => {
    for (const page of kept.values()) page.ends.abort();
    kept.clear();
    if (current) {
      current.ends.abort();
      current = null;
      show(false);
    }
  });
  show(false);
}

/** Go to an address without moving the focus, as while somebody types. */
export function slide(address) {
  const same = current && splitAddress(address).path === current.path;
  if (same) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  show(false);
}

function splitAddress(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  return { path: path || "/", query: Object.fromEntries(new URLSearchParams(query)) };
}

function show(moveFocus) {
  const address = location.hash;
  if (address && !address.startsWith("#/")) return; // a place within the page
  const { path, query } = splitAddress(address);
  const [pattern, tab, view] = routes.find(([candidate]) => candidate.test(path)) ?? routes[0];
  if (current?.view === view && current.path === path && current.page.update) {
    current.address = address;
    current.page.update(query);
    return;
  }
  leave();
  const back = kept.get(address);
  kept.delete(address);
  if (back && Date.now() - back.left < KEPT_MS) current = back;
  else {
    const ends = new AbortController();
    const page = view({ match: pattern.exec(path) ?? [], query, signal: ends.signal });
    current = { address, path, view, page, ends };
  }
  enter(tab, moveFocus, current === back);
}

function leave() {
  if (!current) return;
  current.scroll = window.scrollY;
  current.focus = document.activeElement;
  current.left = Date.now();
  if (!current.page.keep) {
    current.ends.abort();
    return;
  }
  kept.set(current.address, current);
  for (const [address, page] of kept) {
    if (kept.size <= KEPT) break;
    page.ends.abort();
    kept.delete(address);
  }
}

function enter(tab, moveFocus, isBack) {
  const { page, scroll, focus } = current;
  const main = document.getElementById("main");
  put(main, page.node);
  retitle(page.title);
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, isBack ? scroll : 0);
  if (!moveFocus) return;
  if (isBack && focus && main.contains(focus)) focus.focus({ preventScroll: true });
  else (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

/** Name the page after what it shows. */
export function retitle(title) {
  document.title = title ? `${title} · ${t("app.name")}` : t("app.name");
}
