// Conditions on item columns, in the language of the service (docs/filters.md).

const KEYWORDS = new Set(["and", "or", "not", "in", "is", "missing", "contains", "true", "false"]);
const NUMBER = /^(?:U?Int\d+|Float\d+|Decimal.*)$/;

/** Return what kind of control a column has by its type: number, date, datetime, boolean, choice; undefined for none. */
export function kindOf(type, choices) {
  if (NUMBER.test(type)) return "number";
  if (type === "Boolean") return "boolean";
  if (type.startsWith("Date")) return type === "Date" ? "date" : "datetime";
  return choices?.length ? "choice" : undefined;
}

/** Return a text with quotation marks. */
export const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

/** Return the condition that the controls and the text box make together; empty without any. */
export function condition(state, kinds) {
  const tests = [];
  for (const [column, bounds] of Object.entries(state.columns)) {
    const kind = kinds[column];
    if (!kind) continue;
    const value = (text) => (kind === "number" || kind === "boolean" ? text : quoted(text));
    if (bounds.min) tests.push(`${name(column)} >= ${value(bounds.min)}`);
    if (bounds.max) tests.push(`${name(column)} ${kind === "datetime" ? before(bounds.max) : `<= ${value(bounds.max)}`}`);
    if (bounds.is) tests.push(`${name(column)} = ${value(bounds.is)}`);
  }
  const own = state.where.trim();
  if (own) tests.push(tests.length ? `(${own})` : own);
  return tests.join(" and ");
}

/** Return the test of points in time for a whole day and all before it: a day by itself is its midnight. */
function before(day) {
  const next = new Date(Date.parse(day) + 24 * 60 * 60 * 1000);
  return Number.isNaN(next.getTime()) ? `<= ${quoted(day)}` : `< ${quoted(next.toISOString().slice(0, 10))}`;
}

function name(column) {
  const plain = /^[\p{L}_][\p{L}\p{N}_]*$/u.test(column) && !KEYWORDS.has(column.toLowerCase());
  return plain ? column : `\`${column.replaceAll("`", "``")}\``;
}
