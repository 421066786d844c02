// Numbers and times as people read them.

/** @type {Map<number, Intl.NumberFormat>} */
const formats = new Map();
let decimals = 2;

/** Take the precision of prices from one as the exchange sent it; some pad with zeros, and a
 * hundredth of a cent means nothing beside thousands. @param {string} price */
export function learnPrecision(price) {
  const sent = price.split(".")[1]?.replace(/0+$/, "").length ?? 0;
  const value = Number(price);
  const useful = value >= 100 ? 2 : value >= 1 ? 4 : 8;
  decimals = Math.min(useful, Math.max(2, sent));
}

/** @param {number} digits */
function format(digits) {
  let found = formats.get(digits);
  if (!found) {
    found = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, found);
  }
  return found;
}

/** @param {number | null | undefined} value */
export const price = (value) => (value == null ? "–" : format(decimals).format(value));

/** @param {number | null | undefined} value @param {number} [digits] */
export const number = (value, digits = 0) => (value == null ? "–" : format(digits).format(value));

/** A difference with its sign; U+2212 is the minus that is as wide as a plus.
 * @param {number | null | undefined} value @param {number} [digits] */
export function signed(value, digits = decimals) {
  if (value == null) return "–";
  const text = format(digits).format(Math.abs(value));
  const zero = Number(text.replaceAll(",", "")) === 0;
  return zero ? `±${text}` : (value < 0 ? "−" : "+") + text;
}

/** The digits after the point that multiples of `step` need. @param {number} step */
export const digitsOf = (step) => step.toFixed(8).replace(/0+$/, "").split(".")[1]?.length ?? 0;

/** @param {number | null | undefined} share @param {number} [digits] */
export const percent = (share, digits = 1) => (share == null ? "–" : `${number(100 * share, digits)} %`);

/** @param {number | null | undefined} share */
export const signedPercent = (share) => (share == null ? "–" : `${signed(100 * share, 1)} %`);

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${tenths(seconds)} s`;
  if (seconds < 3600) return `${tenths(seconds / 60)} min`;
  if (seconds < 86400) return `${tenths(seconds / 3600)} h`;
  return `${tenths(seconds / 86400)} d`;
}

/** At most one digit after the point. @param {number} value */
const tenths = (value) => String(Math.round(value * 10) / 10);

/** @param {number | null | undefined} seconds */
export function age(seconds) {
  if (seconds == null) return "never";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** @param {number} seconds since the epoch @param {"local" | "utc"} zone @param {boolean} [withDate] */
export function time(seconds, zone, withDate = false) {
  return clock(zone, withDate).format(new Date(seconds * 1000));
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/** Made once: making one costs more than using it a hundred times. @param {"local" | "utc"} zone @param {boolean} withDate */
function clock(zone, withDate) {
  const key = `${zone}${withDate}`;
  let found = clocks.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat("sv-SE", {
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
      ...(withDate ? { year: "numeric", month: "2-digit", day: "2-digit" } : {}),
      ...(zone === "utc" ? { timeZone: "UTC" } : {}),
    });
    clocks.set(key, found);
  }
  return found;
}

/** @param {number} seconds @param {"local" | "utc"} zone */
export function day(seconds, zone) {
  return new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(new Date(seconds * 1000));
}
