// What all charts share: colours of the page, size, crosshair, gestures, and drawing only when seen.
import { day, time } from "../format.js";

/** @typedef {{ min: number, max: number }} Span */
/** @typedef {(name: string) => string} Colour */

/** @type {Colour} the colour that the page gives to a name, in the present scheme */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** @param {string} hex @param {number} alpha */
export function faded(hex, alpha) {
  const value = Number.parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

/** @param {string} className */
function label(className) {
  const element = document.createElement("span");
  element.className = className;
  element.hidden = true;
  return element;
}

const WHEEL_FACTOR = 1.25; // for each notch
const NOTCH_PX = 100;
const LINE_PX = 33;
const LABEL_PX = 6.8; // of a digit on an axis
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

/** One crosshair for all charts of time; what is dragged in one is no drag in the others.
 * @type {uPlot.Cursor.Sync} */
export const TOGETHER = {
  key: "time",
  scales: ["x", null], // by time: they do not all show the same part of it
  filters: { pub: (type) => type !== "mousedown" && type !== "mouseup", sub: () => true },
};

const OUT_OF_SIGHT_MS = 10_000; // between two drawings

/** Emits `zoom` {min, max}, `pan` (a share of the width), `follow`, and `hover` (an index or null). */
export class Chart extends EventTarget {
  /** @type {uPlot | null} */ plot = null;
  /** @type {uPlot.AlignedData} */ data = [[]];
  /** @type {Span | null} */ span = null;
  /** @type {(value: number) => string} */ atX = () => "";
  /** @type {((value: number) => string) | null} */ atY = null;
  #visible = true;
  #stale = true;
  #shown = false; // whether what is to be drawn has anything to show
  #drawn = false; // whether what was drawn last had
  #drawnAt = -Infinity;
  #tagX = label("tag-x");
  #tagY = label("tag-y");

  /** @param {HTMLElement} element @param {() => Partial<uPlot.Options>} describe made anew for each scheme */
  constructor(element, describe) {
    super();
    this.element = element;
    this.describe = describe;
    new ResizeObserver(() => this.#resize()).observe(element);
    new IntersectionObserver(([entry]) => {
      this.#visible = entry?.isIntersecting ?? true;
      if (this.#visible && this.#stale) this.#render();
    }).observe(element);
    addEventListener("beforeprint", () => this.#stale && this.#render());
    this.empty = document.createElement("p");
    this.empty.className = "empty";
    this.empty.hidden = true;
    element.append(this.empty);
  }

  /** Draw `data` over `span`, or say why there is nothing to draw.
   * @param {uPlot.AlignedData} data @param {Span | null} span @param {string} [nothing] */
  show(data, span, nothing = "") {
    this.data = data;
    this.span = span;
    this.#shown = this.#shows();
    this.empty.textContent = nothing || (this.#shown ? "" : "Nothing in this time");
    this.empty.hidden = !this.empty.textContent;
    this.element.classList.toggle("bare", nothing !== ""); // no axes where there is nothing to measure
    this.#stale = true;
    // Out of sight seldom, but a picture of the whole page has all of it.
    const due = performance.now() - this.#drawnAt > OUT_OF_SIGHT_MS || (this.#shown && !this.#drawn);
    if (this.#visible || due) this.#render();
  }

  /** Whether any value lies in what is shown. */
  #shows() {
    const [times = [], ...columns] = this.data;
    return times.some((at, i) => this.#within(at) && columns.some((column) => column?.[i] != null));
  }

  /** @param {number | undefined} at */
  #within(at = NaN) {
    const { min, max } = this.span ?? { min: -Infinity, max: Infinity };
    return at >= min && at <= max;
  }

  /** Build anew, after the colours or the time zone changed. */
  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    this.#render();
  }

  #render() {
    this.#stale = false;
    this.#drawn = this.#shown;
    this.#drawnAt = performance.now();
    if (!this.plot) this.#build();
    const plot = this.plot;
    if (!plot) return;
    plot.batch(() => {
      plot.setData(this.data, false);
      const { min, max } = this.span ?? { min: 0, max: 1 };
      plot.setScale("x", { min, max });
    });
  }

  #build() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (width < 40 || height < 40) return;
    const options = /** @type {uPlot.Options} */ ({
      width, height, legend: { show: false }, padding: [10, 0, 0, 8], ...this.describe(),
    });
    options.cursor = { ...this.#cursor(), ...options.cursor };
    options.hooks = { ...options.hooks };
    options.hooks.setCursor = [...(options.hooks.setCursor ?? []), (plot) => this.#hover(plot)];
    options.hooks.setSelect = [(plot) => this.#select(plot)];
    this.plot = new uPlot(options, this.data, this.element);
    this.plot.over.append(this.#tagX, this.#tagY);
    this.#touch(this.plot.over);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.plot && width && height) this.plot.setSize({ width, height });
    else if (width && height && this.data[0].length) this.#render();
  }

  /** @returns {uPlot.Cursor} */
  #cursor() {
    return {
      drag: { x: true, y: false, setScale: false, dist: 6 },
      points: { size: 7 },
      bind: {
        mousedown: (plot, _target, handler) => (event) => {
          if (event.shiftKey) this.#drag(plot, event);
          else handler(event);
          return null;
        },
        dblclick: () => () => {
          this.#emit("follow", null);
          return null;
        },
      },
    };
  }

  /** @param {uPlot} plot */
  #select(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.#emit("zoom", { min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  /** @param {uPlot} plot @param {MouseEvent} start */
  #drag(plot, start) {
    let last = start.clientX;
    const move = (/** @type {MouseEvent} */ event) => {
      this.#emit("pan", (last - event.clientX) / plot.over.clientWidth);
      last = event.clientX;
    };
    document.addEventListener("mousemove", move);
    document.addEventListener("mouseup", () => document.removeEventListener("mousemove", move), { once: true });
  }

  /** One finger moves, two zoom. @param {HTMLElement} over */
  #touch(over) {
    /** @type {Map<number, number>} */ const fingers = new Map();
    const forget = (/** @type {PointerEvent} */ event) => fingers.delete(event.pointerId);
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX);
    });
    over.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (before === undefined) return;
      const moved = (before - event.clientX) / over.clientWidth;
      if (fingers.size === 1) this.#emit("pan", moved);
      else {
        const [a = 0, b = 0] = fingers.values();
        const apart = Math.abs(a - b);
        fingers.set(event.pointerId, event.clientX);
        const [c = 0, d = 0] = fingers.values();
        if (apart > 10) this.#emit("scale", { factor: apart / Math.max(10, Math.abs(c - d)), at: 0.5 });
      }
      fingers.set(event.pointerId, event.clientX);
    });
    over.addEventListener("pointerup", forget);
    over.addEventListener("pointercancel", forget);
    over.addEventListener("wheel", (event) => this.#wheel(event, over), { passive: false });
  }

  /** Sideways moves, Ctrl zooms; a bare wheel scrolls the page, but zooms on the full screen and
   * once the chart was clicked. @param {WheelEvent} event @param {HTMLElement} over */
  #wheel(event, over) {
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const ours = event.ctrlKey || event.metaKey || document.fullscreenElement || document.activeElement === this.element;
    if (!sideways && !ours) return;
    event.preventDefault();
    if (sideways) return this.#emit("pan", (event.deltaX * unit) / over.clientWidth);
    const turn = Math.max(-1, Math.min(1, (event.deltaY * unit) / NOTCH_PX));
    const at = (event.clientX - over.getBoundingClientRect().left) / over.clientWidth;
    this.#emit("scale", { factor: WHEEL_FACTOR ** turn, at });
  }

  /** @param {uPlot} plot */
  #hover(plot) {
    const index = plot.cursor.idx;
    this.#tag(plot);
    const pointing = (plot.cursor.left ?? -1) >= 0 && index != null && this.#within(this.data[0][index]);
    this.#emit("hover", pointing ? index : null);
  }

  /** Where the crosshair is, on the axes: the value in the chart that is pointed at, the time in all. @param {uPlot} plot */
  #tag(plot) {
    const { left = -1, top = -1, event } = plot.cursor;
    this.#tagX.hidden = this.#tagY.hidden = left < 0;
    if (left < 0) return;
    this.#tagX.textContent = this.atX(plot.posToVal(left, "x"));
    this.#tagX.hidden = !this.#tagX.textContent;
    this.#tagX.style.left = `${Math.min(Math.max(left, 40), plot.over.clientWidth - 40)}px`;
    this.#tagY.hidden = !this.atY || !event || top < 0;
    if (this.#tagY.hidden) return;
    this.#tagY.textContent = this.atY?.(plot.posToVal(top, "y")) ?? "";
    this.#tagY.style.top = `${top}px`;
  }

  /** Move the crosshair by keyboard to the next value that there is. @param {1 | -1} direction @returns {boolean} whether there was one */
  step(direction) {
    const { plot } = this;
    if (!plot) return false;
    const [times = []] = this.data;
    const shown = (/** @type {number} */ i) => this.#within(times[i]) && this.data.some((column, n) => n > 0 && column?.[i] != null);
    const hovering = (plot.cursor.left ?? -1) >= 0;
    let index = hovering ? (plot.cursor.idx ?? 0) + direction : direction > 0 ? 0 : times.length - 1;
    while (index >= 0 && index < times.length && !shown(index)) index += direction;
    if (index < 0 || index >= times.length) return false;
    plot.setCursor({ left: plot.valToPos(times[index] ?? 0, "x"), top: plot.over.clientHeight / 2 }, true);
    return true;
  }

  /** @param {string} name @param {unknown} detail */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @param {() => "local" | "utc"} zone @returns {uPlot.Axis} */
