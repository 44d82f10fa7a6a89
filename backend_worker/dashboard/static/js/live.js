/** What is known of the worker, its scans and its board at the moment: facts and news. */

import { get } from "./api.js";
import { Stream } from "./stream.js";

export const WINDOW_MS = 5 * 60_000; // what the charts show
const NEWS_KEPT = 60;
const SCANS_KEPT = 8;
const STEPS_MS = 10_000;
const FACTS_MS = 10_000; // the library's totals cost the Pi a query
// All of these of one scan are one piece of news each, until something else happens.
const MERGED = new Set(["batch.stored", "cover.stored", "vectors.stored", "file.failed"]);
const SCAN_ENDS = new Set(["scan.completed", "scan.cancelled", "scan.failed"]);
const NO_NEWS = new Set(["hello", "board", "server.away", "server.back", "scan.progress"]);

class Live extends EventTarget {
  stream = new Stream();
  status = null; // as GET api/status gave it last
  problem = null; // the sentence with which it was refused
  away = {}; // servers that do not answer, and a sentence on each
  scans = []; // newest first
  progress = new Map(); // scan id -> the newest scan.progress
  samples = []; // {time, processes, queued, memory, temperature}, oldest first
  news = []; // {id, kind, time, data, count, ids}, newest first

  #facts = null;
  #asking = false;

  start() {
    this.stream.addEventListener("event", (event) => this.#take(event.detail));
    this.stream.addEventListener("state", () => this.#emit("link"));
    this.stream.start();
    this.refresh();
    setInterval(() => {
      if (!document.hidden && this.stream.state !== "paused") this.refresh();
    }, FACTS_MS);
  }

  /** Call a function on each change of a subject: "facts", "scan", "board", "news", "link". */
  on(subject, listener, signal) {
    this.addEventListener(subject, listener, { signal });
  }

  /** The scans that run. */
  get running() {
    return this.scans.filter((scan) => scan.status === "running" || scan.status === "cancelling");
  }

  /** Ask for the facts soon; many reasons to ask are one question. */
  refreshSoon() {
    clearTimeout(this.#facts);
    this.#facts = setTimeout(() => this.refresh(), 400);
  }

  /** Ask for the facts now. */
  async refresh() {
    if (this.#asking) return this.refreshSoon();
    this.#asking = true;
    try {
      const [status, scans] = await Promise.all([get("status"), get("scans", { limit: SCANS_KEPT })]);
      this.status = status;
      this.scans = scans;
      this.problem = null;
      this.#forgetEnded();
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.#asking = false;
    }
    this.#emit("facts");
    this.#emit("scan");
    return undefined;
  }

  #take({ kind, id, data }) {
    if (kind === "board") this.#sample(data);
    if (kind === "hello") this.away = data.away ?? {};
    if (kind === "server.away") this.away[data.server] = data.error;
    if (kind === "server.back") delete this.away[data.server];
    // what was missed meanwhile is in the facts
    if (kind === "hello" || kind === "server.back") this.refreshSoon();
    if (kind === "hello" || kind.startsWith("server.")) this.#emit("facts");
    if (kind === "scan.progress") {
      this.progress.set(data.scan, data);
      if (!this.running.some((scan) => scan.id === data.scan)) this.refreshSoon();
      this.#emit("scan");
    }
    if (kind === "scan.started" || SCAN_ENDS.has(kind)) this.refreshSoon();
    if (!NO_NEWS.has(kind)) this.#tell(kind, id, data);
  }

  #sample(data) {
    const now = Date.now();
    this.samples.push({
      time: now,
      processes: data.processes ?? null,
      queued: data.queued ?? null,
      memory: data.memory_bytes ?? data.pss_bytes ?? null,
      temperature: data.temperature_c ?? null,
    });
    while (this.samples[0].time < now - WINDOW_MS) this.samples.shift();
    this.#emit("board");
  }

  #tell(kind, id, data) {
    if (!amount(kind, data)) return;
    const time = id ? new Date(Number(id.split("-")[0])) : new Date(); // a Redis id begins with the time
    if (kind === "worker.scaled" && this.#goesOn(time, data)) {
      const step = this.news[0];
      Object.assign(step, { id, time, data: { ...data, from: step.data.from } });
      this.#emit("news");
      return;
    }
    const same = MERGED.has(kind) ? this.#recent(kind, data.scan) : null;
    if (same) {
      same.count += 1;
      same.sum += amount(kind, data);
      Object.assign(same, { id, time, data });
    } else {
      this.news.unshift({ id, kind, time, data, count: 1, sum: amount(kind, data) });
      this.news.length = Math.min(this.news.length, NEWS_KEPT);
    }
    this.#emit("news");
  }

  /** Whether the newest piece of news is an earlier step of the same growing or shrinking. */
  #goesOn(time, { from, to }) {
    const [step] = this.news;
    if (step?.kind !== "worker.scaled" || time - step.time > STEPS_MS) return false;
    return step.data.to === from && Math.sign(step.data.to - step.data.from) === Math.sign(to - from);
  }

  #recent(kind, scan) {
    for (const item of this.news) {
      if (!MERGED.has(item.kind)) return null;
      if (item.kind === kind && item.data.scan === scan) return item;
    }
    return null;
  }

  #forgetEnded() {
    for (const id of this.progress.keys())
      if (!this.running.some((scan) => scan.id === id)) this.progress.delete(id);
  }

  #emit(subject) {
    this.dispatchEvent(new Event(subject));
  }
}

/** How many things one event is about. */
function amount(kind, data) {
  if (kind === "batch.stored") return data.stored ?? 0;
  if (kind === "vectors.stored") return data.tracks ?? 0; // those of artists follow from them
  return data.count ?? 1;
}

export const live = new Live();
