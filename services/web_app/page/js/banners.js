// What the reader must know before believing a number: the feed, its age, the connection.
import * as format from "./format.js";
import { byId, make, write } from "./panels.js";

const STALE_S = 5;

export class Banners {
  #box = byId("banners");
  /** @type {Map<string, HTMLElement>} */ #shown = new Map();

  /** @param {string} name @param {string | null} text @param {"info" | "warn" | "bad"} kind */
  #set(name, text, kind) {
    const shown = this.#shown.get(name);
    if (!text) {
      shown?.remove();
      this.#shown.delete(name);
    } else if (shown) write(shown, text);
    else {
      const banner = make("p", text, "banner");
      banner.dataset["kind"] = kind;
      banner.dataset["name"] = name;
      this.#shown.set(name, banner);
      this.#box.append(banner);
    }
  }

  /** @param {Health} health */
  feed(health) {
    this.#set("feed", health.notice, "warn");
    const badge = byId("feed");
    badge.hidden = false;
    badge.dataset["feed"] = health.feed;
    write(badge, health.feed);
  }

  /** @param {string | null} text */
  fault(text) {
    this.#set("fault", text, "bad");
  }

  /** @param {"connecting" | "open" | "lost"} connection @param {number | null} tickAge seconds */
  state(connection, tickAge) {
    const stale = connection === "open" && tickAge !== null && tickAge > STALE_S;
    this.#set("lost", connection === "lost" ? "Connection lost. What is shown is the last that came; reconnecting by itself." : null, "bad");
    // Whole steps, so that a screen reader is not told every second.
    const about = tickAge === null ? "" : format.age(tickAge < 60 ? 5 * Math.floor(tickAge / 5) : tickAge);
    this.#set("stale", stale ? `No new price for more than ${about.replace(".0", "")}: what is shown is old.` : null, "bad");
    const indicator = byId("connection");
    indicator.dataset["state"] = stale ? "stale" : connection;
    const words = { connecting: "Connecting", open: stale ? "Stale" : "Live", lost: "Connection lost" };
    write(/** @type {Element} */ (indicator.lastElementChild), words[connection]);
  }
}
