// Lists of items as cards.

import { element, score, sentence } from "./dom.js";
import { showImage } from "./api.js";

const PATHS = {
  known: "Learned from what this user bought.",
  members: "Learned from the members of this group.",
  history: "Worked out from the items given, without training.",
  "cold-item": "By the features of an item that is new.",
  popular: "Not personal: the most popular items.",
};
const SIMILAR_PATHS = {
  known: "By what was learned of the item.",
  "cold-item": "By the features of the item, which is new.",
};

/** Return how a list came about, in words. */
export const pathInWords = (path) => PATHS[path] ?? `By the path ${path}.`;
export const similarPathInWords = (path) => SIMILAR_PATHS[path] ?? `By the path ${path}.`;

/** Return the sentences that a list says of itself. */
export const warningsOf = (warnings) =>
  warnings.map((warning) => element("p", { className: "warning" }, sentence(warning)));

/** Return the image of an item, or its first letter where there is none. */
export function imageOf(item) {
  const letter = ([...(item.title || item.item).trim()][0] ?? "?").toUpperCase();
  const blank = () => element("span", { className: "blank", "aria-hidden": "true" }, letter);
  const frame = element("span", { className: "frame" });
  if (!item.image) {
    frame.append(blank());
    return frame;
  }
  const image = element("img", { alt: "", width: 160, height: 160, decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(blank()), { once: true });
  showImage(image, item.image);
  frame.append(image);
  return frame;
}

/**
 * Return one item as an entry of a list.
 *
 * Args:
 *   item: the item, as the service answers it.
 *   options: rank, because (words before the reason), other (the rank in the other list), open (called at a click),
 *     basket ({has, toggle}, where items can be put into it).
 */
export function card(item, { rank, because, other, open, basket }) {
  const title = item.title || item.item;
  const name = element("button", { type: "button", className: "name", "aria-haspopup": "dialog" }, clamped(title));
  name.addEventListener("click", () => open(item));
  const reason = because && item.reasons?.find((one) => one.contribution > 0);
  const made = element("li", { className: "product", data: { item: item.item } },
    imageOf(item),
    rank && element("span", { className: "place" }, String(rank)),
    element("span", { className: "text" },
      name,
      reason && element("span", { className: "because" }, `${because} `, clamped(reason.title || reason.item)),
      element("span", { className: "foot" },
        other && element("span", { className: "badge both" }, `in both, no. ${other} there`),
        item.new && element("span", { className: "badge" }, "new"),
        item.score !== undefined
          && element("span", { className: "score", title: "Comparable within this list only" }, `score ${score(item.score)}`))),
    basket && basketButton(item, title, basket));
  if (other) made.classList.add("hit");
  return made;
}

/** Return a title of at most three lines, in the direction of its script; all of it when pointed at. */
export const clamped = (title) => element("span", { className: "clamped", dir: "auto", title }, title);

function basketButton(item, title, { has, toggle }) {
  const inside = has(item.item);
  const said = inside ? `Remove ${title} from the basket` : `Add ${title} to the basket`;
  const button = element("button", { type: "button", className: "add", "aria-label": said, title: said }, inside ? "✓" : "+");
  button.addEventListener("click", () => toggle(item));
  return button;
}

/** Return cards that stand for those to come, so that nothing moves when they are there. */
export const placeholders = (number) =>
  element("ol", { className: "products waiting", "aria-hidden": "true" }, ...Array.from({ length: number }, () =>
    element("li", { className: "product" }, element("span", { className: "frame" }),
      element("span", { className: "text" }, element("span", { className: "bar" }), element("span", { className: "bar short" })))));

/** Return a box that says what went wrong, with a button for another try. */
export function failure(error, retry) {
  const button = element("button", { type: "button", className: "quiet" }, "Try again");
  button.addEventListener("click", retry);
  return element("div", { className: "notice", role: "alert" }, element("p", {}, sentence(error.message)), button);
}
