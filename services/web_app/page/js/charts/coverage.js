// How often what came was inside each band, over the time before each point.
import * as format from "../format.js";
import { Chart, TOGETHER, colour, rule, timeAxis, valueAxis } from "./base.js";

const LEVELS = /** @type {const} */ ([["coverage_95", "up", 0.95], ["coverage_80", "forecast", 0.8], ["coverage_50", "down", 0.5]]);
const STEPS = 20;

/** Weighted means of each point and those before it. @param {Column} shares @param {Column} weights */
function smooth(shares, weights) {
  return shares.map((_, end) => {
    let weight = 0;
    let sum = 0;
    for (let i = Math.max(0, end - STEPS + 1); i <= end; i += 1) {
      weight += weights[i] ?? 0;
      sum += (weights[i] ?? 0) * (shares[i] ?? 0);
    }
    return weights[end] && weight ? sum / weight : null;
  });
}

export class CoverageChart extends Chart {
  /** @param {HTMLElement} element @param {HTMLElement} readout @param {View} view */
  constructor(element, readout, view) {
    super(element, () => this.#options());
    this.readout = readout;
    this.view = view;
    this.atX = (/** @type {number} */ at) => format.time(at, view.zone);
    this.atY = (/** @type {number} */ value) => format.percent(value, 0);
    this.window = 0;
    this.addEventListener("hover", (event) => this.#describeAt(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {import("../market.js").Market} market @param {import("./base.js").Span} span */
  draw(market, span) {
    const { time, columns } = market.scores;
    this.window = STEPS * market.scoreStep;
    const curves = LEVELS.map(([name]) => smooth(columns[name], columns.n));
    const nothing = columns.n.some(Boolean) ? "" : "Nothing scored yet";
    this.show(/** @type {uPlot.AlignedData} */ ([time, ...curves]), span, nothing);
    if (!this.plot?.cursor.left || this.plot.cursor.left < 0) this.#describeAt(null);
  }

  /** @returns {Partial<uPlot.Options>} */
  #options() {
    return {
      scales: { x: { time: true, auto: false }, y: { range: () => [0, 1.04] } },
      axes: [timeAxis(() => this.view.zone), valueAxis((value) => format.percent(value, 0), 54)],
      series: [{}, ...LEVELS.map(([, name]) => ({ stroke: colour(name), width: 1.75, points: { show: false }, spanGaps: true }))],
      cursor: { sync: TOGETHER },
      hooks: { drawAxes: [(plot) => { for (const [, name, promise] of LEVELS) rule(plot, "y", promise, colour(name), [3, 4]); }] },
    };
  }

  /** @param {number | null} index */
  #describeAt(index) {
    const at = index === null ? undefined : this.data[0][index];
    if (index === null || at === undefined) {
      this.readout.textContent = `each point: the ${format.duration(Math.round(this.window))} before it`;
      return;
    }
    const shares = LEVELS.map(([, , promise], i) => `${promise * 100} %: ${format.percent(this.data[i + 1]?.[index], 0)}`);
    this.readout.textContent = `${format.time(at, this.view.zone)}  ${shares.join("  ")}`;
  }
}
