/** Files that could not be read, why, and a button to read them again. */

import { get, send } from "../js/api.js";
import { button, h } from "../js/dom.js";
import { ago, bytes, dateTime, t } from "../js/i18n.js";
import { live } from "../js/live.js";
import { act, toast } from "../js/say.js";
import { paged } from "./parts.js";

const PAGE = 50;

export function failures({ signal }) {
  const pages = paged({
    list: h("ul.failures"),
    signal,
    load: async (after) => {
      const page = await get("failures", { after, limit: PAGE }, signal);
      return { items: page.failures, next: page.next };
    },
    item: failure,
    empty: t("failures.none"),
    count: (count) => t("failures.count", { count }),
  });
  const retry = button(
    t("failures.retry"),
    () =>
      act(retry, async () => {
        await send("POST", "failures/retry");
        toast(t("failures.retry.said"));
        live.refreshSoon();
      }),
    { class: "primary" },
  );
  let known = live.status?.library.failed_files;
  live.on(
    "facts",
    () => {
      const count = live.status?.library.failed_files;
      retry.hidden = count === 0;
      if (known !== undefined && count !== known) pages.reload();
      known = count;
    },
    signal,
  );
  retry.hidden = known === 0;
  return {
    title: t("nav.failures"),
    node: h(
      "div.page",
      null,
      h("div.card-head", null, h("h1", { tabindex: -1 }, t("nav.failures")), retry),
      h("p.note", null, t("failures.explained")),
      pages.element,
    ),
  };
}

function failure({ path, reason, size, read_at: readAt }) {
  const cut = path.lastIndexOf("/") + 1;
  const read = readAt ? new Date(readAt) : null;
  return h(
    "li",
    null,
    h("p.title", null, path.slice(cut)),
    h("p.reason", { lang: reason ? "en" : null }, reason ?? t("failures.unknown")),
    h(
      "p.path",
      null,
      path.slice(0, cut),
      size === null || size === undefined ? null : ` · ${bytes(size)}`,
      read ? [" · ", h("time", { datetime: readAt, title: dateTime(read) }, ago(read))] : null,
    ),
  );
}
