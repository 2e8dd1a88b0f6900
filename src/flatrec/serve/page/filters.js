// The controls below the search: filters by item column, the length of the list, and diversity.

import { element } from "./dom.js";
import { kindOf } from "./conditions.js";
import { byColumn } from "./state.js";

const LENGTHS = [5, 10, 20, 50];
const OWN = new Set(["item", "title"]); // columns that the search is for

/** Return the kind of control by column, in the order of the columns. */
export function kindsOf(model) {
  const kinds = byColumn();
  for (const [column, type] of Object.entries(model.columns)) {
    if (OWN.has(column) || (column === "new" && !model.new_items)) continue;
    const kind = kindOf(type, model.choices[column]);
    if (kind) kinds[column] = kind;
  }
  return kinds;
}

/**
 * Fill a container with the controls and return a function that lets them show a state.
 *
 * Args:
 *   container: where they go; it is emptied.
 *   model: the answer of /v1/model.
 *   kinds: the kind of control by column.
 *   change: called with {k, diversity, where, columns} after every change.
 */
export function filterControls(container, model, kinds, change) {
  const own = [lengthControl(), diversityControl()];
  const where = whereControl();
  const columns = Object.entries(kinds).map(([column, kind]) => columnControl(column, kind, model));
  const controls = [...own, ...columns, where];
  const read = () => ({
    ...Object.assign({}, ...own.map((control) => control.read()), where.read()),
    columns: byColumn(...columns.map((control) => control.read())),
  });
  controls.forEach((control) => control.node.addEventListener("change", () => change(read())));
  const clear = element("button", { type: "button", className: "quiet" }, "Clear filters");
  clear.addEventListener("click", () => change({ ...read(), where: "", columns: byColumn() }));
  container.replaceChildren(
    element("div", { className: "grid" }, ...[...own, ...columns].map((control) => control.node)),
    where.node,
    element("div", { className: "end" }, clear),
  );
  return (state) => controls.forEach((control) => control.show(state));
}

function labeled(text, className, ...fields) {
  return element("label", { className: `control ${className}` }, element("span", { className: "name" }, text), ...fields);
}

function lengthControl() {
  const select = element("select", {}, ...LENGTHS.map((length) => element("option", { value: length }, String(length))));
  return {
    node: labeled("Number of items", "length", select),
    read: () => ({ k: Number(select.value) }),
    show: ({ k }) => {
      if (![...select.options].some((option) => option.value === String(k))) select.append(element("option", {}, String(k)));
      select.value = String(k);
    },
  };
}

function diversityControl() {
  const slider = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0 });
  const shown = element("span", { className: "value" }, "off");
  const say = () => {
    shown.textContent = slider.value === "0" ? "off" : slider.value;
    slider.setAttribute("aria-valuetext", shown.textContent);
  };
  slider.addEventListener("input", say);
  const node = labeled("Diversity", "diversity", slider);
  node.firstChild.append(shown);
  return {
    node,
    read: () => ({ diversity: Number(slider.value) }),
    show: ({ diversity }) => {
      slider.value = String(diversity);
      say();
    },
  };
}

function whereControl() {
  const input = element("input", {
    id: "where", type: "text", spellcheck: false, autocomplete: "off", placeholder: 'price < 30 and not kind in ["mug", "lamp"]',
    "aria-describedby": "where-wrong",
  });
  const wrong = element("span", { id: "where-wrong", className: "wrong" });
  return {
    node: labeled("Condition on item columns", "where", input, wrong),
    read: () => ({ where: input.value }),
    show: ({ where }) => {
      if (document.activeElement !== input || input.value.trim() !== where.trim()) input.value = where;
    },
  };
}

function columnControl(column, kind, model) {
  if (["number", "date", "datetime"].includes(kind)) return rangeControl(column, kind === "number" ? kind : "date");
  const choices = kind === "boolean" ? [["true", "yes"], ["false", "no"]] : model.choices[column].map((one) => [one, one]);
  const options = choices.map(([value, text]) => element("option", { value }, text));
  const select = element("select", {}, element("option", { value: "" }, "any"), ...options);
  return {
    node: labeled(words(column), kind, select),
    read: () => (select.value ? { [column]: { is: select.value } } : {}),
    show: ({ columns }) => {
      select.value = columns[column]?.is ?? "";
    },
  };
}

function rangeControl(column, kind) {
  const [min, max] = ["from", "to"].map((word) => element("input", {
    type: kind, step: "any", placeholder: word, inputMode: kind === "number" ? "decimal" : undefined,
    "aria-label": `${words(column)}, ${word}`,
  }));
  const node = element("div", { className: `control ${kind}`, role: "group", "aria-label": words(column) },
    element("span", { className: "name" }, words(column)), element("span", { className: "range" }, min, max));
  return {
    node,
    read: () => (min.value || max.value ? { [column]: { min: min.value, max: max.value } } : {}),
    show: ({ columns }) => {
      min.value = columns[column]?.min ?? "";
      max.value = columns[column]?.max ?? "";
    },
  };
}

const words = (column) => {
  const text = column.replaceAll("_", " ").trim() || column;
  return text.charAt(0).toUpperCase() + text.slice(1);
};
