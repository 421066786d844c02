// What is shown, kept in the address so that a link reproduces it.

/** Seconds of each range, the bars it is drawn with, and the width of its candles. */
export const RANGES = /** @type {const} */ ({
  "1m": { seconds: 60, interval: "1s", step: 1, candle: 5 },
  "5m": { seconds: 300, interval: "1s", step: 1, candle: 5 },
  "15m": { seconds: 900, interval: "1s", step: 1, candle: 15 },
  "30m": { seconds: 1800, interval: "1s", step: 1, candle: 30 },
  "1h": { seconds: 3600, interval: "1s", step: 1, candle: 60 },
  "4h": { seconds: 14400, interval: "15s", step: 15, candle: 300 },
  "24h": { seconds: 86400, interval: "1m", step: 60, candle: 900 },
  "7d": { seconds: 604800, interval: "5m", step: 300, candle: 7200 },
  all: { seconds: 0, interval: "1h", step: 3600, candle: 21600 },
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

/** @param {View} view */
export const rangeOf = (view) => RANGES[/** @type {keyof typeof RANGES} */ (view.range)];
