// Wires everything: the view, the stream, the state, the charts and the panels.
import { get } from "./api.js";
import { Banners } from "./banners.js";
import { CoverageChart } from "./charts/coverage.js";
import { ErrorChart, HistogramChart } from "./charts/errors.js";
import { PriceChart } from "./charts/price.js";
import { TrackChart } from "./charts/track.js";
import { exportView } from "./export.js";
import * as format from "./format.js";
import { Market, seconds } from "./market.js";
import { blank, byId, make, predictionOf, showAhead, showForecast, showList, showPrice, showScoreboard, showScoreCards, write } from "./panels.js";
import { StreamClient } from "./stream.js";
import { HORIZONS, RANGES, rangeOf, readView, resolutionOf, writeView } from "./view.js";

const REPLAY_S = 180; // what the store may not have yet, and what happens while the history loads
const SCORES_MS = 5_000;
const STATUS_MS = 5_000;
const MODEL_MS = 15_000;
const DAY_AGO_MS = 60_000;
const DAY_S = 86_400;
const LATENCIES = 60;
const SETTLE_MS = 120; // the reader has stopped moving
const LEAST_S = 5; // that can be shown
const MOST_BARS = 3_990; // of one request

class Page {
  view = readView();
  banners = new Banners();
  stream = new StreamClient();
  /** @type {Market | null} */ next = null; // being loaded: it takes the place of the one that is shown
  paused = false;
  /** @type {{min: number, max: number} | null} */ zoom = null;
  /** @type {{symbol: string, first_tick: string | null, first_bar: string | null}[]} */ symbols = [];
  /** @type {Health | null} */ health = null;
  /** @type {number[]} */ latencies = [];
  clockOffset = 0; // seconds that the server's clock is ahead of ours
  drawTime = 0;
  /** @type {number | null} */ dayAgo = null; // the price then
  #pending = false;
  #scored = true; // something came that the charts of the past show
  #openedAt = 0;
  #loading = 0;
  #moved = 0;

  constructor() {
    const { view } = this;
    this.price = new PriceChart(byId("price-chart"), byId("price-readout"), view);
    this.track = new TrackChart(byId("track-chart"), byId("track-readout"), view);
    this.errors = new ErrorChart(byId("error-chart"), byId("error-readout"), view);
    this.histogram = new HistogramChart(byId("histogram-chart"), byId("histogram-readout"), view);
    this.coverage = new CoverageChart(byId("coverage-chart"), byId("coverage-readout"), view);
    this.charts = [this.price, this.track, this.errors, this.histogram, this.coverage];
    if (view.from !== null && view.to !== null) this.zoom = { min: view.from, max: view.to };
    this.market = new Market(view, this.#window());
  }

  async start() {
    this.#controls();
    this.#listen();
    const known = await this.#retry(() => get("symbols"));
    this.symbols = /** @type {any} */ (known).items;
    const names = this.symbols.map((each) => each.symbol);
    if (!names.includes(this.view.symbol)) this.view.symbol = names[0] ?? "";
    byId("symbol").replaceChildren(...names.map((name) => Object.assign(make("option", name), { value: name })));
    /** @type {HTMLSelectElement} */ (byId("symbol")).value = this.view.symbol;
    this.stream.follow(this.view.symbol, REPLAY_S);
    await this.reload();
    performance.mark("interactive"); // numbers, charts and every control are there
    this.#every(1_000, () => this.#tickAge());
    this.#every(SCORES_MS, () => this.#scores());
    this.#every(STATUS_MS, () => this.#status());
    this.#every(MODEL_MS, () => this.#models());
    this.#every(DAY_AGO_MS, () => this.#lookBack());
  }

  /** @template T @param {() => Promise<T>} ask @returns {Promise<T>} */
  async #retry(ask) {
    for (;;) {
      try {
        const answer = await ask();
        this.banners.fault(null);
        return answer;
      } catch (error) {
        this.banners.fault(`The server does not answer (${error instanceof Error ? error.message : error}); trying again.`);
        await new Promise((wake) => setTimeout(wake, 2_000));
      }
    }
  }

