// The page: what is chosen is in the address, and everything shown follows from it.

import { byId, element, sentence } from "./dom.js";
import { COMPARE, Failure, expectToken, get, operation } from "./api.js";
import { showBasket } from "./basket.js";
import { clamped, failure, imageOf } from "./cards.js";
import { combobox } from "./combobox.js";
import { condition } from "./conditions.js";
import { filterControls, kindsOf } from "./filters.js";
import { findItems, itemOf, remember } from "./items.js";
import { recommendationLists } from "./lists.js";
import { namesOf, showModels } from "./models.js";
import { similarDialog } from "./similar.js";
import { hashOf, stateOf } from "./state.js";

const SUGGESTIONS = 8;
const EXAMPLES = 5;

let state = stateOf(location.hash);
let models = {}; // by prefix: "" for the first recommender, "compare" for the second
let kinds = {}; // the kind of control by column
let showFilters = () => {};
let parts; // what shows a state

/** Choose something: it goes into the address, and is shown. */
function choose(changes) {
  state = { ...state, ...changes };
  const address = hashOf(state) || location.pathname + location.search;
  if (hashOf(state) !== location.hash) history.pushState(null, "", address);
  show();
}

function show() {
  const { mode, user, basket } = state;
  document.querySelector(`[name=mode][value=${mode}]`).checked = true;
  byId("user-search").hidden = mode !== "user";
  byId("item-search").hidden = mode !== "basket";
  byId("basket").hidden = mode !== "basket";
  byId("examples").hidden = mode !== "user" || !byId("examples").hasChildNodes();
  if (mode === "user") parts.users.value = user;
  if (mode === "basket") showBasket(basket, parts.ofBasket).catch(showTrouble);
  for (const chip of byId("examples").querySelectorAll("button")) {
    chip.setAttribute("aria-pressed", String(chip.textContent === user));
  }
  showFilters(state);
  showHeading();
  const where = condition(state, kinds);
  parts.lists(state, where, namesOf(models)).catch(showTrouble);
  parts.similar(state, where).catch(showTrouble);
}

function showHeading() {
  const somebody = state.mode === "user" ? state.user : state.basket.length && "this basket";
  const text = somebody ? `Recommended for ${somebody}` : "Popular items";
  byId("heading").textContent = text;
  document.title = `${text} · flatrec`;
  const where = condition(state, kinds);
  const filtered = byId("filtered");
  filtered.hidden = !where;
  filtered.replaceChildren("Only items with ", element("code", {}, where));
  const chosen = Object.keys(state.columns).length + Number(state.where.trim() !== "") + Number(state.diversity > 0);
  byId("filter-count").hidden = !chosen;
  byId("filter-count").textContent = `${chosen} set`;
}

function afterAnswers(answers, errors) {
  const changed = Object.keys(models).some((by, index) => answers[index] && answers[index].model !== models[by].model);
  if (changed) loadModels().catch(showTrouble);
  const refused = errors.find((error) => error instanceof Failure && error.status === 422 && state.where.trim());
  byId("where").setAttribute("aria-invalid", String(Boolean(refused)));
  byId("where-wrong").textContent = refused ? sentence(refused.message) : "";
  const found = answers.flatMap((answer) => (answer ? [answer.lists[0].items.length] : []));
  const said = found.length ? `${byId("heading").textContent}: ${found.join(" and ")} items.` : "";
  byId("status").textContent = errors.length ? "" : said; // an error has its own alert
}

const ofBasket = {
  has: (item) => state.basket.includes(item),
  isEmpty: () => state.basket.length === 0,
  toggle: (item) => {
    remember([item]);
    const basket = ofBasket.has(item.item)
      ? state.basket.filter((one) => one !== item.item)
      : [...state.basket, item.item];
    const focused = document.activeElement?.closest(".product")?.dataset.item;
    choose({ mode: "basket", basket });
    if (focused) byId("results").focus({ preventScroll: true }); // the card leaves the list
  },
  remove: (id) => {
    choose({ basket: state.basket.filter((one) => one !== id) });
    (byId("basket").querySelector("li button") ?? byId("item-search-input")).focus();
  },
  clear: () => {
    choose({ basket: [] });
    byId("item-search-input").focus();
  },
};

