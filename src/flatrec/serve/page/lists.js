// The lists of all recommenders for one request, side by side.

import { byId, count, element } from "./dom.js";
import { operation, post } from "./api.js";
import { card, failure, pathInWords, placeholders, warningsOf } from "./cards.js";
import { remember } from "./items.js";
import { hash } from "./models.js";

/** Return the body of the request that a state is. */
export function requestOf(state, where) {
  const history = state.mode === "basket" && state.basket.length ? { history: state.basket } : {};
  const users = state.mode === "user" && state.user ? { users: [state.user] } : {};
  const condition = where ? { where } : {};
  return { ...users, ...history, ...condition, k: state.k, diversity: state.diversity, explain: true };
}

/**
 * Return a function that shows the lists of a request.
 *
 * Args:
 *   prefixes: of all recommenders, "" for the first one.
 *   open: called with an item and a prefix.
 *   basket: {has, toggle, isEmpty}.
 *   onAnswers: called with the answers by prefix, null for those that failed, and the errors.
 */
export function recommendationLists({ prefixes, open, basket, onAnswers }) {
  const container = byId("lists");
  let shown = "";
  let running = null;
  container.classList.toggle("two", prefixes.length > 1);
  byId("overlap").hidden = prefixes.length === 1;
  for (const [event, lit] of [["mouseover", true], ["focusin", true], ["mouseout", false], ["focusout", false]]) {
    container.addEventListener(event, ({ target }) => light(container, target.closest(".product.hit"), lit));
  }

  return async function show(state, where, names, { again = false } = {}) {
    const request = requestOf(state, where);
    const key = JSON.stringify([state.mode, request]);
    if (key === shown && !again) return;
    shown = key;
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    if (!container.firstChild) container.replaceChildren(...prefixes.map((by) => waiting(by, names, state.k)));
    container.setAttribute("aria-busy", "true");
    const results = await Promise.allSettled(
      prefixes.map((by) => post(operation("v1/recommend", by), request, { signal })));
    if (signal.aborted) return;
    const answers = results.map((one) => (one.status === "fulfilled" ? one.value : null));
    const errors = results.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    if (errors.length) shown = "";
    answers.forEach((answer) => answer && remember(answer.lists[0].items));
    const retry = () => show(state, where, names, { again: true });
    const drawn = { state, names, answers, open, basket };
    const messages = new Set(errors.map((error) => error.message));
    const refused = errors.length === prefixes.length && messages.size === 1; // all for one reason, which is said once
    container.classList.toggle("two", prefixes.length > 1 && !refused);
    container.replaceChildren(...(refused ? [failure(errors[0], retry)] : prefixes.map((by, index) =>
      answers[index] ? list(by, index, drawn) : frame(by, names, null, [], failure(results[index].reason, retry)))));
    container.removeAttribute("aria-busy");
    byId("overlap").textContent = overlap(answers);
    onAnswers(answers, errors);
  };
}

function list(by, index, { state, names, answers, open, basket }) {
  const { lists: [answer], model } = answers[index];
  const other = answers.find((one, place) => place !== index && one)?.lists[0].items ?? [];
  const ranks = new Map(other.map((item, place) => [item.item, place + 1]));
  const because = state.mode === "basket" ? "because the basket has" : "because you bought";
  const options = { because, open: (item) => open(item, by), basket: state.mode === "basket" ? basket : undefined };
  const cards = answer.items.map((item, place) => card(item, { ...options, rank: place + 1, other: ranks.get(item.item) }));
  const head = element("p", { className: "path soft", data: { path: answer.path } }, pathInWords(answer.path));
  return frame(by, names, hash(model), [head, ...warningsOf(answer.warnings)], cards.length
    ? element("ol", { className: "products" }, ...cards)
    : element("p", { className: "empty" }, "No item is left: loosen the filters, or choose somebody else."));
}

/** Return the section of one recommender: its name, what is said of the list, and the list. */
function frame(by, names, mark, said, body) {
  const id = `list-${by || "first"}`;
  return element("section", { className: by ? "list second" : "list", "aria-labelledby": id },
    element("h3", { id }, element("span", { className: by ? "dot second" : "dot" }), names[by], " ", mark),
    element("div", { className: "said" }, ...said), body);
}

const waiting = (by, names, k) =>
  frame(by, names, null, [element("p", { className: "path soft" }, "Loading…")], placeholders(Math.min(k, 20)));

function overlap(answers) {
  if (answers.length < 2 || answers.includes(null)) return "";
  const [first, second] = answers.map((answer) => new Set(answer.lists[0].items.map((item) => item.item)));
  if (!first.size && !second.size) return "";
  const both = [...first].filter((item) => second.has(item)).length;
  return `${count(both)} of ${count(Math.max(first.size, second.size))} items are in both lists.`;
}

/** Mark an item in both lists while it is pointed at. */
function light(container, found, lit) {
  if (!found) return;
  for (const one of container.querySelectorAll(".product.hit")) {
    if (one.dataset.item === found.dataset.item) one.classList.toggle("lit", lit);
  }
}
