// What is shown, kept in the address so that a link reproduces it.

/** Seconds of each range; `all` is what there is. */
export const RANGES = /** @type {const} */ ({
  "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "24h": 86400, "7d": 604800, all: 0,
});
export const HORIZONS = [1, 5, 10, 30, 60, 300];

/** @returns {View} */
export function readView() {
  const query = new URLSearchParams(location.search);
  const range = query.get("range") ?? "";
  const horizon = Number(query.get("horizon"));
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  const zoomed = from > 0 && to > from;
  return {
    symbol: query.get("symbol") ?? "",
    range: range in RANGES ? range : "30m",
    horizon: HORIZONS.includes(horizon) ? horizon : 60,
    kind: query.get("kind") === "candles" ? "candles" : "line",
    zone: query.get("zone") === "utc" ? "utc" : "local",
    from: zoomed ? from : null,
    to: zoomed ? to : null,
  };
}

/** @param {View} view */
export function writeView(view) {
  const query = new URLSearchParams({
    symbol: view.symbol, range: view.range, horizon: String(view.horizon),
    kind: view.kind, zone: view.zone,
  });
  if (view.from !== null && view.to !== null) {
    query.set("from", view.from.toFixed(0));
    query.set("to", view.to.toFixed(0));
  }
  history.replaceState(null, "", `?${query}`);
}

/** Seconds that the view's range is long, 0 for all. @param {View} view */
export const rangeOf = (view) => RANGES[/** @type {keyof typeof RANGES} */ (view.range)];

/** The bars that a width is drawn with: as narrow as about 2,000 of them allow. */
const BARS = /** @type {const} */ ([
  [3700, "1s", 1], [10800, "5s", 5], [28800, "15s", 15], [129600, "1m", 60], [700000, "5m", 300],
  [7776000, "1h", 3600], [31536000, "4h", 14400], [Infinity, "1d", 86400],
]);
const CANDLES = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800, 2592000];
const CANDLE_PX = 11;
const CANDLES_SHOWN = 75;

/** @param {number} width seconds @returns {{interval: string, step: number}} */
export function resolutionOf(width) {
  const [, interval, step] = BARS.find(([widest]) => width <= widest) ?? BARS[BARS.length - 1] ?? [0, "1d", 86400];
  return { interval, step };
}

/** The seconds of a candle: about 75 of them, fewer where that were too narrow to see.
 * @param {number} width seconds shown @param {number} step of the bars @param {number} pixels of the chart */
export function candleOf(width, step, pixels) {
  const shown = Math.min(CANDLES_SHOWN, Math.max(10, pixels / CANDLE_PX));
  return CANDLES.find((each) => each >= width / shown && each >= step) ?? 2592000;
}
