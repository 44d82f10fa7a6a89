/**
 * The server's events, for as long as somebody looks.
 *
 * EventSource comes back by itself after a lost connection and says which event was its last
 * (Last-Event-ID). It gives up when the server answers with an error, and it does not notice
 * a connection that died silently: both are seen to here, again from the last event on.
 */

const KINDS = [
  "hello",
  "board",
  "server.away",
  "server.back",
  "scan.started",
  "scan.progress",
  "scan.completed",
  "scan.cancelled",
  "scan.failed",
  "scan.refused",
  "batch.stored",
  "file.failed",
  "cover.stored",
  "vectors.stored",
  "worker.scaled",
];
const SILENCE_MS = 20_000; // the server sends "board" every 2 s and a heartbeat every 15 s
const EARLIER = 40; // events from before the page was opened
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const HIDDEN_MS = 60_000; // a page in the background must not keep the server awake

/** Emits "event" (detail: {kind, id, data}) and "state" (state, since). */
export class Stream extends EventTarget {
  state = "connecting"; // connecting, open, lost, paused
  since = new Date();
  reason = null; // why the server refuses, if it does
  lastId = null;

  #source = null;
  #silence = null;
  #retry = null;
  #hidden = null;
  #failures = 0;

  start() {
    document.addEventListener("visibilitychange", () => this.#visibility());
    window.addEventListener("online", () => this.state === "lost" && this.#open());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => event.persisted && this.#open());
    this.#open();
  }

  #open() {
    this.#close();
    this.#source = new EventSource(this.#address());
    this.#source.addEventListener("error", () => this.#failed());
    for (const kind of KINDS) this.#source.addEventListener(kind, (event) => this.#received(kind, event));
    this.#watch();
  }

  #address() {
    const url = new URL("api/events", document.baseURI);
    url.hash = "";
    if (this.lastId) url.searchParams.set("after", this.lastId);
    else url.searchParams.set("last", EARLIER);
    return url;
  }

  #close() {
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
  }

  #received(kind, event) {
    this.#watch();
    this.#failures = 0;
    this.reason = null;
    if (event.lastEventId) this.lastId = event.lastEventId;
    if (this.state !== "open") this.#become("open");
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      console.error(`event ${kind} is no JSON: ${event.data}`);
      return;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: { kind, id: event.lastEventId || null, data } }));
  }

  #failed() {
    this.#become("lost");
    if (this.#source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    this.#again();
    this.#askWhy();
  }

  /** EventSource hides why it was refused; an ordinary request does not. */
  async #askWhy() {
    const enough = new AbortController();
    try {
      const answer = await fetch(this.#address(), { signal: enough.signal });
      const why = answer.ok ? null : ((await answer.json()).error ?? null);
      if (this.state !== "lost" || why === this.reason) return;
      this.reason = why;
      this.dispatchEvent(new Event("state"));
    } catch {
      // no answer at all, or none of ours: the connection is lost, as is said already
    } finally {
      enough.abort();
    }
  }

  #again() {
    this.#close();
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#open(), wait * (0.8 + 0.4 * Math.random()));
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#become("lost");
      this.#again();
    }, SILENCE_MS);
  }

  #visibility() {
    clearTimeout(this.#hidden);
    if (document.hidden) {
      this.#hidden = setTimeout(() => {
        this.#close();
        this.#become("paused");
      }, HIDDEN_MS);
    } else if (this.state === "paused") {
      this.#become("connecting");
      this.#open();
    }
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.since = new Date();
    this.dispatchEvent(new Event("state"));
  }
}
