// The dialog of one item: the items that are similar to it, and the basket.

import { byId, element } from "./dom.js";
import { get, operation } from "./api.js";
import { card, failure, imageOf, placeholders, similarPathInWords, warningsOf } from "./cards.js";

const K = 12;

/**
 * Return a function that lets the dialog show a state.
 *
 * Args:
 *   find: async (id) => the item with title and image.
 *   open: called with an item whose similar items are to be shown.
 *   close: called when the dialog was closed by its user.
 *   basket: {has, toggle, isEmpty}.
 *   names: the names of the recommenders by prefix.
 */
export function similarDialog({ find, open, close, basket, names }) {
  const dialog = byId("similar");
  let shown = "";
  let running = null;
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close()); // beside it

  return async function show(state, where) {
    const key = state.similar && JSON.stringify([state.similar, state.by, where]);
    if (key === shown) {
      if (key) dialog.querySelector("#basket-toggle")?.replaceWith(basketToggle(state.similar, basket, find));
      return;
    }
    shown = key;
    running?.abort();
    if (!key) {
      dialog.close();
      return;
    }
    running = new AbortController();
    const { signal } = running;
    draw(dialog, { item: state.similar }, state, { close, basket, find, body: [placeholders(K)] });
    if (!dialog.open) dialog.showModal();
    byId("similar-title").focus();
    try {
      const [item, answer] = await Promise.all([
        find(state.similar, signal),
        get(operation("v1/similar", state.by), { item: state.similar, k: K, where }, { signal }),
      ]);
      if (signal.aborted) return;
      const cards = answer.items.map((one, index) => card(one, { rank: index + 1, open: (of) => open(of, state.by) }));
      const body = [
        element("p", { className: "soft" },
          `${names[state.by] ?? ""} · ${similarPathInWords(answer.path)}${where ? " Filtered like the list." : ""}`),
        ...warningsOf(answer.warnings),
        cards.length ? element("ol", { className: "products" }, ...cards) : element("p", { className: "empty" }, "No similar items."),
      ];
      draw(dialog, item, state, { close, basket, find, body });
    } catch (error) {
      if (error.name === "AbortError") return;
      const retry = () => {
        shown = "";
        show(state, where);
      };
      draw(dialog, { item: state.similar }, state, { close, basket, find, body: [failure(error, retry)] });
    }
  };
}

function draw(dialog, item, state, { close, basket, find, body }) {
  const focused = dialog.contains(document.activeElement);
  const title = element("h2", { id: "similar-title", tabIndex: -1, dir: "auto" }, item.title || item.item);
  const closing = element("button", { type: "button", className: "quiet close", "aria-label": "Close" }, "✕");
  closing.addEventListener("click", close);
  dialog.replaceChildren(
    element("header", {}, imageOf(item),
      element("div", { className: "about-item" }, title, element("p", { className: "soft id" }, item.item),
        basketToggle(state.similar, basket, find)),
      closing),
    element("h3", {}, "Similar items"),
    ...body);
  if (focused) title.focus();
  dialog.scrollTop = 0;
}

function basketToggle(id, basket, find) {
  const adding = basket.isEmpty() ? "Start a basket with it" : "Add to the basket";
  const said = basket.has(id) ? "Remove from the basket" : adding;
  const button = element("button", { type: "button", id: "basket-toggle", className: "quiet" }, said);
  button.addEventListener("click", async () => {
    basket.toggle(await find(id));
    byId("basket-toggle").focus();
  });
  return button;
}
