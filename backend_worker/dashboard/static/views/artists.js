/** Artists: all of them, and one. */

import { get } from "../js/api.js";
import { h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { retitle } from "../js/router.js";
import { albumTile, artistItem, backLink, loadInto, paged, portrait } from "./parts.js";

const PAGE = 100;
const TYPING_MS = 200;

export function artists({ signal }) {
  const filter = h("input", { id: "artist-filter", type: "search", autocomplete: "off", spellcheck: "false", maxlength: 200 });
  const pages = paged({
    list: h("ul.artists"),
    signal,
    load: async (after) => {
      const page = await get("artists", { after, limit: PAGE, q: filter.value.trim() }, signal);
      return { items: page.artists, next: page.next };
    },
    item: artistItem,
    empty: t("artists.none"),
    count: (count) => t("artists.count", { count }),
  });
  let timer = null;
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(pages.reload, TYPING_MS);
  });
  return {
    title: t("nav.artists"),
    keep: true,
    node: h(
      "div.page",
      null,
      h("h1", { tabindex: -1 }, t("nav.artists")),
      h("div.toolbar", null, h("p.field", null, h("label", { for: "artist-filter" }, t("artists.filter")), filter)),
      pages.element,
    ),
  };
}

export function artist({ match, signal }) {
  const body = h("div.page");
  const page = { title: t("artist.one"), node: body };
  loadInto(
    body,
    async () => {
      const found = await get(`artists/${match[1]}`, {}, signal);
      page.title = found.name;
      if (!signal.aborted) retitle(found.name);
      return artistPage(found);
    },
    signal,
  );
  return page;
}

function artistPage(found) {
  const albums = found.albums ?? [];
  const similar = found.similar ?? [];
  const counts = [t("artist.albums", { count: albums.length }), found.tracks && t("album.tracks", { count: found.tracks })];
  const facts = counts.filter(Boolean).join(" · ");
  return [
    backLink("#/artists", t("nav.artists")),
    h(
      "header.artist-head",
      null,
      portrait(found, { full: true }),
      h("div", null, h("h1", { tabindex: -1, dir: "auto" }, found.name), h("p.note", null, facts)),
    ),
    albums.length ? h("ul.grid", null, albums.map(albumTile)) : null,
    similar.length
      ? h("section", { "aria-labelledby": "alike" }, h("h2", { id: "alike" }, t("artist.similar")), h("ul.artists", null, similar.map(artistItem)))
      : null,
  ];
}
