/** Telling the person: notes that are seen, and announcements that are heard. */

import { h } from "./dom.js";
import { ApiError, Declined } from "./api.js";

const SHOWN_MS = 7000;

/** Show a short note, which a screen reader speaks as well. */
export function toast(text, { bad = false } = {}) {
  const note = h(bad ? "p.toast.bad" : "p.toast", null, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
}

/** Let a screen reader speak; the last of several within a second wins. */
export function announce(text) {
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    const element = document.getElementById("announcer");
    element.textContent = "";
    element.textContent = text;
  }, 700);
}

/** Run what a button does: not twice at once, and what goes wrong is shown. */
export async function act(element, action) {
  if (element.getAttribute("aria-disabled") === "true") return;
  element.setAttribute("aria-disabled", "true"); // not `disabled`: that would lose the focus
  try {
    await action();
  } catch (error) {
    if (error instanceof ApiError) toast(error.message, { bad: true });
    else if (!(error instanceof Declined)) throw error;
  } finally {
    element.removeAttribute("aria-disabled");
  }
}
