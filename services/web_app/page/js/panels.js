// The cards, tables and lists: each is given data and writes text.
import * as format from "./format.js";

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/** Write only what changed: screen readers and layout are left in peace. @param {Element} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} tag @param {string} [text] @param {string} [className] */
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** @param {HTMLElement} element @param {number | null} change @param {string} text */
function trend(element, change, text) {
  const direction = !change ? "" : change > 0 ? "up" : "down";
  element.className = direction;
  write(element, `${direction === "up" ? "▲ " : direction === "down" ? "▼ " : ""}${text}`);
}

/** Nothing is known yet of what is now asked for. */
export function blank() {
  for (const id of ["price", "price-change", "forecast", "forecast-change", "mae", "mae-rating", "confidence", "confidence-why"]) write(byId(id), "–");
  for (const id of ["book", "price-day", "forecast-band", "mae-why"]) write(byId(id), "");
  for (const id of ["price-change", "price-day", "forecast-change"]) byId(id).className = "";
  for (const table of ["ahead", "scores"]) {
    for (const cell of byId(table).querySelectorAll("tbody td")) write(cell, "–");
  }
}

/** @param {import("./market.js").Market} market @param {number | null} dayAgo the price a day ago */
export function showPrice(market, dayAgo) {
  const { tick, before } = market;
  if (!tick) return;
  const value = Number(tick.price);
  const change = before ? value - Number(before.price) : null;
  write(byId("price"), format.price(value));
  trend(byId("price-change"), change, `${format.signed(change)} since the last tick`);
  const share = dayAgo ? value / dayAgo - 1 : null;
  trend(byId("price-day"), share, share === null ? "" : `${format.signed(100 * share, 2)} % in 24 h`);
  write(byId("book"), tick.bid && tick.ask ? `bid\u00a0${format.price(Number(tick.bid))}  ask\u00a0${format.price(Number(tick.ask))}` : "");
  document.title = `${format.price(value)} ${tick.symbol}`;
}

/** @param {import("./market.js").Market} market @param {View} view */
export function showForecast(market, view) {
  const chosen = market.prediction?.horizons.find((each) => each.horizon_s === view.horizon);
  if (!chosen || !market.prediction) return;
  const [, low, , median = 0, , high] = chosen.quantiles;
  const change = median - market.prediction.reference_price;
  write(byId("forecast"), format.price(median));
  trend(byId("forecast-change"), Math.abs(change) < 0.005 ? null : change, `${format.signed(change)} from now`);
  write(byId("forecast-band"), `80 %: ${format.price(low)} – ${format.price(high)}`);
}

