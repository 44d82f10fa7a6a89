/** Search as somebody types: tracks, albums and artists; the latest question's answer wins. */

import { get } from "../js/api.js";
import { h, put } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { slide } from "../js/router.js";
import { announce } from "../js/say.js";
import { albumTile, artistItem, trackList } from "./parts.js";

const TYPING_MS = 180;
const TRACKS = 50;
const OTHERS = 6;

/** Make the header's search field work. */
export function startSearch() {
  const input = document.getElementById("q");
  const form = document.getElementById("search");
  let timer = null;
  const ask = () => {
    const text = input.value.trim();
    if (text || location.hash.startsWith("#/search")) slide(`#/search?${new URLSearchParams({ q: text })}`);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    ask();
    document.querySelector("#main h1")?.focus(); // Enter goes to the results, and hides a phone's keyboard
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  window.addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#/search")) input.value = "";
  });
}

export function search({ query, signal }) {
  const results = h("div.results");
  let asked = null;
  let latest = null;

  async function ask(text) {
    if (text === asked) return;
    asked = text;
    latest?.abort();
    if (!text) {
      put(results, h("p.note", null, t("search.hint")));
      return;
    }
    const mine = new AbortController();
    latest = mine;
    results.setAttribute("aria-busy", "true");
    try {
      const both = AbortSignal.any([mine.signal, signal]);
      const [tracks, albums, artists] = await Promise.all([
        get("search", { q: text, limit: TRACKS }, both),
        get("albums", { q: text, limit: OTHERS }, both),
        get("artists", { q: text, limit: OTHERS }, both),
      ]);
      if (mine !== latest) return;
      put(results, found(tracks.tracks, albums.albums, artists.artists));
      announce(t("search.found", { count: tracks.tracks.length }), "list");
    } catch (error) {
      if (mine !== latest || error.name === "AbortError") return;
      asked = null;
      put(results, h("p.refused", { role: "alert", lang: error.language }, error.message));
    } finally {
      if (mine === latest) results.removeAttribute("aria-busy");
    }
  }

  const input = document.getElementById("q");
  const take = (text = "") => {
    if (document.activeElement !== input) input.value = text;
    ask(text.trim());
  };
  take(query.q);
  return {
    title: t("search.label"),
    keep: true,
    update: (changed) => take(changed.q),
    node: h("div.page", null, h("h1", { tabindex: -1 }, t("search.label")), results),
  };
}

function found(tracks, albums, artists) {
  if (!tracks.length && !albums.length && !artists.length) return h("p.note", null, t("search.none"));
  return [
    albums.length ? part("albums", h("ul.grid.strip", null, albums.map(albumTile))) : null,
    artists.length ? part("artists", h("ul.artists", null, artists.map(artistItem))) : null,
    tracks.length ? part("tracks", trackList(tracks)) : null,
  ];
}

const part = (name, content) =>
  h("section", { "aria-labelledby": `found-${name}` }, h("h2", { id: `found-${name}` }, t(`search.${name}`)), content);
