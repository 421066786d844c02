// The price, as a line or candles, and the forecast as a fan ahead of now.
import * as format from "../format.js";
import { seconds } from "../market.js";
import { candleOf, rangeOf } from "../view.js";
import { Chart, TOGETHER, colour, faded, holes, rule, tag, timeAxis, valueAxis } from "./base.js";

/** @typedef {{time: number, open: number, high: number, low: number, close: number, volume: number}} Candle */
const VOLUME_SHARE = 0.16; // of the height
const QUANTILES = 7;
const FAN_FIRST = 4; // 0 time, 1 mid, 2 high, 3 low
const OFFSETS = [0, 0.5, 1, 2, 3, 4, 5, 7, 10, 13, 16, 20, 25, 30, 37, 45, 52, 60, 75, 90, 110, 130, 150, 180, 210, 240, 270, 300];

/** The forecast between its horizons: uncertainty grows with the root of time, so do the differences.
 * @param {Prediction} prediction @param {number} offset seconds after the issue @returns {number[]} */
export function fanAt(prediction, offset) {
  const reference = prediction.reference_price;
  let before = { horizon_s: 0, quantiles: new Array(QUANTILES).fill(reference) };
  for (const next of prediction.horizons) {
    if (next.horizon_s >= offset) {
      const from = Math.sqrt(before.horizon_s);
      const share = next.horizon_s === 0 ? 1 : (Math.sqrt(offset) - from) / (Math.sqrt(next.horizon_s) - from);
      return next.quantiles.map((value, i) => before.quantiles[i] + share * (value - before.quantiles[i]));
    }
    before = next;
  }
  return before.quantiles;
}

export class PriceChart extends Chart {
  /** @param {HTMLElement} element @param {HTMLElement} readout @param {View} view */
  constructor(element, readout, view) {
    super(element, () => this.#options());
    this.readout = readout;
    this.view = view;
    this.atX = (/** @type {number} */ at) => format.time(at, view.zone);
    this.atY = format.price;
    /** @type {import("../market.js").Market | null} */ this.market = null;
    /** @type {Candle[]} */ this.candles = [];
    this.candle = 60; // seconds of each
    this.addEventListener("hover", (event) => this.#describeAt(/** @type {CustomEvent} */ (event).detail));
  }

  /** Seconds that the fan reaches ahead of now on this range. @param {View} view */
  static ahead(view) {
    const span = rangeOf(view);
    return Math.min(300, Math.max(view.horizon, (span || 86400) * 0.25), (span || 1e9) * 0.5);
  }

  /** @param {import("../market.js").Market} market @param {import("./base.js").Span} span */
  draw(market, span) {
    this.market = market;
    const { time, columns } = market.bars;
    const fan = this.#fan(market);
    const pad = (/** @type {Column} */ column) => column.concat(new Array(fan.length).fill(null));
    const empty = new Array(time.length).fill(null);
    const data = [
      time.concat(fan.map((point) => point.at)),
      ...[columns.mid, columns.high, columns.low].map(pad),
      ...Array.from({ length: QUANTILES }, (_, q) => empty.concat(fan.map((point) => point.values[q] ?? null))),
    ];
    this.candle = candleOf(span.max - span.min, market.window.step, this.element.clientWidth);
    this.candles = this.#group(market);
    this.show(/** @type {uPlot.AlignedData} */ (data), span, time.length ? "" : "Waiting for the first tick");
    if (!this.plot?.cursor.left || this.plot.cursor.left < 0) this.#describeAt(null);
  }

  /** @param {import("../market.js").Market} market */
  #fan(market) {
    const { prediction } = market;
    if (!prediction) return [];
    const issued = seconds(prediction.issue_time);
    const start = Math.max(issued, market.bars.time.at(-1) ?? 0);
    const reach = PriceChart.ahead(this.view);
    return [...OFFSETS.filter((offset) => offset < reach), reach]
      .map((offset) => ({ at: issued + offset, values: fanAt(prediction, offset) }))
      .filter((point) => point.at >= start - 1e-9);
  }

  /** @param {import("../market.js").Market} market */
  #group(market) {
    const width = this.candle;
    const { time, columns } = market.bars;
    /** @type {Candle[]} */ const candles = [];
    time.forEach((at, i) => {
      const open = columns.open[i], high = columns.high[i], low = columns.low[i], close = columns.close[i];
      if (open == null || high == null || low == null || close == null) return;
      const volume = columns.volume[i] ?? 0;
      const start = Math.floor(at / width) * width;
      const last = candles.at(-1);
      if (last?.time === start) {
        last.high = Math.max(last.high, high);
        last.low = Math.min(last.low, low);
        last.close = close;
        last.volume += volume;
      } else candles.push({ time: start, open, high, low, close, volume });
    });
    return candles;
  }

