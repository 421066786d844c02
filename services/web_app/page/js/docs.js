// The OpenAPI document as a page: operations with their parameters, and a try of each.
import { ask } from "./access.js";
import { byId, make } from "./panels.js";

/** @param {any} schema @returns {string} */
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  if (schema.type === "object" && schema.additionalProperties) return `{string: ${typeOf(schema.additionalProperties)}}`;
  return schema.format ? `${schema.type} (${schema.format})` : String(schema.type ?? "any");
}

/** @param {any} schema */
function limits(schema) {
  const parts = schema.description ? [schema.description] : [];
  if (schema.minimum !== undefined) parts.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) parts.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) parts.push(`at most ${schema.maxLength} characters`);
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${schema.default}`);
  return parts.join(", ");
}

/** @param {string[]} heads @param {(string | HTMLElement)[][]} rows */
function table(heads, rows) {
  const element = document.createElement("table");
  const head = element.createTHead().insertRow();
  head.append(...heads.map((text) => Object.assign(make("th", text), { scope: "col" })));
  const body = element.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) line.insertCell().append(cell);
  }
  return element;
}

/** @param {string} path @param {any} operation */
function section(path, operation) {
  const panel = make("section", "", "panel");
  const heading = make("h3");
  heading.append(make("code", `GET ${path}`), ` ${operation.summary}`);
  const form = document.createElement("form");
  const fields = operation.parameters.map((/** @type {any} */ each) => {
    const input = each.schema.enum ? document.createElement("select") : document.createElement("input");
    if (input instanceof HTMLSelectElement) {
      input.append(...["", ...each.schema.enum].map((value) => Object.assign(make("option", value), { value })));
    }
    input.name = each.name;
    input.setAttribute("aria-label", each.name);
    return [make("code", each.name), typeOf(each.schema), limits(each.schema), input];
  });
  if (fields.length) form.append(table(["Parameter", "Type", "What it takes", "Try"], fields));
  const [type, content] = Object.entries(operation.responses["200"].content)[0] ?? ["", {}];
  form.append(make("p", `Answers ${type}: ${typeOf(/** @type {any} */ (content).schema)}`, "quiet"));
  const output = make("pre");
  output.hidden = true;
  output.tabIndex = 0;
  if (type !== "text/event-stream") form.append(Object.assign(make("button", "Ask"), { type: "submit" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    const address = query.size ? `${path}?${query}` : path;
    const answer = await ask(address);
    const text = await answer.text();
    output.hidden = false;
    output.textContent = `GET ${address}\n${answer.status} ${answer.statusText}\n\n${text.slice(0, 4000)}`;
  });
  panel.append(heading, make("p", operation.description), form, output);
  return panel;
}

const answer = await ask("/api/v1/openapi.json");
const specification = await answer.json();
byId("title").textContent = `${specification.info.title} API`;
byId("about").textContent = `${specification.info.description} Errors are problem documents that say what to type instead. Times are RFC 3339 with a zone; pages are walked by cursor.`;
for (const { name } of specification.tags) {
  byId("operations").append(make("h2", name.replace(/^./, (/** @type {string} */ letter) => letter.toUpperCase())));
  for (const [path, item] of Object.entries(specification.paths)) {
    if (/** @type {any} */ (item).get.tags[0] === name) byId("operations").append(section(path, /** @type {any} */ (item).get));
  }
}
for (const [name, schema] of Object.entries(specification.components.schemas)) {
  const shape = /** @type {any} */ (schema);
  const panel = document.createElement("details");
  panel.className = "panel";
  panel.append(make("summary", name), make("p", shape.description ?? "", "quiet"));
  panel.append(table(["Field", "Type"], Object.entries(shape.properties ?? {}).map(([field, type]) => [make("code", field), typeOf(type)])));
  byId("shapes").append(panel);
}
export {};
