// The state behind the charts: history as loaded, then every event on top of it.
import * as api from "./api.js";
import { Grid } from "./grid.js";

const BAR = /** @type {const} */ (["open", "high", "low", "close", "mid", "volume"]);
/** @typedef {"lower" | "median" | "upper" | "actual" | "error"} TrackName */
const TRACK = /** @type {const} */ (["lower", "median", "upper", "actual", "error"]);
const SCORE = /** @type {const} */ (["bias", "mae", "coverage_50", "coverage_80", "coverage_95", "n"]);
const TRACK_POINTS = 600; // on the screen
const DAY_S = 86_340; // forecasts and scores are served for at most a day
const SEEN = 2_000; // ticks whose repeats are known

/** @param {string} text */
export const seconds = (text) => Date.parse(text) / 1000;

/** Rolling scores of the events since the page was loaded, to carry the loaded series on. */
class Recent {
  /** @param {number} step */
  constructor(step) {
    this.step = step;
    /** @type {Map<number, {n: number, error: number, absolute: number, c50: number, c80: number, c95: number, seen: Set<number>}>} */
    this.buckets = new Map();
  }

  /** @param {Outcome} outcome */
  add(outcome) {
    const target = seconds(outcome.target_time);
    const at = Math.floor(target / this.step) * this.step;
    let bucket = this.buckets.get(at);
    if (!bucket) this.buckets.set(at, (bucket = { n: 0, error: 0, absolute: 0, c50: 0, c80: 0, c95: 0, seen: new Set() }));
    if (bucket.seen.has(target)) return null;
    bucket.seen.add(target);
    const error = outcome.actual - outcome.predicted;
    bucket.n += 1;
    bucket.error += error;
    bucket.absolute += Math.abs(error);
    bucket.c50 += Number(outcome.inside_50);
    bucket.c80 += Number(outcome.inside_80);
    bucket.c95 += Number(outcome.inside_95);
    if (this.buckets.size > 4) this.buckets.delete(/** @type {number} */ (this.buckets.keys().next().value));
    return { at, bucket };
  }
}

/** The part of time that is loaded: `live` goes on with every event, the others are the past.
 * @typedef {{ start: number, end: number, live: boolean, interval: string, step: number, shown: number }} Window */

export class Market {
  /** @param {View} view @param {Window} window */
  constructor(view, window) {
    this.view = { ...view };
    this.window = window;
    const length = window.end - window.start;
    const scored = Math.min(length, DAY_S);
    const growth = window.live ? 1.5 : 1;
    this.span = length * growth;
    this.bars = new Grid(window.step, this.span, BAR);
    this.trackStep = Math.max(1, Math.ceil(Math.min(window.shown, scored) / TRACK_POINTS));
    this.track = new Grid(this.trackStep, scored * growth + view.horizon, TRACK);
    this.scoreStep = Math.max(10, Math.ceil(Math.min(window.shown, scored) / 120));
    this.scores = new Grid(this.scoreStep, scored * growth, SCORE);
    this.recent = new Recent(this.scoreStep);
    this.scored = scored * growth;
    /** @type {Tick | null} */ this.tick = null;
    /** @type {Tick | null} */ this.before = null;
    /** @type {Prediction | null} */ this.prediction = null;
    /** @type {Set<number>} */ this.counted = new Set();
  }

  /** Load the history; events that came meanwhile are kept by their place in time. */
  async load() {
    const { start, end, interval } = this.window;
    const { symbol, horizon } = this.view;
    const scored = Math.max(start, Math.floor(end) - DAY_S);
    const [bars, predictions, scores] = await Promise.all([
      api.bars(symbol, interval, Math.floor(start), end + 1),
      api.predictions(symbol, horizon, this.trackStep, Math.max(Math.floor(end) - DAY_S, start - horizon), end + 1),
      api.scoreSeries(symbol, horizon, this.scoreStep, scored, end + 1),
    ]);
    this.#mergeBars(bars);
    this.#mergePredictions(predictions);
    this.#mergeScores(scores);
  }

