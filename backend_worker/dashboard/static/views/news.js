/** The last events, in words. */

import { h, put } from "../js/dom.js";
import { ago, dateTime, has, t, when } from "../js/i18n.js";
import { live } from "../js/live.js";
import { figuresOf } from "./scan-card.js";

const SHOWN = 12;
const TONES = {
  "scan.completed": "good",
  "scan.failed": "bad",
  "scan.refused": "warn",
  "scan.cancelled": "warn",
  "file.failed": "bad",
};

/** @param {AbortSignal} signal */
export function newsCard(signal) {
  const list = h("ol.news");
  const none = h("p.note", null, t("news.none"));
  const card = h("section.card", { "aria-labelledby": "news-title" }, h("h2", { id: "news-title" }, t("news.title")), none, list);

  function refresh() {
    none.hidden = live.news.length > 0;
    put(
      list,
      live.news.slice(0, SHOWN).map((item) =>
        h(
          "li",
          { class: TONES[item.kind] ?? null, "data-kind": item.kind, "data-count": item.count, "data-sum": item.sum },
          h("span.what", null, ...sentence(item)),
          h("time", { datetime: item.time.toISOString(), title: dateTime(item.time) }, when(item.time)),
        ),
      ),
    );
  }

  live.on("news", refresh, signal);
  refresh();
  return card;
}

const ENGLISH = "\u0000"; // no text holds it

/** One event as a sentence; the server's own words in it are English in every language. */
function sentence(item) {
  const english = item.data.files?.[0]?.reason ?? item.data.message ?? item.data.reason ?? "";
  const [before, ...after] = text(item).split(ENGLISH);
  return [before, ...after.map((rest) => [h("span", { lang: "en" }, english), rest])];
}

function text({ kind, data, sum }) {
  const scan = data.scan ?? data.id;
  if (kind === "batch.stored") return t("news.batch.stored", { count: sum });
  if (kind === "cover.stored") return t("news.cover.stored", { count: sum });
  if (kind === "vectors.stored") return t("news.vectors.stored", { count: sum });
  if (kind === "file.failed" && sum > 1) return t("news.file.failed.many", { count: sum });
  if (kind === "file.failed") return t("news.file.failed", { ...data.files?.[0], reason: ENGLISH });
  const figures = kind === "scan.completed" || kind === "scan.cancelled" ? figuresOf(data) : "";
  const key = `news.${kind}`;
  if (!has(key)) return kind;
  return t(key, {
    ...data,
    from: String(data.from ?? ""),
    to: String(data.to ?? ""),
    scan: String(scan ?? ""),
    root: data.root ?? data.directory ?? "",
    message: ENGLISH,
    figures,
  });
}

/** The last scans. @param {AbortSignal} signal */
export function scansCard(signal) {
  const list = h("ol.scans");
  const none = h("p.note", null, t("scans.none"));
  const card = h("section.card", { "aria-labelledby": "scans-title" }, h("h2", { id: "scans-title" }, t("scans.title")), none, list);

  function refresh() {
    const ended = live.scans.filter((scan) => scan.finished_at);
    none.hidden = ended.length > 0;
    put(
      list,
      ended.map((scan) => {
        const end = new Date(scan.finished_at);
        return h(
          "li",
          { class: scan.status },
          h(
            "p.scan-head",
            null,
            h("span.status", null, t(`scans.${scan.status}`)),
            h("time", { datetime: scan.finished_at, title: dateTime(end) }, ago(end)),
          ),
          h("p.path", null, scan.root),
          h("p.note", null, figuresOf(scan)),
        );
      }),
    );
  }

  live.on("scan", refresh, signal);
  refresh();
  return card;
}
