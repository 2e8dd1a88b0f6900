// What is served: the name of each recommender, its hash, and facts about it.

import { byId, count, element } from "./dom.js";

/** Return the name of a recommender, such as "FREEDOM with bsam+". */
export function nameOf(model) {
  const name = model.name.toUpperCase();
  return model.strategy && !["none", "plain"].includes(model.strategy) ? `${name} with ${model.strategy}` : name;
}

/** Return names that differ, of recommenders by prefix. */
export function namesOf(models) {
  const names = Object.fromEntries(Object.entries(models).map(([by, model]) => [by, nameOf(model)]));
  const equal = Object.values(names).length > new Set(Object.values(names)).size;
  if (!equal) return names;
  return Object.fromEntries(Object.entries(models).map(([by, model]) => {
    const strategy = model.strategy ? ` with ${model.strategy}` : "";
    return [by, `${model.name.toUpperCase()}${strategy} (${by ? "second" : "first"})`];
  }));
}

/** Return the hash of a recommender: its beginning, all of it when pointed at. */
export const hash = (text) => element("code", { className: "hash", title: `Content hash ${text}` }, text.slice(0, 8));

/** Show what is served in the head of the page. */
export function showModels(models, names) {
  const shown = Object.entries(models).map(([by, model]) => element("details", { className: "model", name: "model" },
    element("summary", {}, element("span", { className: by ? "dot second" : "dot" }), names[by], " ", hash(model.model)),
    element("dl", {}, ...facts(model).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))));
  byId("models").replaceChildren(...shown);
}

function facts(model) {
  const test = Object.entries(model.test).filter(([name]) => /^(recall|ndcg)@(10|20)$/.test(name));
  return [
    ["Data", model.data],
    ["Users", count(model.users)],
    ["Items", count(model.items) + (model.new_items ? `, ${count(model.new_items)} of them new` : "")],
    ["Interactions", count(model.interactions)],
    ...(model.features.length ? [["Features", model.features.join(", ")]] : []),
    ...test.map(([name, value]) => [`Test ${name}`, value.toFixed(4)]),
    ["Written", new Date(model.written_at).toLocaleString()],
    ["Hash", model.model],
  ];
}
