// Requests for history.
import { ask } from "./access.js";

/** @template T @param {string} path @param {Record<string, string | number>} query @returns {Promise<T>} */
export async function get(path, query = {}) {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const answer = await ask(`/api/v1/${path}?${text}`, { headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `${path}: status ${answer.status}`);
  return body;
}

/** @param {number} seconds */
const iso = (seconds) => new Date(seconds * 1000).toISOString();

/** @param {string} symbol @param {string} interval @param {number} start @param {number} end */
export async function bars(symbol, interval, start, end) {
  const body = /** @type {{columns: Columns}} */ (
    await get("bars", { symbol, interval, start: iso(start), end: iso(end), layout: "columns" })
  );
  return body.columns;
}

/** @param {string} symbol @param {number} horizon @param {number} step @param {number} start @param {number} end */
export async function predictions(symbol, horizon, step, start, end) {
  const body = /** @type {{columns: Columns}} */ (
    await get("predictions", {
      symbol, horizon_s: horizon, step_s: step, start: iso(start), end: iso(end), limit: 2000, layout: "columns",
    })
  );
  return body.columns;
}

/** @param {string} symbol @param {number} horizon @param {number} step @param {number} start @param {number} end */
export async function scoreSeries(symbol, horizon, step, start, end) {
  const body = /** @type {{columns: Columns}} */ (
    await get("scores/series", { symbol, horizon_s: horizon, step_s: step, start: iso(start), end: iso(end) })
  );
  return body.columns;
}