  /** @returns {Partial<uPlot.Options>} */
  #options() {
    const forecast = colour("forecast");
    const line = this.view.kind === "line";
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const quantile = { stroke: "transparent", width: 0, points: { show: false } };
    const fan = Array.from({ length: QUANTILES }, (_, q) =>
      q === 3 ? { stroke: forecast, width: 2, points: { show: false } } : quantile);
    const band = (/** @type {number} */ low, /** @type {number} */ alpha) => ({
      series: /** @type {[number, number]} */ ([FAN_FIRST + QUANTILES - 1 - low, FAN_FIRST + low]), fill: faded(forecast, alpha),
    });
    return {
      scales: { x: { time: true, auto: false }, y: { range: (_plot, low, high) => this.#aboveVolume(spread(low, high)) } },
      axes: [timeAxis(() => this.view.zone), valueAxis((value) => format.price(value))],
      series: [
        {},
        { stroke: line ? colour("price") : "transparent", width: 1.5, points: { show: false }, gaps: holes(() => bridged(this.market?.bars.step)) },
        { ...edge, show: !line }, { ...edge, show: !line },
        ...fan,
      ],
      bands: [band(0, 0.16), band(1, 0.18), band(2, 0.24)],
      cursor: { sync: TOGETHER },
      hooks: { drawClear: [(plot) => this.#drawNow(plot), (plot) => this.#drawVolume(plot)], draw: [(plot) => this.#drawCandles(plot), (plot) => this.#drawTag(plot)] },
    };
  }

  /** Room for the volume below the prices, where there is any. @param {[number, number]} range @returns {[number, number]} */
  #aboveVolume([low, high]) {
    return this.candles.some((each) => each.volume > 0) ? [low - (high - low) * VOLUME_SHARE, high] : [low, high];
  }

  /** What was traded in each candle's time, along the bottom. @param {uPlot} plot */
  #drawVolume(plot) {
    const { ctx, bbox } = plot;
    const { min = 0, max = 0 } = plot.scales["x"] ?? {};
    const shown = this.candles.filter((each) => each.time + this.candle > (min ?? 0) && each.time < (max ?? 0));
    const most = Math.max(0, ...shown.map((each) => each.volume));
    if (!most) return;
    const one = Math.abs(plot.valToPos(this.candle, "x", true) - plot.valToPos(0, "x", true));
    const body = Math.max(1, Math.floor(one * 0.66));
    const colours = [faded(colour("up"), 0.28), faded(colour("down"), 0.28)];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const each of shown) {
      const centre = Math.round(plot.valToPos(each.time + this.candle / 2, "x", true));
      const tall = Math.max(1, Math.round((each.volume / most) * bbox.height * VOLUME_SHARE * 0.9));
      ctx.fillStyle = colours[each.close >= each.open ? 0 : 1] ?? "";
      ctx.fillRect(centre - Math.floor(body / 2), bbox.top + bbox.height - tall, body, tall);
    }
    ctx.restore();
  }

