// What is shown, as a file.
import { colour } from "./charts/base.js";

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Rows of what the charts show between two times. @param {import("./market.js").Market} market @param {{min: number, max: number}} span */
export function rowsOf(market, span) {
  /** @type {Map<number, Record<string, number | string | null>>} */ const rows = new Map();
  const put = (/** @type {number} */ time, /** @type {Record<string, number | null | undefined>} */ values) => {
    if (time < span.min || time > span.max || Object.values(values).every((value) => value == null)) return;
    const row = rows.get(time) ?? { time: new Date(time * 1000).toISOString() };
    for (const [name, value] of Object.entries(values)) row[name] = value ?? null;
    rows.set(time, row);
  };
  const { bars, track } = market;
  bars.time.forEach((time, i) => {
    const { open, high, low, close, mid, volume } = bars.columns;
    put(time, { open: open[i], high: high[i], low: low[i], close: close[i], mid: mid[i], volume: volume[i] });
  });
  track.time.forEach((time, i) => {
    const { lower, median, upper, actual, error } = track.columns;
    put(time, { forecast_10: lower[i], forecast_50: median[i], forecast_90: upper[i], actual: actual[i], error: error[i] });
  });
  return [...rows.entries()].sort(([a], [b]) => a - b).map(([, row]) => row);
}

const COLUMNS = ["time", "open", "high", "low", "close", "mid", "volume", "forecast_10", "forecast_50", "forecast_90", "actual", "error"];

/** @param {"csv" | "json" | "png"} kind @param {import("./market.js").Market} market @param {View} view
 * @param {{min: number, max: number}} span @param {HTMLCanvasElement | undefined} canvas @param {string} caption */
export function exportView(kind, market, view, span, canvas, caption) {
  const name = `${view.symbol}_${view.range}_${view.horizon}s_${new Date(span.max * 1000).toISOString().replaceAll(":", "")}`;
  if (kind === "png") {
    if (canvas) picture(canvas, caption, `${name}.png`);
    return;
  }
  const rows = rowsOf(market, span);
  if (kind === "json") {
    const head = { symbol: view.symbol, feed: market.tick?.feed ?? null, horizon_s: view.horizon, step_s: market.bars.step, rows };
    save(new Blob([JSON.stringify(head, null, 1)], { type: "application/json" }), `${name}.json`);
    return;
  }
  const lines = rows.map((row) => COLUMNS.map((column) => row[column] ?? "").join(","));
  save(new Blob([`${COLUMNS.join(",")}\n${lines.join("\n")}\n`], { type: "text/csv" }), `${name}.csv`);
}

/** @param {HTMLCanvasElement} canvas @param {string} caption @param {string} name */
function picture(canvas, caption, name) {
  const ratio = devicePixelRatio;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height + 34 * ratio;
  const ink = copy.getContext("2d");
  if (!ink) return;
  ink.fillStyle = colour("panel");
  ink.fillRect(0, 0, copy.width, copy.height);
  ink.fillStyle = colour("text");
  ink.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  ink.textBaseline = "middle";
  ink.fillText(caption, 10 * ratio, 18 * ratio);
  ink.drawImage(canvas, 0, 34 * ratio);
  copy.toBlob((blob) => blob && save(blob, name));
}