  /** @param {number} every @param {() => unknown} action */
  #every(every, action) {
    action();
    setInterval(() => document.visibilityState === "visible" && action(), every);
  }

  get now() {
    return Date.now() / 1000 + this.clockOffset;
  }

  /** Seconds since the epoch of the oldest that is kept. */
  get first() {
    const known = this.symbols?.find((each) => each.symbol === this.view.symbol);
    const times = [known?.first_bar, known?.first_tick].filter((time) => time != null);
    return times.length ? Math.min(...times.map((time) => seconds(/** @type {string} */ (time)))) : this.now;
  }

  /** What has to be loaded for what is shown: all of it, and where there is room some of each side.
   * @returns {import("./market.js").Window} */
  #window() {
    const { now } = this;
    const shown = this.zoom ? this.zoom.max - this.zoom.min : rangeOf(this.view) || Math.max(3600, now - this.first);
    const resolution = resolutionOf(shown);
    if (!this.zoom) return { start: now - shown, end: now, live: true, shown, ...resolution };
    const room = Math.max(0, Math.min(shown / 2, (MOST_BARS * resolution.step - shown) / 2));
    const end = Math.min(now, this.zoom.max + room);
    const start = Math.min(this.zoom.min - room, end - 60);
    return { start, end, live: end > now - 1, shown, ...resolution };
  }

  /** Whether what is loaded is enough for what is shown. */
  #covered() {
    const { window } = this.next ?? this.market;
    const wanted = this.#window();
    const begins = window.start <= Math.max(this.zoom?.min ?? wanted.start, this.first) + window.step;
    return window.step === wanted.step && begins && (window.live || (this.zoom !== null && this.zoom.max <= window.end));
  }

  /** Load the history of the view; what was loaded before is shown until then. */
  async reload() {
    const load = ++this.#loading;
    this.#labels();
    writeView(this.view);
    await this.#retry(async () => {
      if (load !== this.#loading) return;
      const market = new Market(this.view, this.#window());
      this.next = market; // events that come meanwhile are for both
      const [latest] = await Promise.all([get("latest", { symbol: this.view.symbol }), market.load()]);
      if (load !== this.#loading) return;
      const { tick } = /** @type {any} */ (latest);
      if (tick) market.addTick(tick);
      const prediction = predictionOf(latest);
      if (prediction) market.addPrediction(prediction);
      this.market = market;
      this.next = null;
    });
    if (load !== this.#loading) return;
    this.#force();
    this.#scores();
  }

  /** Load what the reader moved to, when the moving is over. */
  #catchUp() {
    clearTimeout(this.#moved);
    this.#moved = setTimeout(() => this.#covered() || this.reload(), SETTLE_MS);
  }

  #listen() {
    const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ action) =>
      this.stream.addEventListener(name, (event) => action(/** @type {CustomEvent} */ (event).detail));
    on("tick", (tick) => this.#tick(tick));
    on("prediction", (prediction) => {
      this.next?.addPrediction(prediction);
      this.market.addPrediction(prediction);
      this.#scored = true;
      this.#soon();
    });
    on("health", (health) => this.#health(health));
    on("reset", () => this.reload());
    on("state", () => {
      this.#openedAt = performance.now();
      this.#tickAge();
      const away = this.stream.state === "lost";
      byId("pipeline").classList.toggle("old", away);
      write(byId("pipeline-age"), away ? "as it was last known" : "");
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
    document.addEventListener("visibilitychange", () => this.#soon());
  }

  /** @param {Tick} tick */
  #tick(tick) {
    format.learnPrecision(tick.price);
    this.next?.addTick(tick);
    const news = this.market.addTick(tick);
    if (!news) return;
    const latency = this.now - seconds(tick.receive_time);
    // Not of what is sent again after a connection was made.
    if (performance.now() - this.#openedAt > 2_000) this.latencies = [...this.latencies.slice(1 - LATENCIES), Math.max(0, latency)];
    this.#soon();
  }

  /** @param {Health} health */
  #health(health) {
    this.health = health;
    this.clockOffset = seconds(health.time) - Date.now() / 1000;
    if (Math.abs(this.clockOffset) < 0.25) this.clockOffset = 0; // the way here, not the clocks
    this.banners.feed(health);
    this.#tickAge();
  }

  #tickAge() {
    const { tick } = this.market;
    const age = tick ? this.now - seconds(tick.receive_time) : (this.health?.last_tick_age_s ?? null);
    this.banners.state(this.stream.state, age);
  }

  /** Draw once for each frame, however many events came. */
  #soon() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  /** What the time axes show: the zoom, or the range up to now and what lies ahead. */
  span() {
    if (this.zoom) return this.zoom;
    const { now } = this.market;
    const length = rangeOf(this.view) || Math.max(3600, now - (this.market.bars.time[0] ?? now));
    return { min: now - length, max: now + PriceChart.ahead(this.view) };
  }

  #draw() {
    if (this.paused || document.visibilityState !== "visible") return;
    const start = performance.now();
    const { market, view } = this;
    const span = this.span();
    const past = this.zoom ?? { min: span.min, max: market.now };
    this.price.draw(market, span);
    if (this.#scored) this.#drawPast(span, past);
    showPrice(market, this.dayAgo);
    showForecast(market, view);
    showAhead(market, view);
    if (market.tick) {
      const clock = byId("clock");
      write(clock, `${format.time(market.now, view.zone, true)} ${view.zone === "utc" ? "UTC" : "local"}`);
      clock.setAttribute("datetime", new Date(market.now * 1000).toISOString());
    }
    this.drawTime = performance.now() - start;
  }

  /** @param {{min: number, max: number}} span @param {{min: number, max: number}} past */
  #drawPast(span, past) {
    const { market, view } = this;
    this.#scored = false;
    this.track.draw(market, this.zoom ?? { min: span.min, max: market.now + view.horizon });
    this.errors.draw(market, past);
    this.histogram.draw(market, past);
    this.coverage.draw(market, past);
  }

  #rebuild() {
    this.#scored = true;
    for (const chart of this.charts) chart.rebuild();
    this.#draw();
  }

  async #scores() {
    try {
      const windows = await Promise.all(["5m", "1h", "24h"].map((window) => get("scores", { symbol: this.view.symbol, window })));
      const chosen = windows.map((each) => /** @type {any} */ (each).items.find((/** @type {Summary} */ s) => s.horizon_s === this.view.horizon));
      showScoreboard(chosen);
      showScoreCards(chosen[1]);
    } catch {
      // The banner of the stream says that the server is away.
    }
  }

  /** What the price was a day ago, where that is known to some minutes. */
  async #lookBack() {
    const { symbol } = this.view;
    const start = this.now - DAY_S;
    try {
      const found = await get("bars", { symbol, interval: "1m", limit: 1, start: new Date(start * 1000).toISOString() });
      const [bar] = /** @type {any} */ (found).items;
      if (symbol === this.view.symbol) this.dayAgo = bar && seconds(bar.time) < start + 600 ? bar.open : null;
    } catch {
      // As above.
    }
  }

  async #status() {
    try {
      this.#pipeline(await get("status", { symbol: this.view.symbol }));
      this.#describe();
    } catch {
      // The banner of the stream says that the server is away.
    }
  }

  async #models() {
    try {
      this.#model(await get("models"));
    } catch {
      // As above.
    }
  }

  /** Each service by what can be seen of its work. @param {any} status */
  #pipeline(status) {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    const { kafka, store, ticks, predictions } = status.components;
    const behind = (/** @type {number | null} */ lag) => (lag === null ? "–" : `${format.number(lag)} behind`);
    const age = (/** @type {string} */ what, /** @type {number | null} */ seconds) => (seconds === null ? `no ${what} yet` : `${what} ${format.age(seconds)} ago`);
    /** @type {[string, string, boolean?][]} */ const entries = [
      ["Exchange", status.exchange ?? "–"],
      ["data-collector", age("tick", status.last_tick_age_s), ticks.ready],
      ["Kafka", kafka.detail, kafka.ready],
      ["bitcoin-forecast-app", age("forecast", status.last_prediction_age_s), predictions.ready],
      ["Its lag on Kafka", behind(status.forecaster_lag)],
      ["Store", store.detail, store.ready],
      ["Rows kept", status.ticks_kept === null ? "–" : `${format.number(status.ticks_kept)} ticks, ${format.number(status.store_bytes / 1e6)} MB`],
      ["web-app", `${format.number(status.streams)} of ${format.number(status.max_streams)} viewers`, true],
      ["Its lag on Kafka", behind(status.web_lag)],
      ["Tick to screen", median === undefined ? "–" : `${Math.round(1000 * median)} ms`],
      ["Drawing", `${this.drawTime.toFixed(1)} ms`],
      ["Instance", status.instance],
    ];
    showList(byId("pipeline"), entries);
  }

  /** @param {any} models */
  #model(models) {
    const version = this.market.prediction?.model_version ?? this.health?.model_version ?? "–";
    const serving = models.items.find((/** @type {any} */ each) => each.version === models.current);
    const newest = models.last_training;
    const when = (/** @type {any} */ card) => (card?.trained_at ? format.time(seconds(card.trained_at), this.view.zone, true).slice(0, 16) : "–");
    /** @type {[string, string][]} */ const entries = [["In service", version]];
    if (serving) entries.push(...this.#card(serving, when(serving)));
    else entries.push(["Trained model", newest ? "none has earned its place" : "none yet"]);
    if (newest && newest.version !== serving?.version) {
      entries.push(["Newest training", newest.version], ...this.#card(newest, when(newest)));
    }
    showList(byId("model"), entries);
  }

  /** @param {any} card @param {string} when @returns {[string, string][]} */
  #card(card, when) {
    const [from, to] = card.window ?? [];
    const hours = from && to ? `${format.age(seconds(to) - seconds(from))} of data, ` : "";
    return [
      ["Trained", when],
      ["On", `${hours}${format.number(card.rows)} ticks`],
      ["Features", `${format.number(card.features.length)}, named in /api/v1/models`],
      ["Made by", `code ${card.code ?? "–"}, seed ${card.seed ?? "–"}`],
      ["Decision", card.reason ?? "–"],
    ];
  }

  /** What the charts show, in words. */
  #describe() {
    const { market, view } = this;
    if (!market.tick) return;
    const closes = /** @type {number[]} */ (market.bars.columns.close.filter((value) => value != null));
    const low = Math.min(...closes), high = Math.max(...closes);
    const text = `${view.symbol} over ${view.range}: now ${format.price(Number(market.tick.price))}, between ${format.price(low)} and ${format.price(high)}`;
    byId("price-chart").setAttribute("aria-label", `Price chart. ${text}. ${byId("forecast").textContent} forecast in ${format.duration(view.horizon)}.`);
  }

  #labels() {
    const { horizon } = this.view;
    const symbol = this.view.symbol.split("-");
    for (const each of document.querySelectorAll(".in-horizon")) write(each, `in ${format.duration(horizon)}`);
    for (const each of document.querySelectorAll(".before-horizon")) write(each, `${format.duration(horizon)} before`);
    for (const each of document.querySelectorAll(".quote")) write(each, symbol[1] ?? "");
    write(byId("zone"), this.view.zone === "utc" ? "UTC" : "Local");
    const press = (/** @type {string} */ id, /** @type {string} */ value) => {
      for (const button of byId(id).querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === value));
    };
    press("ranges", this.view.range);
    press("horizons", String(horizon));
    press("kinds", this.view.kind);
    byId("price-legend").dataset["kind"] = this.view.kind;
    /** @type {HTMLButtonElement} */ (byId("follow")).disabled = this.zoom === null;
  }

  #controls() {
    const choices = (/** @type {string} */ id, /** @type {[string, string][]} */ values, /** @type {(value: string) => void} */ choose) => {
      for (const [value, text] of values) {
        const button = /** @type {HTMLButtonElement} */ (make("button", text));
        button.type = "button";
        button.value = value;
        button.addEventListener("click", () => choose(value));
        byId(id).append(button);
      }
    };
    choices("ranges", Object.keys(RANGES).map((range) => [range, range === "all" ? "All" : range]), (range) => {
      this.view.range = range;
      this.zoom = this.view.from = this.view.to = null;
      this.reload();
    });
    choices("horizons", HORIZONS.map((horizon) => [String(horizon), format.duration(horizon)]), (horizon) => {
      this.view.horizon = Number(horizon);
      this.reload();
    });
    choices("kinds", [["line", "Line"], ["candles", "Candles"]], (kind) => {
      this.view.kind = kind === "candles" ? "candles" : "line";
      this.#labels();
      writeView(this.view);
      this.price.rebuild();
      this.#draw();
    });
    const click = (/** @type {string} */ id, /** @type {() => void} */ action) => byId(id).addEventListener("click", action);
    click("zone", () => this.#zone());
    click("pause", () => this.#pause());
    click("zoom-in", () => this.#scale(0.5, 1));
    click("zoom-out", () => this.#scale(2, 1));
    click("pan-left", () => this.#pan(-0.25));
    click("pan-right", () => this.#pan(0.25));
    click("follow", () => this.#follow());
    click("link", () => this.#link());
    click("full", () => this.#full());
    for (const button of document.querySelectorAll("[data-export]")) {
      button.addEventListener("click", () => this.#export(/** @type {any} */ (button).dataset.export));
    }
    byId("symbol").addEventListener("change", (event) => {
      this.view.symbol = /** @type {HTMLSelectElement} */ (event.target).value;
      this.zoom = this.view.from = this.view.to = null;
      this.market = new Market(this.view, this.#window()); // nothing of the other symbol stays
      this.dayAgo = null;
      blank();
      this.#lookBack();
      this.#force();
      this.stream.follow(this.view.symbol, REPLAY_S);
      this.reload();
    });
    for (const chart of [this.price, this.track, this.errors, this.coverage]) {
      const on = (/** @type {string} */ name, /** @type {(detail: any) => void} */ action) =>
        chart.addEventListener(name, (event) => action(/** @type {CustomEvent} */ (event).detail));
      on("zoom", (span) => this.#zoomTo(span));
      on("pan", (share) => this.#pan(share));
      on("scale", ({ factor, at }) => this.#scale(factor, at));
      on("follow", () => this.#follow());
    }
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName)) return;
    /** @type {Record<string, () => void>} */ const keys = {
      "+": () => this.#scale(0.5, 1), "=": () => this.#scale(0.5, 1), "-": () => this.#scale(2, 1),
      ArrowLeft: () => this.#pan(-0.1), ArrowRight: () => this.#pan(0.1), Home: () => this.#follow(),
      ",": () => this.#inspect(-1), ".": () => this.#inspect(1),
      Escape: () => /** @type {HTMLElement} */ (document.activeElement).blur(),
      p: () => this.#pause(), f: () => this.#full(), u: () => this.#zone(), l: () => this.#link(),
    };
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** The crosshair by keyboard; what it shows is said. @param {1 | -1} direction */
  #inspect(direction) {
    const chart = this.charts.find((each) => each.element === document.activeElement) ?? this.price;
    if (chart.step(direction)) byId("spoken").textContent = chart.readout.textContent;
  }

  /** @param {{min: number, max: number}} span */
  #zoomTo(span) {
    const { first } = this;
    const last = this.market.now + 300;
    const width = Math.min(Math.max(span.max - span.min, LEAST_S), Math.max(last - first, 2 * LEAST_S));
    const min = Math.min(Math.max(span.max - width, first - width / 10), last - width);
    this.zoom = { min, max: min + width };
    [this.view.from, this.view.to] = [this.zoom.min, this.zoom.max];
    this.#labels();
    writeView(this.view);
    this.#force();
    this.#catchUp();
  }

  /** @param {number} share of the width, positive is later */
  #pan(share) {
    const { min, max } = this.span();
    const move = share * (max - min);
    this.#zoomTo({ min: min + move, max: max + move });
  }

  /** @param {number} factor of the width @param {number} at where it stays: 0 left, 1 right */
  #scale(factor, at) {
    const { min, max } = this.span();
    // By key or button the newest that is shown stays: now, where what lies ahead of it is shown too.
    const fixed = at === 1 ? Math.min(max, this.market.now) : min + at * (max - min);
    this.#zoomTo({ min: fixed - (fixed - min) * factor, max: fixed + (max - fixed) * factor });
  }

  #follow() {
    this.zoom = null;
    this.view.from = this.view.to = null;
    this.#labels();
    writeView(this.view);
    this.#force();
    this.#catchUp();
  }

  /** Draw though paused: the reader moved. */
  #force() {
    const { paused } = this;
    this.paused = false;
    this.#scored = true;
    this.#draw();
    this.paused = paused;
  }

  #zone() {
    this.view.zone = this.view.zone === "utc" ? "local" : "utc";
    this.#labels();
    writeView(this.view);
    this.#rebuild();
  }

  #pause() {
    this.paused = !this.paused;
    const button = byId("pause");
    button.setAttribute("aria-pressed", String(this.paused));
    write(button, this.paused ? "Paused" : "Pause");
    this.#soon();
  }

  async #link() {
    writeView(this.view);
    try {
      await navigator.clipboard.writeText(location.href);
      this.#say("Link copied");
    } catch {
      this.#say("The address of the page is the link");
    }
  }

  async #full() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await byId("price-panel").requestFullscreen?.();
  }

  /** @param {"csv" | "json" | "png"} kind */
  #export(kind) {
    const { view } = this;
    const feed = this.health?.feed === "live" ? "" : ` (${this.health?.feed})`;
    const caption = `${view.symbol}${feed} · ${format.time(this.market.now, view.zone, true)} ${view.zone === "utc" ? "UTC" : ""}`;
    exportView(kind, this.market, view, this.span(), this.price.plot?.ctx.canvas, caption);
    this.#say(`${kind.toUpperCase()} saved`);
  }

  /** @param {string} text */
  #say(text) {
    const toast = byId("toast");
    toast.textContent = text;
    toast.hidden = false;
    setTimeout(() => (toast.hidden = true), 2_500);
  }
}

const page = new Page();
// For tests: how long drawing takes, and what is held.
Object.defineProperty(globalThis, "page", { value: page });
page.start();
