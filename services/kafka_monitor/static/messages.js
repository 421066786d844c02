// The page of messages: fields that fit the question, coloured JSON, and the live tail.
// @ts-check

import { jsonNodes } from "./json.js";

/** @typedef {{text: string, encoding: string, size: number, truncated: boolean}} Payload */
/** @typedef {{partition: number, offset: number, time: string|null, time_source: string,
 *   key: Payload|null, value: Payload|null, headers: [string, Payload|null][]}} Message */

const KEPT = 500; // rows; older ones leave the page
const RETRY_MS = [1000, 2000, 4000, 8000];

const form = /** @type {HTMLFormElement} */ (document.getElementById("ask"));
const list = /** @type {HTMLElement} */ (document.getElementById("messages"));
const button = /** @type {HTMLButtonElement} */ (document.getElementById("live"));
const told = /** @type {HTMLElement} */ (document.getElementById("told"));

/** @param {string} tag @param {string} kind @param {...(string|Node)} children */
function element(tag, kind, ...children) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

/** @param {Payload|null} part @param {string} missing */
function payload(part, missing) {
  if (part === null) return [element("span", "nothing", missing)];
  const text = element("pre", "payload", part.text);
  text.dataset.encoding = part.encoding;
  const cut = part.truncated ? ", cut" : "";
  return [text, element("p", "note", `${part.encoding}, ${part.size} B${cut}`)];
}

/** @param {Message} message */
function row(message) {
  const made = /** @type {HTMLDetailsElement} */ (element("details", "message fresh"));
  const body = element("div", "body", element("h2", "", "Value"));
  body.append(...payload(message.value, "null: a tombstone"));
  body.append(element("h2", "", "Key"), ...payload(message.key, "none"));
  for (const [name, value] of message.headers) {
    body.append(element("h2", "", "Header ", element("code", "", name)), ...payload(value, "null"));
  }
  body.append(element("p", "note", `Time set by ${message.time_source}`));
  made.append(
    element(
      "summary",
      "",
      element("span", "offset", `${message.partition}:${message.offset}`),
      element("time", "", message.time ?? "–"),
      element("span", "key", message.key?.text.slice(0, 200) ?? "∅"),
      element("span", "value", message.value?.text.slice(0, 400) ?? "∅ tombstone"),
    ),
    body,
  );
  return made;
}

function showFields() {
  const origin = form.elements.namedItem("from");
  if (!(origin instanceof HTMLSelectElement)) return;
  for (const label of form.querySelectorAll("label[data-for]")) {
    const meant = (label.getAttribute("data-for") ?? "").split(" ").includes(origin.value);
    label.classList.toggle("off", !meant);
    for (const input of label.querySelectorAll("input")) input.disabled = !meant;
  }
}

/** Colours the JSON of a message when it is unfolded for the first time. @param {Event} event */
function paint(event) {
  if (!(event.target instanceof HTMLDetailsElement) || !event.target.open) return;
  for (const pre of event.target.querySelectorAll('pre[data-encoding="json"]')) {
    pre.replaceChildren(...jsonNodes(pre.textContent ?? ""));
    pre.removeAttribute("data-encoding");
  }
}

class LiveTail {
  /** @type {EventSource|null} */ #source = null;
  #failures = 0;
  #count = 0;
  #skipped = 0;
  #timer = 0;

  get running() {
    return button.getAttribute("aria-pressed") === "true";
  }

  start() {
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop live tail";
    list.replaceChildren(element("p", "empty", "Waiting for the next message …"));
    document.querySelector(".pages")?.remove();
    this.#count = this.#skipped = 0;
    this.#connect();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Live tail";
    this.#tell("Live tail stopped");
  }

  #connect() {
    const url = new URL(button.dataset.tail ?? "", location.href);
    for (const name of ["partition", "search"]) {
      const field = form.elements.namedItem(name);
      if (field instanceof HTMLInputElement && field.value) url.searchParams.set(name, field.value);
    }
    this.#tell("Live tail: connecting");
    const source = new EventSource(url);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#tell("Live");
    };
    source.onerror = () => this.#failed(source);
    source.addEventListener("messages", (event) => this.#show(JSON.parse(event.data)));
    source.addEventListener("skipped", (event) => {
      this.#skipped += JSON.parse(event.data).count;
    });
    source.addEventListener("kafka", (event) => {
      const { ok, detail } = JSON.parse(event.data);
      this.#tell(ok ? "Live" : detail);
    });
  }

  /** The browser goes on by itself after a lost connection, not after a refusal. @param {EventSource} source */
  #failed(source) {
    if (source.readyState !== EventSource.CLOSED) return this.#tell("Live tail: connecting again");
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)] ?? 8000;
    this.#tell(`The live tail was refused (Kafka away, too many at once, or wrong input); trying again in ${wait / 1000} s`);
    this.#timer = window.setTimeout(() => this.#connect(), wait);
  }

  /** @param {Message[]} messages */
  #show(messages) {
    if (messages.length === 0) return;
    this.#count += messages.length;
    list.querySelector(":scope > .empty")?.remove();
    list.prepend(...messages.map(row).reverse());
    while (list.childElementCount > KEPT) list.lastElementChild?.remove();
    this.#tell("Live");
  }

  /** @param {string} state */
  #tell(state) {
    const skipped = this.#skipped ? `; ${this.#skipped} skipped to keep up` : "";
    told.textContent = `${state}. ${this.#count} message${this.#count === 1 ? "" : "s"}${skipped}.`;
  }
}

const tail = new LiveTail();
button.hidden = false;
button.addEventListener("click", () => (tail.running ? tail.stop() : tail.start()));
form.addEventListener("change", showFields);
list.addEventListener("toggle", paint, true);
showFields();
for (const only of list.querySelectorAll("details:only-child")) only.setAttribute("open", "");
