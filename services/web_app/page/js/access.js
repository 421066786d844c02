// The token, where the server wants one: asked once, kept for this tab only, sent as a header.

const KEY = "token";
/** @type {Promise<void> | null} */ let asking = null;

/** Whether the reader is being asked: then silence is nobody's fault. */
export const isAsking = () => asking !== null;

/** Fetch with the token; where it is missing or wrong, ask the reader and try again.
 * @param {string} address @param {RequestInit} [options] @returns {Promise<Response>} */
export async function ask(address, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = new Headers(options.headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    const answer = await fetch(address, { ...options, headers });
    if (answer.status !== 401) return answer;
    // Another request may have been given a better one meanwhile.
    if (sessionStorage.getItem(KEY) === token) await askReader(token !== null);
  }
}

/** One question, however many requests wait for it. @param {boolean} wrong whether one was refused */
function askReader(wrong) {
  asking ??= question(wrong).finally(() => (asking = null));
  return asking;
}

/** @param {boolean} wrong @returns {Promise<void>} */
function question(wrong) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("access"));
  const field = /** @type {HTMLInputElement} */ (dialog.querySelector("[type=password]"));
  const refused = /** @type {HTMLElement} */ (dialog.querySelector("[role=alert]"));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  refused.textContent = wrong ? "That token was refused." : "";
  field.value = "";
  if (!dialog.open) dialog.showModal();
  dialog.oncancel = (event) => event.preventDefault(); // nothing can be shown without it
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, field.value.trim());
      dialog.close();
      resolve();
    };
  });
}
