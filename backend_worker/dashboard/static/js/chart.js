/** A small line of the last minutes: where it stands, where it came from. */

import { h, setText, svg } from "./dom.js";
import { t, time } from "./i18n.js";
import { WINDOW_MS } from "./live.js";

const NARROWEST_MS = 60_000; // until more is known, what is known fills the width

const HEIGHT = 56;
const TOP = 6; // room for the line's width and the dot
const GAP_MS = 7000; // the connection was lost: no line where nothing is known

/**
 * @param {object} options
 * @param {string} options.label what it shows
 * @param {string} options.field of a sample
 * @param {(value: number) => string} options.format
 * @param {boolean} [options.steps] whole numbers that jump
 * @param {(values: number[]) => [number, number]} options.range lowest and highest value shown
 * @returns {{element: Element, update: Function}} update(samples, {limit, note})
 */
export function spark({ label, field, format, steps = false, range }) {
  const value = h("span.spark-value");
  const note = h("span.spark-note");
  const area = svg("path", { class: "spark-area" });
  const line = svg("path", { class: "spark-line" });
  const limit = svg("line", { class: "spark-limit" });
  const dot = svg("circle", { class: "spark-dot", r: 3.5 });
  const cursor = svg("line", { class: "spark-cursor", y1: 0, y2: HEIGHT });
  const plot = svg("svg", { class: "spark-plot", role: "img", height: HEIGHT }, limit, area, line, cursor, dot);
  const element = h("div.spark", null, h("div.spark-head", null, h("span.spark-label", null, label), value, note), plot);
  let width = 0;
  let last = null;
  let pointed = null; // where the pointer is, in pixels

  const observer = new ResizeObserver(([entry]) => {
    width = Math.round(entry.contentRect.width);
    if (last) draw();
  });
  observer.observe(plot);
  plot.addEventListener("pointermove", (event) => {
    pointed = event.offsetX;
    if (last) draw();
  });
  plot.addEventListener("pointerleave", () => {
    pointed = null;
    if (last) draw();
  });

  function draw() {
    const now = Date.now();
    const known = last.samples.filter((sample) => sample[field] !== null);
    const values = known.map((sample) => sample[field]);
    const newest = last.samples.at(-1)?.[field] ?? last.value ?? null;
    element.hidden = newest === null && !values.length; // a machine without a thermometer
    const [low, high] = range([...values, ...(newest === null ? [] : [newest]), ...(last.limit ? [last.limit] : [])]);
    const span = Math.min(WINDOW_MS, Math.max(NARROWEST_MS, now - (last.samples[0]?.time ?? now)));
    const x = (sample) => width - ((now - sample.time) / span) * width;
    const y = (number) => HEIGHT - 2 - ((number - low) / (high - low || 1)) * (HEIGHT - TOP - 2);
    const pieces = broken(known);
    line.setAttribute("d", pieces.map((piece) => trace(piece, x, y, field, steps)).join(""));
    area.setAttribute("d", pieces.map((piece) => closed(piece, x, y, field, steps)).join(""));
    place(limit, last.limit ? { x1: 0, x2: width, y1: y(last.limit), y2: y(last.limit) } : null);
    const at = pointed === null ? null : nearest(known, x, pointed);
    const marked = at ?? known.at(-1);
    place(dot, marked ? { cx: Math.min(x(marked), width - 4), cy: y(marked[field]) } : null);
    place(cursor, at ? { x1: x(at), x2: x(at) } : null);
    setText(value, newest === null ? "–" : format((at ?? { [field]: newest })[field]));
    setText(note, at ? time(new Date(at.time)) : (last.note ?? ""));
    plot.setAttribute("aria-label", described(values, newest));
  }

  function described(values, newest) {
    if (newest === null) return t("chart.unknown", { label });
    if (!values.length) return t("chart.now", { label, now: format(newest) });
    const [lowest, highest] = [Math.min(...values), Math.max(...values)].map(format);
    return t("chart.between", { label, now: format(newest), lowest, highest });
  }

  return {
    element,
    update(samples, { value: alone = null, limit: bound = null, note: text = "" } = {}) {
      last = { samples, value: alone, limit: bound, note: text };
      draw();
    },
    end: () => observer.disconnect(),
  };
}

/** Cut a list of samples where nothing came for a while. */
function broken(samples) {
  const pieces = [];
  let before = -Infinity;
  for (const sample of samples) {
    if (sample.time - before > GAP_MS) pieces.push([]);
    pieces.at(-1).push(sample);
    before = sample.time;
  }
  return pieces;
}

function trace(samples, x, y, field, steps) {
  let path = "";
  for (const sample of samples) {
    const [left, top] = [x(sample).toFixed(1), y(sample[field]).toFixed(1)];
    if (!path) path = `M${left} ${top}`;
    else path += steps ? `H${left}V${top}` : `L${left} ${top}`;
  }
  return path;
}

function closed(samples, x, y, field, steps) {
  if (samples.length < 2) return "";
  return `${trace(samples, x, y, field, steps)}V${HEIGHT}H${x(samples[0]).toFixed(1)}Z`;
}

function nearest(samples, x, where) {
  const distance = (sample) => Math.abs(x(sample) - where);
  return samples.reduce((best, sample) => (!best || distance(sample) < distance(best) ? sample : best), null);
}

function place(element, attributes) {
  element.toggleAttribute("hidden", !attributes);
  for (const [name, number] of Object.entries(attributes ?? {})) element.setAttribute(name, number.toFixed(1));
}
