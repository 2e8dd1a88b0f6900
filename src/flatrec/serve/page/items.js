// Titles and images of items that are known only by their ids, such as those of a basket in an address.

import { get } from "./api.js";
import { quoted } from "./conditions.js";

const LONGEST = 3000; // characters of ids in a condition, which may have 4,000 in all
const AT_ONCE = 50;
const known = new Map();

/** Remember items that an answer has. */
export function remember(items) {
  for (const item of items) known.set(item.item, { item: item.item, title: item.title, image: item.image });
}

/** Return an item as far as it is known now. */
export const itemOf = (id) => known.get(id) ?? { item: id, title: null, image: null };

/** Return items by their ids; what the service does not know has an id alone. */
export async function findItems(ids, signal) {
  for (const part of parts(ids.filter((id) => !known.has(id)))) {
    const found = await get("v1/items", { where: `item in [${part.join(", ")}]`, k: AT_ONCE }, { signal });
    remember(found.items);
  }
  return ids.map(itemOf);
}

/** Return ids in quotation marks, in parts that fit into a condition. */
function parts(ids) {
  const made = [];
  let length = Infinity;
  for (const id of ids.map(quoted)) {
    if (length + id.length > LONGEST || made.at(-1).length === AT_ONCE) {
      made.push([]);
      length = 0;
    }
    made.at(-1).push(id);
    length += id.length + 2;
  }
  return made;
}
