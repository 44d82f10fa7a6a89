/** Albums: all of them, and one. */

import { get } from "../js/api.js";
import { h, put } from "../js/dom.js";
import { duration, t } from "../js/i18n.js";
import { live } from "../js/live.js";
import { retitle } from "../js/router.js";
import { albumTile, backLink, cover, loadInto, paged, trackList, year } from "./parts.js";

const PAGE = 48;
const SORTS = ["title", "artist", "date", "newest"];
const TYPING_MS = 200;

export function albums({ signal }) {
  const list = h("ul.grid");
  const filter = h("input", { id: "album-filter", type: "search", autocomplete: "off", spellcheck: "false", maxlength: 200 });
  const sort = h("select", { id: "album-sort" }, SORTS.map((name) => h("option", { value: name }, t(`albums.sort.${name}`))));
  const pages = paged({
    list,
    signal,
    load: async (after) => {
      const page = await get("albums", { after, limit: PAGE, q: filter.value.trim(), sort: sort.value }, signal);
      return { items: page.albums, next: page.next };
    },
    item: albumTile,
    empty: t("albums.none"),
    count: (count) => t("albums.count", { count }),
  });
  let timer = null;
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(pages.reload, TYPING_MS);
  });
  sort.addEventListener("change", pages.reload);
  return {
    title: t("nav.albums"),
    keep: true,
    node: h(
      "div.page",
      null,
      h("h1", { tabindex: -1 }, t("nav.albums")),
      h(
        "div.toolbar",
        null,
        h("p.field", null, h("label", { for: "album-filter" }, t("albums.filter")), filter),
        h("p.field", null, h("label", { for: "album-sort" }, t("albums.sort")), sort),
      ),
      pages.element,
    ),
  };
}

export function album({ match, signal }) {
  const body = h("div.page");
  const page = { title: t("album.one"), node: body };
  loadInto(
    body,
    async () => {
      const found = await get(`albums/${match[1]}`, {}, signal);
      page.title = found.title;
      if (!signal.aborted) retitle(found.title);
      return albumPage(found);
    },
    signal,
  );
  return page;
}

function albumPage(found) {
  const seconds = found.tracks.reduce((sum, track) => sum + (track.duration ?? 0), 0);
  const facts = [year(found.date), t("album.tracks", { count: found.tracks.length }), seconds ? duration(seconds) : null, found.label];
  const discs = Map.groupBy ? Map.groupBy(found.tracks, disc) : grouped(found.tracks);
  return [
    backLink("#/albums", t("nav.albums")),
    h(
      "header.album-head",
      null,
      cover(found, { full: true }),
      h(
        "div",
        null,
        h("h1", { tabindex: -1, dir: "auto" }, found.title),
        h("p.by", { dir: "auto" }, artists(found)),
        h("p.note", null, facts.filter(Boolean).join(" · ")),
      ),
    ),
    [...discs].map(([number, tracks]) => [
      discs.size > 1 ? h("h2", null, heading(number, tracks)) : null,
      trackList(tracks, { numbers: true, artist: found.artist }),
    ]),
  ];
}

const disc = (track) => track.disc_number ?? 1;

/** A disc's number, and its own name where it has one. */
function heading(number, tracks) {
  const title = tracks.find((track) => track.disc_title)?.disc_title;
  return [t("album.disc", { number: String(number) }), title].filter(Boolean).join(": ");
}

function grouped(tracks) {
  const groups = new Map();
  for (const track of tracks) groups.set(disc(track), [...(groups.get(disc(track)) ?? []), track]);
  return groups;
}

/** The artists as links where the server names them, else as the album credits them. */
function artists(found) {
  if (!found.artists?.length) return found.artist ?? t("artist.unknown");
  if (found.artists.length === 1) return h("a", { href: `#/artist/${found.artists[0].id}` }, found.artist ?? found.artists[0].name);
  return found.artists.flatMap((artist, index) => [
    index ? ", " : null,
    h("a", { href: `#/artist/${artist.id}` }, artist.name),
  ]);
}

/** The albums that came last. @param {AbortSignal} signal */
export function newestAlbums(signal) {
  const list = h("ul.grid.strip");
  const card = h(
    "section.card",
    { "aria-labelledby": "newest-title", hidden: true },
    h("div.card-head", null, h("h2", { id: "newest-title" }, t("albums.newest")), h("a", { href: "#/albums" }, t("albums.all"))),
    list,
  );
  let known = null;

  async function refresh() {
    const library = live.status?.library;
    const state = library && `${library.albums} ${library.covers}`;
    if (!library || state === known) return;
    known = state;
    try {
      const { albums: newest } = await get("albums", { limit: 6, sort: "newest" }, signal);
      put(list, newest.map(albumTile));
      card.hidden = !newest.length;
    } catch {
      known = null; // an ornament: the page says elsewhere that the server does not answer
    }
  }

  live.on("facts", refresh, signal);
  refresh();
  return card;
}
