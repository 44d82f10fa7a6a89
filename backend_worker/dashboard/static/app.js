/** The page: what is shown around every view, and which views there are. */

import { icon, put, setText } from "./js/dom.js";
import { LANGUAGES, language, number, onLanguage, preferred, t, time, use } from "./js/i18n.js";
import { live } from "./js/live.js";
import { startRouter } from "./js/router.js";
import { announce } from "./js/say.js";
import { recall, remember } from "./js/storage.js";
import { album, albums } from "./views/albums.js";
import { artist, artists } from "./views/artists.js";
import { failures } from "./views/failures.js";
import { overview } from "./views/overview.js";
import { search, startSearch } from "./views/search.js";
import { similar } from "./views/similar.js";

const ROUTES = [
  [/^\/$/, "now", overview],
  [/^\/albums$/, "albums", albums],
  [/^\/album\/(\d+)$/, "albums", album],
  [/^\/artists$/, "artists", artists],
  [/^\/artist\/(\d+)$/, "artists", artist],
  [/^\/similar\/(\d+)$/, "", similar],
  [/^\/search$/, "", search],
  [/^\/failures$/, "failures", failures],
];
const THEMES = ["auto", "light", "dark"];
const FRESH_MS = 15_000;
const LOST_MS = 1500; // shorter gaps are not worth a banner

function startTheme() {
  const button = document.getElementById("theme");
  const show = () => {
    const theme = recall("theme") ?? "auto";
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    put(button, icon(`theme-${theme}`));
    const label = t(`theme.${theme}`);
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(recall("theme") ?? "auto") + 1) % THEMES.length];
    remember("theme", next === "auto" ? null : next);
    show();
    announce(t(`theme.${next}`), "theme");
  });
  onLanguage(show);
  show();
}

function startLanguage() {
  const button = document.getElementById("language");
  const codes = Object.keys(LANGUAGES);
  const next = () => codes[(codes.indexOf(language()) + 1) % codes.length];
  const show = () => {
    setText(button, next().toUpperCase());
    button.lang = next(); // its label is in the language it leads to
    button.setAttribute("aria-label", LANGUAGES[next()]);
    button.title = LANGUAGES[next()];
  };
  button.addEventListener("click", () => use(next(), { keep: true }));
  onLanguage(show);
  show();
}

/** Say honestly whether what is shown is live. */
function startLink() {
  const link = document.getElementById("link");
  const text = document.getElementById("link-text");
  const banner = document.getElementById("banner");
  let timer = null;
  let wasLost = false;

  const show = () => {
    const { state, since, reason } = live.stream;
    link.dataset.state = state;
    setText(text, t(`link.${state}`));
    clearTimeout(timer);
    if (state === "lost") {
      timer = setTimeout(() => {
        wasLost = true;
        setText(banner, reason ? t("link.refused", { reason }) : t("link.banner", { time: time(since) }));
        banner.hidden = false;
      }, Math.max(0, LOST_MS - (Date.now() - since)));
    } else if (state === "open") {
      banner.hidden = true;
      if (wasLost) announce(t("link.again"));
      wasLost = false;
    }
  };
  live.addEventListener("link", show);
  live.addEventListener("facts", () => {
    if (live.stream.state !== "open" || wasLost) return;
    const problem = Object.values(live.away)[0] ?? live.problem; // of Redis or PostgreSQL
    banner.hidden = !problem;
    if (problem) setText(banner, problem);
  });
  onLanguage(show);
  show();
}

function startBadge() {
  const badge = document.getElementById("failure-count");
  const flower = document.getElementById("flower");
  const show = () => {
    const failed = live.status?.library?.failed_files ?? 0;
    badge.hidden = !failed;
    setText(badge, number(failed));
    const url = live.status?.flower_url;
    flower.hidden = !url;
    if (url) flower.href = url;
  };
  live.addEventListener("facts", show);
  onLanguage(show);
}

/** A scan's end is worth hearing wherever one is on the page. */
function startAnnouncements() {
  let newest = null;
  live.addEventListener("news", () => {
    const [item] = live.news;
    if (item === newest || !item) return;
    newest = item;
    if (Date.now() - item.time > FRESH_MS) return; // from before the page was opened
    const scan = String(item.data.scan ?? item.data.id ?? "");
    if (item.kind === "scan.started") announce(t("news.scan.started", { ...item.data, scan }), "scan");
    if (item.kind === "scan.completed") announce(t("scan.spoken.end"), "scan");
  });
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  const main = document.getElementById("main");
  main.focus();
  main.scrollIntoView();
});

await use(preferred());
startTheme();
startLanguage();
startLink();
startBadge();
startAnnouncements();
startSearch();
live.start();
startRouter(ROUTES);