export function timeAxis(zone) {
  return {
    stroke: colour("quiet"), font: FONT, size: 26, gap: 4, space: 70,
    grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false },
    values: (plot, splits, _axis, _space, step) => splits.map((at) => {
      if (plot.valToPos(at, "x") < 20) return ""; // it would be cut off
      const clock = time(at, zone());
      if (step >= 86400 || (step >= 60 && clock.startsWith("00:00"))) return day(at, zone());
      return step >= 60 ? clock.slice(0, 5) : clock;
    }),
  };
}

/** Values on the right, where the newest is; as wide as they need, `least` pixels at least.
 * @param {(value: number, step: number) => string} text @param {number} [least] @returns {uPlot.Axis} */
export function valueAxis(text, least = 74) {
  return {
    side: 1, stroke: colour("quiet"), font: FONT, gap: 6, space: 34,
    size: (_plot, values) => Math.max(least, 12 + LABEL_PX * Math.max(0, ...(values ?? []).map((value) => value.length))),
    grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false },
    values: (_plot, splits, _axis, _space, step) => splits.map((value) => text(value, step)),
  };
}

/** Bridge what is missing for less than some seconds, leave longer holes open.
 * @param {() => number} limit @returns {uPlot.Series.GapsRefiner} */
export const holes = (limit) => (plot, _series, _from, _to, gaps) => {
  const least = plot.valToPos(limit(), "x", true) - plot.valToPos(0, "x", true);
  return gaps.filter(([from = 0, to = 0]) => to - from > least);
};

