/** "More like this": the tracks nearest to one. */

import { get } from "../js/api.js";
import { h } from "../js/dom.js";
import { clock, t } from "../js/i18n.js";
import { retitle } from "../js/router.js";
import { loadInto, trackList, year } from "./parts.js";

const SHOWN = 30;

export function similar({ match, signal }) {
  const body = h("div.page");
  const page = { title: t("similar.short"), node: body };
  loadInto(
    body,
    async () => {
      const { track, similar: found } = await get(`tracks/${match[1]}/similar`, { limit: SHOWN }, signal);
      page.title = t("track.like", { title: track.title });
      if (!signal.aborted) retitle(page.title);
      return similarPage(track, found);
    },
    signal,
  );
  return page;
}

function similarPage(track, found) {
  const facts = [(track.genres ?? []).join(", "), year(track.date), track.duration ? clock(track.duration) : null, track.codec];
  return [
    h(
      "header.seed",
      null,
      h("p.note", null, t("similar.short")),
      h("h1", { tabindex: -1, dir: "auto" }, track.title),
      h("p.by", null, [track.artist, track.album].filter(Boolean).join(" · ")),
      h("p.note", null, facts.filter(Boolean).join(" · ")),
      track.path ? h("p.path", null, track.path) : null,
    ),
    found.length ? trackList(found) : h("p.note", null, t("similar.none")),
  ];
}
