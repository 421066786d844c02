// Past forecasts at the time they were for, against what came.
import * as format from "../format.js";
import { Chart, TOGETHER, colour, faded, holes, rule, timeAxis, valueAxis } from "./base.js";
import { bridged, spread } from "./price.js";

const DAY_S = 86_400; // of forecasts are loaded at most

export class TrackChart extends Chart {
  /** @param {HTMLElement} element @param {HTMLElement} readout @param {View} view */
  constructor(element, readout, view) {
    super(element, () => this.#options());
    this.readout = readout;
    this.view = view;
    this.atX = (/** @type {number} */ at) => format.time(at, view.zone);
    this.atY = format.price;
    /** @type {import("../market.js").Market | null} */ this.market = null;
    this.addEventListener("hover", (event) => this.#describeAt(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {import("../market.js").Market} market @param {import("./base.js").Span} span */
  draw(market, span) {
    this.market = market;
    const { time, columns } = market.track;
    const { lower, upper, median, actual } = columns;
    const nothing = time.length ? "" : `The first forecasts for ${format.duration(this.view.horizon)} ahead are on their way`;
    this.show(/** @type {uPlot.AlignedData} */ ([time, lower, upper, median, actual]), span, nothing);
    if (!this.plot?.cursor.left || this.plot.cursor.left < 0) this.#describeAt(null);
  }

  /** @returns {Partial<uPlot.Options>} */
  #options() {
    const forecast = colour("forecast");
    const gaps = holes(() => bridged(this.market?.trackStep));
    const hidden = { stroke: "transparent", width: 0, points: { show: false }, gaps };
    return {
      scales: { x: { time: true, auto: false }, y: { range: (_plot, low, high) => spread(low, high) } },
      axes: [timeAxis(() => this.view.zone), valueAxis((value) => format.price(value))],
      series: [
        {}, hidden, hidden,
        { stroke: forecast, width: 1.25, points: { show: false }, gaps },
        { stroke: colour("price"), width: 1.5, points: { show: false }, gaps },
      ],
      bands: [{ series: [2, 1], fill: faded(forecast, 0.2) }],
      cursor: { sync: TOGETHER },
      hooks: { drawClear: [(plot) => this.market?.tick && rule(plot, "x", this.market.now, colour("edge"))] },
    };
  }

  /** @param {number | null} index */
  #describeAt(index) {
    const at = index === null ? undefined : this.data[0][index];
    if (index === null || at === undefined) {
      const { min, max } = this.span ?? { min: 0, max: 0 };
      this.readout.textContent = max - min > 1.1 * DAY_S ? "24 h of it at most" : "";
      return;
    }
    const [lower, upper, median, actual] = [1, 2, 3, 4].map((series) => this.data[series]?.[index]);
    const came = actual == null ? "" : `  came ${format.price(actual)}`;
    this.readout.textContent = `${format.time(at, this.view.zone)}  forecast ${format.price(median)} (${format.price(lower)} to ${format.price(upper)})${came}`;
  }
}