/** @param {uPlot} plot @param {"x" | "y"} scale @param {number} value @param {string} stroke @param {number[]} [dash] */
export function rule(plot, scale, value, stroke, dash = []) {
  const { left, top, width, height } = plot.bbox;
  const at = Math.round(plot.valToPos(value, scale, true)) + 0.5;
  const across = scale === "y";
  if (across ? at < top || at > top + height : at < left || at > left + width) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = Math.max(1, devicePixelRatio);
  ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(across ? left : at, across ? at : top);
  ctx.lineTo(across ? left + width : at, across ? at : top + height);
  ctx.stroke();
  ctx.restore();
}

/** A label on the value axis. @param {uPlot} plot @param {number} value @param {string} text @param {string} ground @param {string} ink */
export function tag(plot, value, text, ground, ink) {
  const { left, top, width, height } = plot.bbox;
  const at = plot.valToPos(value, "y", true);
  if (at < top || at > top + height) return;
  const ratio = devicePixelRatio;
  const { ctx } = plot;
  ctx.save();
  ctx.font = `600 ${11.5 * ratio}px system-ui, sans-serif`;
  const wide = ctx.measureText(text).width + 8 * ratio;
  ctx.fillStyle = ground;
  ctx.fillRect(left + width + 2 * ratio, at - 9 * ratio, wide, 18 * ratio);
  ctx.fillStyle = ink;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + width + 6 * ratio, at + 0.5 * ratio);
  ctx.restore();
}
