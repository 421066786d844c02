// Colours JSON without touching it: every character that came is shown, indented by its brackets.
// @ts-check

const TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|true|false|null|[[\]{},]|\s+|./gs;
const MAX_CHARS = 200_000; // beyond, one colour is faster

/** @param {string} kind @param {string} text */
function span(kind, text) {
  const element = document.createElement("span");
  element.className = `j-${kind}`;
  element.textContent = text;
  return element;
}

/** Returns nodes that show the JSON `text`, indented. @param {string} text @returns {Node[]} */
export function jsonNodes(text) {
  if (text.length > MAX_CHARS) return [document.createTextNode(text)];
  /** @type {Node[]} */ const nodes = [];
  let depth = 0;
  const tokens = [...text.matchAll(TOKEN)].filter(([token]) => token.trim());
  const line = () => document.createTextNode(`\n${"  ".repeat(depth)}`);
  tokens.forEach(([token, colon], index) => {
    const before = tokens[index - 1]?.[0] ?? "";
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    if (closes && before !== "{" && before !== "[") nodes.push(line());
    if (!closes && (before === "{" || before === "[" || before === ",")) nodes.push(line());
    if (opens) depth += 1;
    if (colon !== undefined) {
      nodes.push(span("name", token.slice(0, -colon.length)), document.createTextNode(": "));
    } else if (token.startsWith('"')) nodes.push(span("string", token));
    else if (/^[-\d]/.test(token)) nodes.push(span("number", token));
    else if (/^[tfn]/.test(token)) nodes.push(span("literal", token));
    else nodes.push(document.createTextNode(token));
  });
  return nodes;
}