  /** @param {Columns} columns */
  #mergeBars(columns) {
    const newer = this.bars;
    const grid = new Grid(newer.step, this.span, BAR);
    columns["time"]?.forEach((time, index) => {
      const row = grid.row(Number(time));
      for (const name of BAR) grid.set(row, name, columns[name]?.[index] ?? null);
    });
    newer.time.forEach((time, index) => {
      if (newer.columns.close[index] == null) return;
      const row = grid.row(time);
      // What the store has of the newest bars may be incomplete; the live ones are whole from their start.
      if (index > 0 || grid.columns.close[row] == null) for (const name of BAR) grid.set(row, name, newer.columns[name][index] ?? null);
    });
    this.bars = grid;
  }

  /** @param {Columns} columns */
  #mergePredictions(columns) {
    const newer = this.track;
    const grid = new Grid(newer.step, this.scored + this.view.horizon, TRACK);
    columns["target_time"]?.forEach((time, index) => {
      const median = columns["q500"]?.[index] ?? null;
      const actual = columns["actual"]?.[index] ?? null;
      this.#put(grid, Number(time), columns["q100"]?.[index] ?? null, median, columns["q900"]?.[index] ?? null);
      if (actual !== null && median !== null) this.#settle(grid, Number(time), actual, median);
    });
    newer.time.forEach((time, index) => {
      const { lower, median, upper, actual } = newer.columns;
      if (median[index] != null) this.#put(grid, time, lower[index] ?? null, median[index] ?? null, upper[index] ?? null);
      if (actual[index] != null && newer.columns.error[index] != null) {
        const row = grid.row(time);
        grid.set(row, "actual", actual[index] ?? null);
        grid.set(row, "error", newer.columns.error[index] ?? null);
      }
    });
    this.track = grid;
  }

  /** The first forecast of a step stands for it. @param {Grid<TrackName>} into @param {number} target
   * @param {number | null} lower @param {number | null} median @param {number | null} upper */
  #put(into, target, lower, median, upper) {
    const row = into.row(target);
    if (row < 0 || into.columns.median[row] != null) return;
    into.set(row, "lower", lower);
    into.set(row, "median", median);
    into.set(row, "upper", upper);
  }

  /** @param {Grid<TrackName>} into @param {number} target @param {number} actual @param {number} predicted */
  #settle(into, target, actual, predicted) {
    const row = into.row(target);
    if (row < 0 || into.columns.actual[row] != null) return;
    into.set(row, "actual", actual);
    into.set(row, "error", actual - predicted);
  }

  /** @param {Columns} columns */
  #mergeScores(columns) {
    const grid = new Grid(this.scoreStep, this.scored, SCORE);
    columns["time"]?.forEach((time, index) => {
      const row = grid.row(Number(time));
      for (const name of SCORE) grid.set(row, name, columns[name]?.[index] ?? null);
    });
    this.scores = grid;
  }

  /** @param {Tick} tick @returns {boolean} whether it is news */
  addTick(tick) {
    if (tick.symbol !== this.view.symbol) return false;
    const value = Number(tick.price);
    const mid = tick.bid && tick.ask ? (Number(tick.bid) + Number(tick.ask)) / 2 : value;
    const at = tick.sequence / 1e6;
    const news = !this.tick || tick.sequence > this.tick.sequence;
    const row = this.window.live ? this.bars.row(at) : -1;
    const { high, low, open, volume } = this.bars.columns;
    if (row >= 0) {
      const traded = this.#count(tick);
      if (traded !== null) this.bars.set(row, "volume", (volume[row] ?? 0) + traded);
      if (open[row] == null) this.bars.set(row, "open", value);
      this.bars.set(row, "high", Math.max(high[row] ?? value, value));
      this.bars.set(row, "low", Math.min(low[row] ?? value, value));
      if (news || this.bars.columns.close[row] == null) {
        this.bars.set(row, "close", value);
        this.bars.set(row, "mid", mid);
      }
    }
    if (news) {
      this.before = this.tick;
      this.tick = tick;
    }
    return news;
  }

  /** What was traded since the tick before; null where no venue told, and for a repeat. @param {Tick} tick */
  #count(tick) {
    if (tick.buy_volume == null || tick.sell_volume == null || this.counted.has(tick.sequence)) return null;
    this.counted.add(tick.sequence);
    if (this.counted.size > SEEN) this.counted.delete(/** @type {number} */ (this.counted.values().next().value));
    return Number(tick.buy_volume) + Number(tick.sell_volume);
  }

  /** @param {Prediction} prediction */
  addPrediction(prediction) {
    if (prediction.symbol !== this.view.symbol) return;
    if (!this.prediction || seconds(prediction.issue_time) > seconds(this.prediction.issue_time)) this.prediction = prediction;
    if (!this.window.live) return;
    const chosen = prediction.horizons.find((each) => each.horizon_s === this.view.horizon);
    if (chosen) {
      const [, lower, , median, , upper] = chosen.quantiles;
      this.#put(this.track, seconds(chosen.target_time), lower ?? null, median ?? null, upper ?? null);
    }
    for (const outcome of prediction.outcomes ?? []) {
      if (outcome.horizon_s === this.view.horizon) this.#addOutcome(outcome);
    }
  }

  /** @param {Outcome} outcome */
  #addOutcome(outcome) {
    this.#settle(this.track, seconds(outcome.target_time), outcome.actual, outcome.predicted);
    const found = this.recent.add(outcome);
    if (!found) return;
    const { at, bucket } = found;
    const row = this.scores.row(at);
    if (row < 0 || bucket.n <= (this.scores.columns.n[row] ?? 0)) return; // the loaded one knows more
    this.scores.set(row, "n", bucket.n);
    this.scores.set(row, "bias", bucket.error / bucket.n);
    this.scores.set(row, "mae", bucket.absolute / bucket.n);
    this.scores.set(row, "coverage_50", bucket.c50 / bucket.n);
    this.scores.set(row, "coverage_80", bucket.c80 / bucket.n);
    this.scores.set(row, "coverage_95", bucket.c95 / bucket.n);
  }

  /** Seconds since the epoch of the newest tick, or of now where there is none. */
  get now() {
    return this.tick ? this.tick.sequence / 1e6 : Date.now() / 1000;
  }
}
