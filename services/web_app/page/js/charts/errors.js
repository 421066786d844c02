// Errors over time and their distribution: came - forecast, in the quote currency.
import * as format from "../format.js";
import { Chart, TOGETHER, colour, faded, rule, timeAxis, valueAxis } from "./base.js";

const ROLLING = 60; // points
const BINS = 31;
const WHOLE = [1, 10, 100, 1_000, 10_000, 100_000].flatMap((power) => [power, 2 * power, 5 * power]); // steps of a count

/** @param {number[]} values */
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The mean and mean absolute value of each point and those before it. @param {Column} errors */
function rolling(errors) {
  /** @type {Column} */ const mean = [];
  /** @type {Column} */ const absolute = [];
  /** @type {number[]} */ const window = [];
  let sum = 0;
  let size = 0;
  for (const error of errors) {
    if (error == null) {
      mean.push(null);
      absolute.push(null);
      continue;
    }
    window.push(error);
    sum += error;
    size += Math.abs(error);
    if (window.length > ROLLING) {
      const oldest = window.shift() ?? 0;
      sum -= oldest;
      size -= Math.abs(oldest);
    }
    mean.push(sum / window.length);
    absolute.push(size / window.length);
  }
  return { mean, absolute };
}

export class ErrorChart extends Chart {
  /** @param {HTMLElement} element @param {HTMLElement} readout @param {View} view */
  constructor(element, readout, view) {
    super(element, () => this.#options());
    this.readout = readout;
    this.view = view;
    this.atX = (/** @type {number} */ at) => format.time(at, view.zone);
    this.atY = (/** @type {number} */ value) => format.signed(value);
    this.addEventListener("hover", (event) => this.#describeAt(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {import("../market.js").Market} market @param {import("./base.js").Span} span */
  draw(market, span) {
    const { time, columns } = market.track;
    const { mean, absolute } = rolling(columns.error);
    const below = absolute.map((value) => (value == null ? null : -value));
    const scored = columns.error.some((error) => error != null);
    const nothing = scored ? "" : `The first forecast is scored ${format.duration(this.view.horizon)} after it was made`;
    this.show(/** @type {uPlot.AlignedData} */ ([time, columns.error, mean, absolute, below]), span, nothing);
  }

  /** @returns {Partial<uPlot.Options>} */
  #options() {
    const line = (/** @type {string} */ name, /** @type {number[]} */ dash = []) =>
      ({ stroke: colour(name), width: 1.5, dash, points: { show: false }, spanGaps: true });
    const paths = /** @type {uPlot.Series.Points} */ ({ show: true, size: 3.5, fill: faded(colour("price"), 0.6), stroke: "transparent", width: 0 });
    return {
      scales: { x: { time: true, auto: false }, y: { range: (_plot, low, high) => around(low, high) } },
      axes: [timeAxis(() => this.view.zone), valueAxis((value, step) => format.signed(value, format.digitsOf(step)), 54)],
      series: [{}, { stroke: "transparent", width: 0, points: paths, paths: () => null }, line("accent"), line("down", [5, 4]), line("down", [5, 4])],
      cursor: { sync: TOGETHER },
      hooks: { drawClear: [(plot) => rule(plot, "y", 0, colour("quiet"))] },
    };
  }

  /** @param {number | null} index */
  #describeAt(index) {
    const at = index === null ? undefined : this.data[0][index];
    const error = index === null ? null : this.data[1]?.[index];
    this.readout.textContent = at === undefined || index === null || error == null ? ""
      : `${format.time(at, this.view.zone)}  ${format.signed(error)}  mean ${format.signed(this.data[2]?.[index])}`;
  }
}

/** A range with zero in its middle. @param {number | null} low @param {number | null} high @returns {[number, number]} */
function around(low, high) {
  const most = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 1e-6) * 1.08;
  return [-most, most];
}

export class HistogramChart extends Chart {
  /** @param {HTMLElement} element @param {HTMLElement} readout @param {View} view */
  constructor(element, readout, view) {
    super(element, () => this.#options());
    this.readout = readout;
    this.view = view;
    this.mean = 0;
    this.median = 0;
    this.some = false;
  }

  /** @param {import("../market.js").Market} market @param {import("./base.js").Span} span */
  draw(market, span) {
    const { time, columns } = market.track;
    const errors = /** @type {number[]} */ (columns.error.filter((error, i) => error != null && (time[i] ?? 0) >= span.min && (time[i] ?? 0) <= span.max));
    this.some = errors.length > 1;
    if (!this.some) {
      this.readout.textContent = "";
      this.show([[0], [null], [null]], { min: -1, max: 1 }, "Nothing scored yet");
      return;
    }
    const sorted = errors.toSorted((a, b) => a - b);
    this.mean = meanOf(errors);
    this.median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const deviation = Math.sqrt(meanOf(errors.map((error) => (error - this.mean) ** 2)));
    // The central 99 %, so that one wild error does not squeeze the rest into one bar.
    const reach = Math.max(...[0.005, 0.995].map((share) => Math.abs(sorted[Math.floor(share * (sorted.length - 1))] ?? 0)), 1e-6) * 1.05;
    const width = (2 * reach) / BINS;
    const centres = Array.from({ length: BINS }, (_, bin) => -reach + (bin + 0.5) * width);
    const counts = new Array(BINS).fill(0);
    for (const error of errors) counts[Math.min(BINS - 1, Math.max(0, Math.floor((error + reach) / width)))] += 1;
    const normal = centres.map((x) => deviation > 0
      ? (errors.length * width * Math.exp(-0.5 * ((x - this.mean) / deviation) ** 2)) / (deviation * Math.sqrt(2 * Math.PI)) : null);
    this.readout.textContent = `n ${format.number(errors.length)}  mean ${format.signed(this.mean)}  median ${format.signed(this.median)}  sd ${format.number(deviation, 2)}`;
    this.show([centres, counts, normal], { min: -reach, max: reach });
  }

  /** @returns {Partial<uPlot.Options>} */
  #options() {
    const bars = uPlot.paths.bars?.({ size: [0.92, Infinity] });
    const curve = uPlot.paths.spline?.();
    return {
      scales: { x: { time: false, auto: false }, y: { range: (_plot, _low, high) => [0, Math.max(1, high ?? 1) * 1.1] } },
      axes: [
        { ...timeAxis(() => "utc"), values: (_plot, splits, _axis, _space, step) => splits.map((value) => format.signed(value, format.digitsOf(step))) },
        { ...valueAxis((value) => format.number(value), 44), incrs: WHOLE },
      ],
      series: [
        {},
        { fill: faded(colour("price"), 0.3), stroke: "transparent", width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) },
        { stroke: colour("down"), width: 1.5, points: { show: false }, ...(curve ? { paths: curve } : {}) },
      ],
      cursor: { show: false },
      hooks: { draw: [(plot) => this.#lines(plot)] },
    };
  }

  /** @param {uPlot} plot */
  #lines(plot) {
    if (!this.some) return;
    rule(plot, "x", 0, colour("quiet"));
    rule(plot, "x", this.mean, colour("accent"));
    rule(plot, "x", this.median, colour("accent"), [2, 3]);
  }
}
