/** What happens now. */

import { h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { boardCard, glance } from "./board-card.js";
import { newestAlbums } from "./albums.js";
import { newsCard, scansCard } from "./news.js";
import { scanCard } from "./scan-card.js";

export function overview({ signal }) {
  return {
    title: t("nav.now"),
    node: h(
      "div.overview",
      null,
      h("h1.unseen", { tabindex: -1 }, t("nav.now")),
      h("div.column", null, scanCard(signal), glance(signal), newestAlbums(signal), scansCard(signal)),
      h("div.column", null, boardCard(signal), newsCard(signal)),
    ),
  };
}