/** @param {import("./market.js").Market} market @param {View} view */
export function showAhead(market, view) {
  const body = byId("ahead").querySelector("tbody");
  if (!body || !market.prediction) return;
  for (const [i, each] of market.prediction.horizons.entries()) {
    const row = body.rows[i] ?? body.appendChild(document.createElement("tr"));
    while (row.cells.length < 4) row.appendChild(row.cells.length ? make("td") : Object.assign(document.createElement("th"), { scope: "row" }));
    const texts = [format.duration(each.horizon_s), ...[3, 1, 5].map((q) => format.price(each.quantiles[q]))];
    texts.forEach((text, cell) => write(/** @type {Element} */ (row.cells[cell]), text));
    if (each.horizon_s === view.horizon) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

/** The rating is of the skill against the baseline: neither a calm market nor a reference that knows
 * no uncertainty makes a poor model look good.
 * @param {Summary | undefined} summary */
export function showScoreCards(summary) {
  const skill = summary?.skill_baseline ?? null;
  const scored = summary && summary.n > 0;
  write(byId("mae"), scored ? format.price(summary.mae) : "–");
  if (!scored || skill === null) {
    write(byId("mae-rating"), "–");
    write(byId("mae-why"), "nothing scored yet");
    write(byId("confidence"), "–");
    write(byId("confidence-why"), "nothing scored yet");
    return;
  }
  write(byId("mae-rating"), skill > 0.1 ? "Excellent" : skill > 0.02 ? "Good" : skill > -0.02 ? "Fair" : "Poor");
  write(byId("mae-why"), `${format.signedPercent(skill)} vs baseline`);
  const off = Math.max(Math.abs((summary.coverage_80 ?? 0) - 0.8), Math.abs((summary.coverage_95 ?? 0) - 0.95));
  write(byId("confidence"), off <= 0.03 ? "High" : off <= 0.08 ? "Medium" : "Low");
  write(byId("confidence-why"), `80 % band held ${format.percent(summary.coverage_80, 0)}, 95 % band ${format.percent(summary.coverage_95, 0)}`);
}

const SCORES = /** @type {const} */ ([
  ["Mean abs. error", (/** @type {Summary} */ s) => format.price(s.mae)],
  ["RMS error", (/** @type {Summary} */ s) => format.price(s.rmse)],
  ["CRPS", (/** @type {Summary} */ s) => format.price(s.crps)],
  ["Mean error (bias)", (/** @type {Summary} */ s) => format.signed(s.bias)],
  ["Skill vs last value", (/** @type {Summary} */ s) => format.signedPercent(s.skill_last_value)],
  ["Skill vs baseline", (/** @type {Summary} */ s) => format.signedPercent(s.skill_baseline)],
  ["Inside 50 % band", (/** @type {Summary} */ s) => format.percent(s.coverage_50)],
  ["Inside 80 % band", (/** @type {Summary} */ s) => format.percent(s.coverage_80)],
  ["Inside 95 % band", (/** @type {Summary} */ s) => format.percent(s.coverage_95)],
  ["95 % band, width", (/** @type {Summary} */ s) => format.price(s.width_95)],
  ["Forecasts scored", (/** @type {Summary} */ s) => format.number(s.n)],
]);

/** @param {(Summary | undefined)[]} summaries for 5 min, 1 h, 24 h */
export function showScoreboard(summaries) {
  const body = byId("scores").querySelector("tbody");
  if (!body) return;
  for (const [i, [name, text]] of SCORES.entries()) {
    const row = body.rows[i] ?? body.appendChild(document.createElement("tr"));
    if (!row.cells.length) {
      row.append(Object.assign(make("th", name), { scope: "row" }), make("td"), make("td"), make("td"));
    }
    summaries.forEach((summary, column) => {
      const cell = /** @type {HTMLElement} */ (row.cells[column + 1]);
      write(cell, summary?.n ? text(summary) : "–");
      const skill = name.startsWith("Skill") && summary?.n ? (name.endsWith("baseline") ? summary.skill_baseline : summary.skill_last_value) : null;
      cell.className = skill == null || Math.abs(skill) < 0.0005 ? "" : skill > 0 ? "up" : "down";
    });
  }
}

/** @param {HTMLElement} list @param {[string, string, boolean?][]} entries name, text, and whether all is well */
export function showList(list, entries) {
  if (list.childElementCount !== 2 * entries.length) {
    list.replaceChildren(...entries.flatMap(() => [make("dt"), make("dd")]));
  }
  entries.forEach(([name, text, well], i) => {
    write(/** @type {Element} */ (list.children[2 * i]), name);
    const value = /** @type {HTMLElement} */ (list.children[2 * i + 1]);
    if (well === undefined) return write(value, text);
    if (value.dataset["text"] === `${well}${text}`) return;
    value.dataset["text"] = `${well}${text}`;
    const state = make("span", "", well ? "state" : "state bad");
    state.setAttribute("aria-hidden", "true");
    value.replaceChildren(state, ...(well ? [] : [make("span", "problem: ", "hidden")]), text);
  });
}

/** The answer of `latest` in the shape of the stream. @param {any} latest @returns {Prediction | null} */
export function predictionOf(latest) {
  if (!latest.issue_time || !latest.forecasts.length) return null;
  const levels = ["0.025", "0.1", "0.25", "0.5", "0.75", "0.9", "0.975"];
  return {
    symbol: latest.symbol, issue_time: latest.issue_time, reference_price: latest.reference_price,
    model_version: latest.model_version,
    horizons: latest.forecasts.map((/** @type {any} */ each) => ({ ...each, quantiles: levels.map((level) => each.quantiles[level]) })),
  };
}
