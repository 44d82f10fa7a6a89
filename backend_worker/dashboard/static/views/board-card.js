/** What the machine does: processes, queue, memory and temperature over the last minutes. */

import { spark } from "../js/chart.js";
import { h, put, setText } from "../js/dom.js";
import { bytes, celsius, duration, memory, number, playingTime, t } from "../js/i18n.js";
import { live } from "../js/live.js";

/** @param {AbortSignal} signal */
export function boardCard(signal) {
  const charts = {
    processes: spark({
      label: t("board.processes"),
      field: "processes",
      format: (value) => number(value),
      steps: true,
      range: (values) => [0, Math.max(1, ...values)],
    }),
    queued: spark({
      label: t("board.queued"),
      field: "queued",
      format: (value) => number(value),
      range: (values) => [0, Math.max(10, ...values)],
    }),
    memory: spark({
      label: t("board.memory"),
      field: "memory",
      format: memory,
      range: (values) => [0, Math.max(64 * 2 ** 20, ...values) * 1.05],
    }),
    temperature: spark({
      label: t("board.temperature"),
      field: "temperature",
      format: celsius,
      range: (values) => [Math.min(30, ...values), Math.max(70, ...values)],
    }),
  };
  const state = h("p.hint");
  const queues = h("p.note");
  const card = h(
    "section.card.board",
    { "aria-labelledby": "board-title" },
    h("h2", { id: "board-title" }, t("board.title")),
    state,
    h("div.sparks", null, Object.values(charts).map((chart) => chart.element)),
    queues,
  );

  function refresh() {
    const board = live.status?.board ?? {};
    const workers = live.status?.workers ?? [];
    const most = workers.reduce((sum, worker) => sum + (worker.max_processes ?? 0), 0);
    const busy = workers.reduce((sum, worker) => sum + (worker.processes ?? 0), 0);
    charts.processes.update(live.samples, {
      value: workers.length ? busy : null,
      limit: most || null,
      note: most ? t("board.of", { most }) : "",
    });
    charts.queued.update(live.samples, { value: live.status ? total(live.status.queues) : null });
    charts.memory.update(live.samples, {
      value: board.memory_bytes ?? board.pss_bytes ?? null,
      limit: board.memory_high_bytes ?? null,
      note: board.memory_high_bytes ? t("board.below", { most: memory(board.memory_high_bytes) }) : "",
    });
    charts.temperature.update(live.samples, { value: board.temperature_c ?? null });
    setText(state, worker(workers));
    setText(queues, waiting(live.status?.queues ?? {}));
  }

  live.on("board", refresh, signal);
  live.on("facts", refresh, signal);
  signal.addEventListener("abort", () => Object.values(charts).forEach((chart) => chart.end()));
  refresh();
  return card;
}

const total = (queues) => Object.values(queues ?? {}).reduce((sum, length) => sum + length, 0);

/** One sentence on the worker. */
function worker(workers) {
  if (!live.status) return live.problem ?? t("loading");
  if (!workers.length) return t("board.noworker");
  const [hang] = workers.flatMap((one) => one.hanging_folders ?? []);
  if (hang) return t("board.hangs", { folder: hang.folder, duration: duration(hang.seconds) });
  const up = Math.max(...workers.map((one) => one.uptime_seconds ?? 0));
  const tasks = workers.reduce((sum, one) => sum + (one.tasks_done ?? 0), 0);
  return up
    ? t("board.up", { count: tasks, duration: duration(up) })
    : t("board.tasks", { count: tasks });
}

/** Which queues hold how much. */
function waiting(queues) {
  const filled = Object.entries(queues).filter(([, length]) => length > 0);
  if (!filled.length) return "";
  return t("board.waiting", { queues: filled.map(([name, length]) => `${name} ${number(length)}`).join(" · ") });
}

/** How much is in the library. @param {AbortSignal} signal */
export function glance(signal) {
  const numbers = h("dl.glance");
  const card = h("section.card", { "aria-labelledby": "library-title" }, h("h2", { id: "library-title" }, t("library.title")), numbers);
  let before = "";

  function refresh() {
    const library = live.status?.library;
    if (!library) {
      if (!numbers.childElementCount) put(numbers, h("div", null, h("dt", null, live.problem ?? t("loading"))));
      return;
    }
    const seconds = library.duration_seconds ?? 0;
    const items = [
      ["tracks", number(library.tracks)],
      ["albums", number(library.albums), "#/albums"],
      ["artists", number(library.artists), "#/artists"],
      ["playing", playingTime(seconds)],
      library.bytes ? ["size", bytes(library.bytes)] : null,
      ["failed", number(library.failed_files ?? 0), "#/failures"],
    ].filter(Boolean);
    const text = JSON.stringify(items);
    if (text === before) return;
    before = text;
    put(
      numbers,
      items.map(([name, value, href]) =>
        h("div", null, h("dt", null, t(`library.${name}`)), h("dd", null, href ? h("a", { href }, value) : value)),
      ),
    );
  }

  live.on("facts", refresh, signal);
  refresh();
  return card;
}
