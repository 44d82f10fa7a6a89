/** The token that allows changes: asked for once, kept in this browser. */

import { recall, remember } from "./storage.js";

const NAME = "token";

export const knownToken = () => recall(NAME);
export const forgetToken = () => remember(NAME, null);

let asking = null;

/**
 * Ask the person for the token.
 * @param {string} [problem] why it is asked again
 * @returns {Promise<string|null>} null if the person does not want to
 */
export function askForToken(problem = "") {
  asking ??= show(problem).finally(() => {
    asking = null;
  });
  return asking;
}

function show(problem) {
  const dialog = document.getElementById("token-dialog");
  const input = document.getElementById("token-value");
  const note = document.getElementById("token-problem");
  input.value = "";
  input.removeAttribute("aria-invalid");
  note.textContent = problem;
  note.hidden = !problem;
  if (problem) input.setAttribute("aria-invalid", "true");
  dialog.returnValue = "";
  dialog.showModal(); // keeps the focus inside, closes with Escape, gives the focus back
  input.focus();
  return new Promise((resolve) => {
    const done = new AbortController();
    const { signal } = done;
    document.getElementById("token-cancel").addEventListener("click", () => dialog.close("cancel"), { signal });
    document.getElementById("token-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        dialog.close("ok");
      },
      { signal },
    );
    dialog.addEventListener(
      "close",
      () => {
        done.abort();
        const token = input.value.trim();
        input.value = "";
        if (dialog.returnValue !== "ok" || !token) return resolve(null);
        remember(NAME, token);
        return resolve(token);
      },
      { signal },
    );
  });
}
