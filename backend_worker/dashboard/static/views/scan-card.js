/** The running scan, or the last one and a button to start the next. */

import { ApiError, send } from "../js/api.js";
import { button, h, put, setText } from "../js/dom.js";
import { ago, duration, number, percent, t } from "../js/i18n.js";
import { live } from "../js/live.js";
import { act, announce, toast } from "../js/say.js";

const PARTS = ["stored", "unchanged", "failed", "ignored"];
const QUARTERS = [0.25, 0.5, 0.75];

/** @param {AbortSignal} signal */
export function scanCard(signal) {
  const card = h("section.card.scan", { "aria-labelledby": "scan-title" });
  let shown; // the scan that is shown, null while none runs, undefined at first
  let update = () => {};

  function refresh() {
    const scan = live.running[0] ?? null;
    const key = scan?.id ?? (live.status || live.problem ? null : undefined);
    if (key !== shown || update === null || card.childElementCount === 0) {
      const hadFocus = card.contains(document.activeElement);
      const content = key === undefined ? loading() : scan ? running() : idle();
      put(card, content.nodes);
      update = content.update;
      shown = key;
      if (hadFocus) card.querySelector("button, h2")?.focus();
    }
    update(scan);
  }

  live.on("scan", refresh, signal);
  refresh();
  return card;
}

function loading() {
  return { nodes: [h("h2", { id: "scan-title" }, t("scan.title")), h("p.note", null, t("loading"))], update() {} };
}

function running() {
  const title = h("h2", { id: "scan-title", tabindex: -1 });
  const root = h("p.path");
  const big = h("p.big");
  const hint = h("p.hint");
  const folder = h("p.folder");
  const segments = Object.fromEntries(PARTS.map((part) => [part, h(`span.part.${part}`)]));
  const rest = h("span.part.rest");
  const bar = h(
    "div.bar",
    { role: "progressbar", "aria-labelledby": "scan-title", "aria-valuemin": 0, "aria-valuemax": 100 },
    ...Object.values(segments),
    rest,
  );
  const counts = Object.fromEntries(PARTS.map((part) => [part, h("dd")]));
  const legend = h(
    "dl.legend",
    null,
    PARTS.map((part) => h(`div.${part}`, null, h("dt", null, t(`scan.${part}`)), counts[part])),
  );
  let id = null;
  const stop = button(t("scan.stop"), () =>
    act(stop, async () => {
      await send("DELETE", `scans/${id}`);
      toast(t("scan.stopping.said", { id: String(id) }));
      live.refreshSoon();
    }),
  );
  const spoken = new Set();

  function update(scan) {
    const figures = { ...scan, ...live.progress.get(scan.id) };
    const done = PARTS.reduce((sum, part) => sum + (figures[part] ?? 0), 0);
    const found = Math.max(figures.found ?? 0, done);
    const share = found ? done / found : 0;
    const stopping = figures.status === "cancelling";
    id = scan.id;
    setText(title, stopping ? t("scan.stopping") : t("scan.running"));
    setText(root, scan.root);
    setText(big, figures.walk_ended ? percent(Math.floor(share * 100) / 100) : number(done));
    setText(hint, sentence(figures, done, found));
    folder.hidden = !figures.folder;
    if (!folder.hidden) setText(folder, t("scan.folder", { folder: figures.folder }));
    for (const part of PARTS) {
      segments[part].style.flexGrow = String(figures[part] ?? 0);
      setText(counts[part], number(figures[part] ?? 0));
    }
    rest.style.flexGrow = String(Math.max(found - done, found ? 0 : 1));
    bar.classList.toggle("open", !figures.walk_ended);
    if (figures.walk_ended) bar.setAttribute("aria-valuenow", Math.floor(share * 100));
    else bar.removeAttribute("aria-valuenow");
    bar.setAttribute("aria-valuetext", sentence(figures, done, found));
    if (stopping && document.activeElement === stop) title.focus();
    stop.hidden = stopping;
    if (figures.walk_ended) speak(share);
  }

  function speak(share) {
    for (const quarter of QUARTERS) {
      if (share < quarter || spoken.has(quarter)) continue;
      spoken.add(quarter);
      if (share < quarter + 0.2) announce(t("scan.spoken", { share: percent(quarter) }), "scan");
    }
  }

  return { nodes: [h("div.card-head", null, title, stop), root, big, hint, bar, legend, folder], update };
}

/** "1,240 of 2,880 files · 812 files a second · 2 min left". */
function sentence(figures, done, found) {
  const parts = [
    figures.walk_ended
      ? t("scan.done", { count: found, done, found })
      : t("scan.walking", { count: found, done, found }),
  ];
  if (figures.rate > 0) parts.push(t("scan.rate", { count: Math.round(figures.rate) }));
  if (figures.walk_ended && figures.seconds_left > 0)
    parts.push(t("scan.left", { duration: duration(figures.seconds_left) }));
  return parts.join(" · ");
}

function idle() {
  const last = h("p.hint");
  const outcome = h("p.note");
  const folder = h("input", { id: "scan-folder", type: "text", spellcheck: "false", autocomplete: "off" });
  const start = h("button.primary", { type: "submit" }, t("scan.start"));
  const elsewhere = h("details", null, h("summary", null, t("scan.elsewhere")), h("label", { for: "scan-folder" }, t("scan.elsewhere.label")), folder);
  /** The server wants to know the folder, or another one. */
  const ask = () => {
    elsewhere.open = true;
    folder.value ||= live.scans[0]?.root ?? "";
    folder.select();
  };
  const form = h(
    "form.start",
    {
      onsubmit(event) {
        event.preventDefault();
        act(start, async () => {
          const wanted = folder.value.trim();
          try {
            await send("POST", "scans", wanted ? { folder: wanted } : {});
          } catch (error) {
            if (error instanceof ApiError && error.status === 400) ask();
            throw error;
          }
          toast(t("scan.started.said"));
          live.refreshSoon();
        });
      },
    },
    start,
    elsewhere,
  );

  function update() {
    const [scan] = live.scans;
    if (!live.status && live.problem) setText(last, live.problem);
    else if (!scan) setText(last, t("scan.never"));
    else setText(last, t(`scan.last.${scan.status}`, { ago: ago(new Date(scan.finished_at ?? scan.started_at)) }));
    setText(outcome, scan ? figuresOf(scan) : "");
  }

  return {
    nodes: [h("h2", { id: "scan-title", tabindex: -1 }, t("scan.idle")), last, outcome, form],
    update,
  };
}

/** What came of a scan in one sentence: "2,880 files in 41 s: 12 read, 2,865 unchanged". */
export function figuresOf(scan) {
  const parts = ["stored", "unchanged", "failed", "ignored", "moved", "gone"]
    .filter((part) => scan[part] > 0)
    .map((part) => t(`scan.count.${part}`, { count: scan[part] }));
  const head =
    scan.seconds === null || scan.seconds === undefined
      ? t("scan.files", { count: scan.found ?? 0 })
      : t("scan.files.in", { count: scan.found ?? 0, duration: duration(scan.seconds) });
  const text = parts.length ? `${head}${t("colon")}${parts.join(", ")}` : head;
  return scan.message && scan.status !== "completed" ? `${text}. ${scan.message}` : text;
}
