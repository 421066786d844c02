// Server-sent events over fetch, which can send a token: capped reconnect, resumed from the last
// event; polling meanwhile.
import { ask, isAsking } from "./access.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const SILENCE_MS = 15_000; // three heartbeats: the connection is dead though nobody said so
const POLL_MS = 2_000;

/** Cuts what comes into events: `{event, id, data}` for each block that an empty line ends. */
export class EventParser {
  #rest = "";

  /** @param {string} text @returns {{event: string, id: string, data: string}[]} */
  push(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map((block) => {
      const found = { event: "", id: "", data: "" };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        const name = line.slice(0, colon);
        // Our server writes each of them on one line.
        if (name === "event" || name === "id" || name === "data") found[name] = line.slice(colon + 1).trimStart();
      }
      return found;
    });
  }
}

/** Emits `tick`, `prediction`, `health`, `reset`, `state` as CustomEvents; `detail` is the payload. */
export class StreamClient extends EventTarget {
  /** @type {AbortController | null} */ #connection = null;
  #lastId = "";
  #symbol = "";
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #watch = 0;
  #poll = 0;
  /** @type {"connecting" | "open" | "lost"} */ state = "connecting";

  /** Follow a symbol from `replaySeconds` ago on. @param {string} symbol @param {number} replaySeconds */
  follow(symbol, replaySeconds) {
    this.#symbol = symbol;
    this.#lastId = "";
    this.#open(replaySeconds);
  }

  close() {
    this.#connection?.abort();
    this.#connection = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    clearInterval(this.#poll);
  }

  /** @param {number} replaySeconds */
  #open(replaySeconds) {
    this.close();
    const query = new URLSearchParams({ symbol: this.#symbol });
    if (this.#lastId) query.set("last_event_id", this.#lastId);
    else query.set("replay_s", String(replaySeconds));
    const connection = new AbortController();
    this.#connection = connection;
    this.#beat();
    // Whoever opens anew aborts this one, and then nobody waits for how it ends.
    this.#read(`/api/v1/stream?${query}`, connection.signal).then(
      (moved) => !connection.signal.aborted && (moved ? this.#open(replaySeconds) : this.#fail()),
      () => !connection.signal.aborted && this.#fail(),
    );
  }

  /** Read to the end. @param {string} address @param {AbortSignal} signal
   * @returns {Promise<boolean>} whether the server moves to its next version, which is there already */
  async #read(address, signal) {
    const answer = await ask(address, { signal, headers: { Accept: "text/event-stream" } });
    if (!answer.ok || !answer.body) throw new Error(`status ${answer.status}`);
    this.#retryMs = FIRST_RETRY_MS;
    clearInterval(this.#poll);
    this.#become("open");
    const parser = new EventParser();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return false;
      this.#beat();
      for (const { event, id, data } of parser.push(value)) {
        if (signal.aborted) return false;
        if (event === "end") return true;
        if (id) this.#lastId = id;
        if (data) this.#emit(event === "heartbeat" ? "health" : event, JSON.parse(data));
      }
    }
  }

  #beat() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => (isAsking() ? this.#beat() : this.#fail()), SILENCE_MS);
  }

  #fail() {
    this.close();
    this.#become("lost");
    this.#timer = setTimeout(() => this.#open(120), this.#retryMs * (0.75 + Math.random() / 2));
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    this.#poll = setInterval(() => this.#ask(), POLL_MS);
  }

  async #ask() {
    try {
      const answer = await ask(`/api/v1/latest?symbol=${encodeURIComponent(this.#symbol)}`);
      if (!answer.ok) return;
      const latest = await answer.json();
      if (latest.tick) this.#emit("tick", latest.tick);
    } catch {
      // The server is away; the next attempt says so again.
    }
  }

  /** @param {"connecting" | "open" | "lost"} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.#emit("state", state);
  }

  /** @param {string} name @param {unknown} detail */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
