// Keeps a page current: fetches it again and changes only what differs, so that focus, selection
// and what was unfolded stay. A page that says that Kafka is away comes back by itself the same way.
// @ts-check

const INTERVAL_MS = 4000;
const TIMEOUT_MS = 8000;

/** Makes the children of `now` those of `next`. @param {Element} now @param {Element} next */
function morph(now, next) {
  const old = [...now.childNodes];
  const fresh = [...next.childNodes];
  fresh.forEach((node, index) => {
    const present = old[index];
    if (present === undefined) {
      now.append(document.importNode(node, true));
    } else if (present.nodeType !== node.nodeType || present.nodeName !== node.nodeName) {
      present.replaceWith(document.importNode(node, true));
    } else if (present instanceof Element && node instanceof Element) {
      copyAttributes(present, node);
      morph(present, node);
    } else if (present.nodeValue !== node.nodeValue) {
      present.nodeValue = node.nodeValue;
    }
  });
  old.slice(fresh.length).forEach((node) => node.remove());
}

/** @param {Element} now @param {Element} next */
function copyAttributes(now, next) {
  for (const name of now.getAttributeNames()) {
    if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  }
  for (const name of next.getAttributeNames()) {
    const value = next.getAttribute(name) ?? "";
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
}

async function refresh() {
  const link = document.getElementById("link");
  try {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (document.querySelector(".fault") && !page.querySelector(".fault")) {
      location.reload(); // with the code of the page that was meant
      return;
    }
    for (const id of ["link", "main"]) {
      const now = document.getElementById(id);
      const next = page.getElementById(id);
      if (now && next) {
        copyAttributes(now, next);
        morph(now, next);
      }
    }
    document.title = page.title;
  } catch {
    if (link) {
      link.className = "link bad";
      link.textContent = "This page's server does not answer";
    }
  }
}

setInterval(() => {
  if (document.visibilityState === "visible") void refresh();
}, INTERVAL_MS);