  /** @param {uPlot} plot */
  #drawNow(plot) {
    if (this.market?.tick) rule(plot, "x", this.market.now, colour("edge"));
  }

  /** @param {uPlot} plot */
  #drawTag(plot) {
    const last = this.market?.tick;
    if (!last) return;
    const value = Number(last.price);
    rule(plot, "y", value, faded(colour("price"), 0.45), [2, 3]);
    tag(plot, value, format.price(value), colour("price"), colour("panel"));
  }

  /** @param {uPlot} plot */
  #drawCandles(plot) {
    if (this.view.kind !== "candles") return;
    const { ctx, bbox } = plot;
    const step = this.candle;
    const one = Math.abs(plot.valToPos(step, "x", true) - plot.valToPos(0, "x", true));
    const body = Math.max(1, Math.floor(one * 0.66));
    const colours = { up: colour("up"), down: colour("down"), panel: colour("panel") };
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineWidth = Math.max(1, Math.round(devicePixelRatio));
    for (const candle of this.candles) {
      const centre = Math.round(plot.valToPos(candle.time + step / 2, "x", true));
      if (centre < bbox.left - one || centre > bbox.left + bbox.width + one) continue;
      const rising = candle.close >= candle.open;
      const y = (/** @type {number} */ value) => Math.round(plot.valToPos(value, "y", true));
      ctx.fillStyle = ctx.strokeStyle = rising ? colours.up : colours.down;
      ctx.beginPath();
      ctx.moveTo(centre + 0.5, y(candle.high));
      ctx.lineTo(centre + 0.5, y(candle.low));
      ctx.stroke();
      const top = Math.min(y(candle.open), y(candle.close));
      const tall = Math.max(1, Math.abs(y(candle.open) - y(candle.close)));
      const left = centre - Math.floor(body / 2);
      ctx.fillRect(left, top, body, tall);
      if (rising && body > 4 && tall > 4) { // hollow: told apart without colour too
        ctx.fillStyle = colours.panel;
        ctx.fillRect(left + ctx.lineWidth, top + ctx.lineWidth, body - 2 * ctx.lineWidth, tall - 2 * ctx.lineWidth);
      }
    }
    ctx.restore();
  }

  /** @param {number | null} index */
  #describeAt(index) {
    const market = this.market;
    if (!market) return;
    const at = index === null ? undefined : this.data[0][index];
    if (index === null || at === undefined) {
      this.readout.textContent = "";
      return;
    }
    const when = format.time(at, this.view.zone, (this.span?.max ?? 0) - (this.span?.min ?? 0) > 86400);
    const column = (/** @type {number} */ series) => this.data[series]?.[index];
    if (index < market.bars.time.length) {
      const candle = this.candles.findLast((each) => each.time <= at);
      const volume = candle && candle.volume > 0 ? `  V ${format.number(candle.volume, candle.volume < 100 ? 3 : 0)} in ${format.duration(this.candle)}` : "";
      this.readout.textContent = this.view.kind === "candles" && candle
        ? `${when}  O ${format.price(candle.open)}  H ${format.price(candle.high)}  L ${format.price(candle.low)}  C ${format.price(candle.close)}${volume}`
        : `${when}  ${format.price(column(1))}${volume}`;
    } else {
      const q = (/** @type {number} */ n) => format.price(column(FAN_FIRST + n));
      this.readout.textContent = `${when}  forecast ${q(3)}  80 %: ${q(1)} to ${q(5)}  95 %: ${q(0)} to ${q(6)}`;
    }
  }
}

/** A tick missed is no hole; some in a row are. @param {number | undefined} step seconds between values */
export const bridged = (step) => Math.max(5, 2.5 * (step ?? 1));

/** Room above and below, and never a range of nothing. @param {number | null} low @param {number | null} high @returns {[number, number]} */
export function spread(low, high) {
  if (low == null || high == null) return [0, 1];
  const room = Math.max((high - low) * 0.06, Math.abs(high) * 1e-6, 1e-9);
  return [low - room, high + room];
}
