// What is chosen, and the part of the address that holds it.

export const DEFAULT_K = 10;

/** Return an object whose keys are names of columns, which may be any text, `__proto__` too. */
export const byColumn = (...parts) => Object.assign(Object.create(null), ...parts);

/** Return what is chosen at first. `columns` has by column {min, max} of numbers and dates, or {is} of all others. */
export const emptyState = () => ({
  mode: "user", user: "", basket: [], k: DEFAULT_K, diversity: 0, where: "", columns: byColumn(), similar: "", by: "",
});

/** Return the state that an address such as `#user=ann&max.price=60` holds. */
export function stateOf(hash) {
  const state = emptyState();
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  if (values.has("basket")) state.mode = "basket";
  state.user = values.get("user") ?? "";
  state.basket = [...new Set(values.getAll("basket").filter((item) => item))];
  state.k = whole(values.get("k")) ?? DEFAULT_K;
  state.diversity = fraction(values.get("diversity"));
  state.where = values.get("where") ?? "";
  state.similar = values.get("similar") ?? "";
  state.by = values.get("by") ?? "";
  for (const [name, value] of values) {
    const [, kind, column] = /^(min|max|is)\.(.+)$/s.exec(name) ?? [];
    if (kind && value) (state.columns[column] ??= {})[kind] = value;
  }
  return state;
}

/** Return the address of a state; what is as at first is left out. */
export function hashOf(state) {
  const values = new URLSearchParams();
  if (state.mode === "user" && state.user) values.append("user", state.user);
  if (state.mode === "basket") for (const item of state.basket.length ? state.basket : [""]) values.append("basket", item);
  if (state.k !== DEFAULT_K) values.append("k", state.k);
  if (state.diversity) values.append("diversity", state.diversity);
  for (const [column, bounds] of Object.entries(state.columns)) {
    for (const [kind, value] of Object.entries(bounds)) if (value) values.append(`${kind}.${column}`, value);
  }
  if (state.where.trim()) values.append("where", state.where);
  if (state.similar) values.append("similar", state.similar);
  if (state.similar && state.by) values.append("by", state.by);
  return values.size ? `#${values}` : "";
}

function whole(text) {
  return /^\d{1,9}$/.test(text ?? "") && Number(text) > 0 ? Number(text) : undefined;
}

function fraction(text) {
  const value = Number(text ?? 0);
  return value >= 0 && value <= 1 ? value : 0;
}
