// Snapshots as they come, over server-sent events; reconnects by itself and says how things stand.

import { Failure, call, token } from "./api.js";

const STALE_AFTER_MS = 3_500;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Fires `snapshot` (detail: the snapshot) and `state` (detail: `{name, text}`) with the names
 * `connecting`, `live`, `stale` (connected, but nothing comes), `lost` and `locked` (no valid token).
 */
export class Stream extends EventTarget {
  #source = null;
  #pause = 1_000;
  #lastAt = 0;
  #state = "";
  #retry = null;

  start() {
    setInterval(() => this.#watch(), 1_000);
    this.connect();
  }

  /** Milliseconds since the last snapshot. */
  get age() {
    return performance.now() - this.#lastAt;
  }

  /** Connects anew, at once. */
  async connect() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#tell("connecting", "connecting");
    try {
      // An EventSource hides the status of a refusal; an ordinary call says 401 and asks for a token.
      const { text } = await call("GET", "/api/v1/stats");
      this.#take(JSON.parse(text));
    } catch (failure) {
      this.#fail(failure);
      return;
    }
    const bearer = token();
    const query = bearer ? `?access_token=${encodeURIComponent(bearer)}` : "";
    this.#source = new EventSource(`/api/v1/events${query}`);
    this.#source.addEventListener("stats", (event) => {
      this.#pause = 1_000;
      this.#take(JSON.parse(event.data));
    });
    // The browser would retry too, but not after a refusal, and without a word about it.
    this.#source.onerror = () => this.#fail(new Failure(0, "connection lost"));
  }

  #take(snapshot) {
    this.#lastAt = performance.now();
    this.#tell("live", "live");
    this.dispatchEvent(new CustomEvent("snapshot", { detail: snapshot }));
  }

  #fail(failure) {
    this.#source?.close();
    this.#source = null;
    if (failure.status === 401) {
      this.#tell("locked", "needs a token");
      return;
    }
    this.#tell("lost", failure.status ? `refused (${failure.status})` : "connection lost, trying again");
    this.#retry = setTimeout(() => this.connect(), this.#pause);
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
  }

  #watch() {
    if (this.#state === "live" && this.age > STALE_AFTER_MS) {
      this.#tell("stale", "connected, but no new figures");
    }
  }

  #tell(name, text) {
    // A retry is no news: the state stays `lost` until something has come of it.
    if (name === this.#state || (name === "connecting" && this.#state === "lost")) return;
    this.#state = name;
    this.dispatchEvent(new CustomEvent("state", { detail: { name, text } }));
  }
}
