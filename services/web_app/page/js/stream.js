// Server-sent events with capped reconnect, resumed from the last event; polling meanwhile.

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const SILENCE_MS = 15_000; // three heartbeats: the connection is dead though nobody said so
const POLL_MS = 2_000;

/** Emits `tick`, `prediction`, `health`, `reset`, `state` as CustomEvents; `detail` is the payload. */
export class StreamClient extends EventTarget {
  /** @type {EventSource | null} */ #source = null;
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
    this.#source?.close();
    this.#source = null;
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
    const source = new EventSource(`/api/v1/stream?${query}`);
    this.#source = source;
    source.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      clearInterval(this.#poll);
      this.#become("open");
      this.#beat();
    };
    source.onerror = () => this.#fail();
    for (const name of ["tick", "prediction", "health", "heartbeat", "reset"]) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) this.#lastId = event.lastEventId;
        this.#beat();
        this.#emit(name === "heartbeat" ? "health" : name, JSON.parse(event.data));
      });
    }
    // The server moves to its next version: the one that takes over is there already.
    source.addEventListener("end", () => this.#open(replaySeconds));
    this.#beat();
  }

  #beat() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#fail(), SILENCE_MS);
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
      const answer = await fetch(`/api/v1/latest?symbol=${encodeURIComponent(this.#symbol)}`);
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