function makeParts(about) {
  const find = async (id, signal) => (await findItems([id], signal))[0];
  const open = (item, by) => {
    remember([item]);
    choose({ similar: item.item, by });
  };
  const names = namesOf(models);
  return {
    ofBasket,
    users: combobox(byId("user-search"), {
      label: "User", free: true, choose: (user) => choose({ user }), draw: ({ value }) => [element("span", {}, value)],
      placeholder: about.user_search ? "Search a user" : "Type the id of a user, then Enter",
      suggest: about.user_search ? suggestUsers : async () => null,
    }),
    items: combobox(byId("item-search"), {
      label: "Item for the basket", free: false, placeholder: "Search items to add", suggest: suggestItems,
      choose: (id) => {
        byId("item-search-input").value = "";
        if (!ofBasket.has(id)) choose({ basket: [...state.basket, id] });
      },
      draw: ({ value, title }) => [
        imageOf(itemOf(value)),
        clamped(title || value),
        title ? element("span", { className: "soft id" }, value) : null,
      ].filter(Boolean),
    }),
    lists: recommendationLists({ prefixes: Object.keys(models), open, basket: ofBasket, onAnswers: afterAnswers }),
    similar: similarDialog({ find, open, close: () => choose({ similar: "", by: "" }), basket: ofBasket, names }),
  };
}

async function suggestUsers(q, signal) {
  const { users, total } = await get("v1/users", { q, k: SUGGESTIONS }, { signal });
  return { options: users.map((value) => ({ value })), total };
}

async function suggestItems(q, signal) {
  const { items, total } = await get("v1/items", { q, k: SUGGESTIONS }, { signal });
  remember(items);
  return { options: items.map((item) => ({ value: item.item, title: item.title })), total };
}

async function loadModels() {
  const found = await Promise.all(Object.keys(models).map((by) => get(operation("v1/model", by))));
  Object.keys(models).forEach((by, index) => {
    models[by] = found[index];
  });
  kinds = kindsOf(models[""]);
  showModels(models, namesOf(models));
  showFilters = filterControls(byId("controls"), models[""], kinds, choose);
  showFilters(state);
}

async function showExamples() {
  const { users } = await get("v1/users", { k: EXAMPLES });
  const chips = users.map((user) => {
    const chip = element("button", { type: "button", className: "chip", "aria-pressed": String(user === state.user) }, user);
    chip.addEventListener("click", () => choose({ user }));
    return chip;
  });
  byId("examples").replaceChildren(element("span", { className: "soft" }, "For example"), ...chips);
}

function listen() {
  addEventListener("popstate", () => {
    state = stateOf(location.hash);
    show();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key !== "/" || typing || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    searchBox().focus();
  });
  for (const event of ["click", "keydown"]) document.addEventListener(event, closeFacts);
  document.querySelectorAll("[name=mode]").forEach((radio) =>
    radio.addEventListener("change", () => choose({ mode: radio.value })));
  byId("skip").addEventListener("click", () => byId("results").focus());
}

/** Close the facts about a recommender by Escape, or by a click elsewhere. */
function closeFacts(event) {
  const open = byId("models").querySelector("details[open]");
  if (!open || (event.type === "keydown" ? event.key !== "Escape" : open.contains(event.target))) return;
  open.open = false;
  if (event.type === "keydown") open.querySelector("summary").focus();
}

const searchBox = () => (state.mode === "user" ? parts.users : parts.items);

function showTrouble(error) {
  if (error.name === "AbortError") return;
  byId("lists").replaceChildren(failure(error, () => location.reload()));
  byId("lists").removeAttribute("aria-busy");
  document.body.dataset.ready = "";
}

async function start() {
  const about = await get("page/about.json");
  byId("document").hidden = about.token; // a link cannot carry a token
  if (about.token) await expectToken();
  models = about.compare ? { "": null, [COMPARE]: null } : { "": null };
  await loadModels();
  if (about.user_search) await showExamples();
  parts = makeParts(about);
  listen();
  show();
  document.body.dataset.ready = "";
}

start().catch(showTrouble);
