/** Asking the server, and telling it what to do. */

import { t } from "./i18n.js";
import { askForToken, forgetToken, knownToken } from "./token.js";

/** What the server answered instead of what was asked for; the message is a sentence. */
export class ApiError extends Error {
  constructor(message, status, language = null) {
    super(message);
    this.status = status;
    this.language = language; // of the message; null: the page's
  }
}

/** The person closed the dialog that asks for the token. */
export class Declined extends Error {}

/**
 * Ask for JSON.
 * @param {string} path below api/
 * @param {object} [query] parameters; null, undefined and "" are left out
 * @param {AbortSignal} [signal]
 */
export async function get(path, query = {}, signal = undefined) {
  return read(await reach(address(path, query), { signal }));
}

/**
 * Change something; asks for the token when there is none or it is not accepted.
 * @throws {Declined}
 */
export async function send(method, path, body = undefined) {
  let token = knownToken();
  for (;;) {
    const answer = await reach(address(path), {
      method,
      headers: {
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.status !== 401) return read(answer);
    const problem = token === null ? "" : t("token.wrong");
    forgetToken();
    token = await askForToken(problem);
    if (token === null) throw new Declined();
  }
}

function address(path, query = {}) {
  const url = new URL(`api/${path}`, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  return url;
}

async function reach(url, options) {
  try {
    return await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("error.unreachable"), 0);
  }
}

async function read(answer) {
  let data = null;
  try {
    data = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error; // anything else is no JSON: judged by its status
  }
  if (answer.ok) return data;
  if (data?.error) throw new ApiError(data.error, answer.status, "en");
  throw new ApiError(t("error.status", { status: String(answer.status) }), answer.status);
}
