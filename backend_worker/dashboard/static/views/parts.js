/** What several views are made of. */

import { button, h, icon, put, setText } from "../js/dom.js";
import { clock, t } from "../js/i18n.js";
import { act, announce } from "../js/say.js";

/** A year of a date as tags write it: "1997-05-21". */
export const year = (date) => /^\d{4}/.exec(date ?? "")?.[0] ?? "";

/**
 * An album's cover, or its initials on a colour of its own.
 * @param {object} album
 * @param {object} [options] `full` for the large one, which says what it shows
 */
export function cover(album, { full = false } = {}) {
  if (!album.cover) return initials(album);
  const image = h("img.cover", {
    src: `api/covers/${album.id}?size=${full ? "full" : "small"}&version=${album.cover}`,
    alt: full ? t("album.cover", { title: album.title }) : "",
    width: full ? 500 : 300,
    height: full ? 500 : 300,
    loading: full ? null : "lazy",
    decoding: "async",
  });
  image.addEventListener("error", () => image.replaceWith(initials(album)));
  return image;
}

function initials(album) {
  const colour = tint(`${album.title}${album.artist ?? ""}`);
  return h(`div.cover.none.tint${colour}`, { "aria-hidden": "true" }, h("span", null, letters(album.title, 2)));
}

/** The first letters of so many words. */
function letters(text, count) {
  const words = text.match(/[\p{L}\p{N}]+/gu) ?? ["?"];
  return words.slice(0, count).map((word) => [...word][0].toUpperCase()).join("");
}

/** One of eight colours, always the same one for the same text. */
function tint(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return hash % 8;
}

/** An artist's picture, or initials. */
export function portrait(artist, { full = false } = {}) {
  const none = () => h(`div.portrait.none.tint${tint(artist.name)}`, { "aria-hidden": "true" }, h("span", null, letters(artist.name, 1)));
  if (!artist.image) return none();
  const image = h("img.portrait", {
    src: `api/artists/${artist.id}/image?size=${full ? "full" : "small"}&version=${artist.image}`,
    alt: "",
    width: full ? 120 : 40,
    height: full ? 120 : 40,
    loading: "lazy",
    decoding: "async",
  });
  image.addEventListener("error", () => image.replaceWith(none()));
  return image;
}

/** An album in a grid. */
export function albumTile(album) {
  const details = [album.artist, year(album.date)].filter(Boolean).join(" · ");
  return h(
    "li",
    null,
    h("a.album", { href: `#/album/${album.id}` }, cover(album), h("span.title", { dir: "auto" }, album.title), h("span.by", { dir: "auto" }, details)),
  );
}

/** An artist in a list; `score` is 0 to 1. */
export function artistItem(artist) {
  return h(
    "li",
    null,
    h(
      "a.artist",
      { href: `#/artist/${artist.id}` },
      portrait(artist),
      h("span.title", { dir: "auto" }, artist.name),
      artist.albums !== undefined && !Array.isArray(artist.albums)
        ? h("span.by", null, t("artist.albums", { count: artist.albums }))
        : null,
      artist.score === undefined ? null : likeness(artist.score),
    ),
  );
}

/**
 * A list of tracks.
 * @param {object[]} tracks
 * @param {object} [options] `numbers` shows their numbers on the album, `artist` the one whose
 *   name need not be repeated
 */
export function trackList(tracks, { numbers = false, artist = null } = {}) {
  return h("ol.tracks", null, tracks.map((track) => trackItem(track, { numbers, artist })));
}

function trackItem(track, { numbers, artist }) {
  const shown = [track.artist === artist ? null : track.artist, numbers ? null : track.album].filter(Boolean);
  return h(
    "li",
    null,
    numbers ? h("span.no", null, track.track_number ?? "") : null,
    h(
      "span.what",
      null,
      h("span.title", { dir: "auto" }, track.title),
      shown.length ? h("span.by", { dir: "auto" }, linkedAlbum(track, shown, numbers)) : null,
    ),
    track.score !== undefined && track.score < 1 ? likeness(track.score) : null,
    h("span.length", null, track.duration ? clock(track.duration) : ""),
    h(
      "a.like",
      { href: `#/similar/${track.id}`, "aria-label": t("track.like", { title: track.title }), title: t("similar.short") },
      icon("like"),
    ),
  );
}

function linkedAlbum(track, shown, numbers) {
  if (numbers || !track.album_id || !track.album) return shown.join(" · ");
  return [
    shown.slice(0, -1).map((text) => `${text} · `),
    h("a", { href: `#/album/${track.album_id}` }, track.album),
  ];
}

/** How alike, as a bar of ten steps. */
function likeness(score) {
  const share = Math.max(0, Math.min(1, score));
  return h("meter.likeness", { min: 0, max: 1, value: share.toFixed(3), "aria-label": t("similar.score", { score: Math.round(share * 100) }), title: share.toFixed(3) });
}

/** A link back to where one came from, else to a fixed place. */
export function backLink(href, label) {
  return h("a.back", { href }, icon("back"), label);
}

/**
 * Fill an element with what is loaded; a failure is shown with a button to try again.
 * @param {Element} element
 * @param {() => Promise<Array|Node>} load
 * @param {AbortSignal} signal
 */
export async function loadInto(element, load, signal) {
  element.setAttribute("aria-busy", "true");
  if (!element.childElementCount) put(element, h("p.note", null, t("loading")));
  try {
    const content = await load();
    if (signal.aborted) return;
    put(element, content);
    const main = document.getElementById("main"); // has the focus when a view came without a heading
    if (document.activeElement === main) element.querySelector("h1")?.focus({ preventScroll: true });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    put(element, refused(error, () => loadInto(element, load, signal)));
  } finally {
    element.removeAttribute("aria-busy");
  }
}

function refused(error, again) {
  return h("div.refused", { role: "alert" }, h("p", { lang: error.language }, error.message), button(t("again"), again));
}

/**
 * A list that comes page by page.
 * @param {object} options
 * @param {Element} options.list where the items go
 * @param {(after: ?string) => Promise<{items: Array, next: ?string}>} options.load
 * @param {(item: object) => Element} options.item
 * @param {string} options.empty what to say when there is none
 * @param {(count: number) => string} options.count how many there are so far, for a screen reader
 * @param {AbortSignal} options.signal
 * @returns {{element: Element, reload: Function}}
 */
export function paged({ list, load, item, empty, count, signal }) {
  const note = h("p.note", { hidden: true });
  const trouble = h("div");
  const more = button(t("more"), () => act(more, () => next(true)), { class: "more", hidden: true });
  const element = h("div.paged", null, list, note, trouble, more);
  let after = null;
  let turn = 0;

  async function next(byHand) {
    const mine = turn;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await load(after);
      if (signal.aborted || mine !== turn) return; // another question was asked meanwhile
      const first = !after;
      after = page.next;
      const items = page.items.map(item);
      if (first) put(list, items);
      else list.append(...items);
      put(trouble);
      more.hidden = !page.next;
      note.hidden = list.childElementCount > 0;
      setText(note, empty);
      if (byHand) items[0]?.querySelector("a, button")?.focus();
      announce(list.childElementCount ? count(list.childElementCount) : empty, "list");
    } catch (error) {
      if (signal.aborted || mine !== turn || error.name === "AbortError") return;
      more.hidden = true;
      put(trouble, refused(error, () => next(byHand)));
    } finally {
      if (mine === turn) list.removeAttribute("aria-busy");
    }
  }

  function reload() {
    turn += 1;
    after = null;
    return next(false);
  }

  reload();
  return { element, reload };
}
