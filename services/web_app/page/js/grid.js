// Columns over evenly spaced time: a value's place is its time, so a repeat changes nothing.

/** @template {string} Name */
export class Grid {
  /** @param {number} step seconds between rows @param {number} span seconds that are kept @param {readonly Name[]} names */
  constructor(step, span, names) {
    this.step = step;
    this.capacity = Math.max(2, Math.ceil(span / step) + 1);
    this.names = names;
    /** @type {number[]} */ this.time = [];
    this.columns = /** @type {Record<Name, Column>} */ ({});
    for (const name of names) this.columns[name] = [];
  }

  /** @param {number} time */
  floor(time) {
    return Math.floor(time / this.step + 1e-6) * this.step;
  }

  /** Return the row of a time, making room up to it; -1 for one that is too old to keep. @param {number} time */
  row(time) {
    const at = this.floor(time);
    if (this.time.length === 0) this.#append(at);
    let last = /** @type {number} */ (this.time[this.time.length - 1]);
    if (at - last > this.capacity * this.step) {
      this.clear();
      this.#append(at);
      last = at;
    }
    for (let next = last + this.step; next <= at; next += this.step) this.#append(next);
    this.#trim();
    return Math.round((at - /** @type {number} */ (this.time[0])) / this.step);
  }

  clear() {
    this.time = [];
    for (const name of this.names) this.columns[name] = [];
  }

  /** @param {number} time */
  #append(time) {
    this.time.push(time);
    for (const name of this.names) this.columns[name].push(null);
  }

  #trim() {
    const excess = this.time.length - this.capacity;
    if (excess <= this.capacity * 0.05) return;
    this.time.splice(0, excess);
    for (const name of this.names) this.columns[name].splice(0, excess);
  }

  /** @param {number} row @param {Name} name @param {number | null} value */
  set(row, name, value) {
    if (row >= 0) this.columns[name][row] = value;
  }
}
