// The basket: items that somebody without an id has.

import { byId, element } from "./dom.js";
import { clamped, imageOf } from "./cards.js";
import { findItems, itemOf } from "./items.js";

/** Show the items of a basket; `remove` and `clear` are called by its buttons. */
export async function showBasket(ids, { remove, clear }) {
  draw(ids, { remove, clear });
  if (ids.every((id) => itemOf(id).title)) return;
  await findItems(ids);
  draw(ids, { remove, clear });
}

function draw(ids, { remove, clear }) {
  const container = byId("basket");
  if (!ids.length) {
    container.replaceChildren(element("p", { className: "soft" },
      "The basket is empty: search for items above, or put some of the popular ones below into it by +."));
    return;
  }
  const entries = ids.map((id) => {
    const title = itemOf(id).title || id;
    const button = element("button", { type: "button", "aria-label": `Remove ${title}`, data: { id } }, "✕");
    button.addEventListener("click", () => remove(id));
    return element("li", {}, imageOf(itemOf(id)), clamped(title), button);
  });
  const all = element("button", { type: "button", className: "quiet" }, "Empty it");
  all.addEventListener("click", clear);
  container.replaceChildren(element("ul", { className: "basket", "aria-label": "Basket" }, ...entries), all);
}
