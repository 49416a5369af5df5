// Calls to the server. A 401 asks for a token once, for all calls that wait for it, and tries again.

import { askForToken } from "./token.js";

const KEY = "hedgehog-token";

/** The token of this tab, or null. */
export function token() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

let asking = null;

/** Asks for a token; false where the prompt was dismissed. Callers at the same time share one prompt. */
export function signIn() {
  asking ??= askForToken(token() !== null).then((answer) => {
    asking = null;
    if (answer === null) return false;
    try {
      sessionStorage.setItem(KEY, answer);
    } catch {
      return false;
    }
    return true;
  });
  return asking;
}

/** An answer other than 2xx, or none at all (`status` 0). */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(method, path, { body, headers } = {}) {
  const all = { ...headers };
  const bearer = token();
  if (bearer) all.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers: all, body, cache: "no-store" });
  } catch {
    throw new Failure(0, "The server does not answer. Is it running, and is the network up?");
  }
}

function reason(response, text) {
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string") return error;
  } catch {
    // A proxy's page, say: the status has to do.
  }
  return `The server answered ${response.status} ${response.statusText}`.trim();
}

/** One call: `{status, etag, text}`, or a `Failure` that says what the server said. */
export async function call(method, path, options) {
  let response = await send(method, path, options);
  while (response.status === 401 && await signIn()) response = await send(method, path, options);
  const text = await response.text();
  if (!response.ok) throw new Failure(response.status, reason(response, text));
  return { status: response.status, etag: response.headers.get("ETag"), text };
}

/** The path of a table. */
export const tablePath = (table) => `/api/v1/tables/${encodeURIComponent(table)}`;

/** The path of an item. */
export const itemPath = (table, key) => `${tablePath(table)}/items/${encodeURIComponent(key)}`;
