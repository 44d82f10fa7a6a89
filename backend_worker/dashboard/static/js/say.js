/** Telling the person: notes that are seen, and announcements that are heard. */

import { h } from "./dom.js";
import { ApiError, Declined } from "./api.js";

const SHOWN_MS = 7000;
const CALM_MS = 700; // until nobody types any more

/** Show a short note, which a screen reader speaks as well. */
export function toast(text, { bad = false, lang = null } = {}) {
  const note = h(bad ? "p.toast.bad" : "p.toast", { lang }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
}

const unspoken = new Map(); // subject -> text

/** Let a screen reader speak; of several texts on a subject within a moment only the last. */
export function announce(text, subject = text) {
  unspoken.set(subject, text);
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    const said = [...unspoken.values()].join(" ");
    unspoken.clear();
    document.getElementById("announcer").textContent = said;
  }, CALM_MS);
}

/** Run what a button does: not twice at once, and what goes wrong is shown. */
export async function act(element, action) {
  if (element.getAttribute("aria-disabled") === "true") return;
  element.setAttribute("aria-disabled", "true"); // not `disabled`: that would lose the focus
  try {
    await action();
  } catch (error) {
    if (error instanceof ApiError) toast(error.message, { bad: true, lang: error.language });
    else if (!(error instanceof Declined)) throw error;
  } finally {
    element.removeAttribute("aria-disabled");
  }
}
