// Requests to the service: the token, errors in sentences, and images.

import { byId } from "./dom.js";

const KEY = "flatrec.token";
export const COMPARE = "compare";

/** What the service says of a request that failed. */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = sessionStorage.getItem(KEY) ?? "";
let asking = null; // the promise of a token, while the dialog is open

/** Return the parsed answer to a GET; throw a Failure. */
export const get = (path, values = {}, options = {}) => request(withQuery(path, values), options);

/** Return the parsed answer to a POST; throw a Failure. */
export const post = (path, body, options = {}) =>
  request(path, { ...options, method: "POST", body: JSON.stringify(body), json: true });

/** Return the path of an operation of the first recommender, or of the second. */
export const operation = (path, by) => (by === COMPARE ? `compare/${path}` : path);

/** Ask for a token before the first request, where one is needed. */
export async function expectToken() {
  if (!token) await askForToken(false);
}

async function request(path, options) {
  const response = await send(path, options);
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Failure(response.status, answer?.error?.message ?? `the service answered with status ${response.status}`);
}

async function send(path, { json = false, ...options }) {
  for (;;) {
    const sent = token;
    const headers = { ...(json ? { "content-type": "application/json" } : {}), ...(sent ? bearer(sent) : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failure(0, "the service does not answer; is it still running?");
    }
    if (response.status !== 401) return response;
    if (sent === token) await askForToken(sent !== "");
  }
}

const bearer = (value) => ({ authorization: `Bearer ${value}` });

function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));
  return query.size ? `${path}?${query}` : path;
}

function askForToken(wrong) {
  asking ??= new Promise((resolve) => {
    const [dialog, form, input, said] = ["token", "token-form", "token-input", "token-wrong"].map(byId);
    said.textContent = wrong ? "The service does not know this token." : "";
    said.hidden = !wrong;
    dialog.oncancel = (event) => event.preventDefault(); // nothing can be shown without one
    dialog.onclose = () => asking && dialog.showModal(); // some browsers close at the second Escape all the same
    form.onsubmit = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      if (!/^[\x21-\x7e]+$/.test(given)) {
        said.textContent = "A token has letters, digits and signs, without spaces.";
        said.hidden = false;
        return;
      }
      token = given;
      sessionStorage.setItem(KEY, token);
      input.value = "";
      asking = null;
      dialog.close();
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}

const onSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    onSight.unobserve(target);
    loadWithToken(target);
  }
}, { rootMargin: "300px" });

/** Show the image at a path of the service as soon as it comes into sight. */
export function showImage(image, path) {
  const address = path.replace(/^\//, "");
  if (!token) {
    image.loading = "lazy";
    image.src = address;
    return;
  }
  image.dataset.path = address;
  onSight.observe(image);
}

/** An address cannot carry a token, so the image is fetched, and shown from memory. */
async function loadWithToken(image) {
  try {
    const response = await send(image.dataset.path, {});
    if (!response.ok) throw new Failure(response.status, "no image");
    const address = URL.createObjectURL(await response.blob());
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
  } catch {
    image.dispatchEvent(new Event("error"));
  }
}
