// Elements and the words in them. Text that comes from the service only ever becomes text, never markup.

/** Return an element with properties, attributes (names with a dash, and role) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for" || name === "list") made.setAttribute(name, value);
    else if (name === "data") Object.assign(made.dataset, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child || child === 0)); // so that `condition && child` may stand there
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Return a sentence of a message such as "no item left": a capital, and a full stop. */
export function sentence(text) {
  const said = text.trim();
  return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".");
}

export const count = (number) => number.toLocaleString("en-US");

/** Return a score with three digits that count. */
export function score(value) {
  const size = Math.abs(value);
  return size !== 0 && (size < 0.001 || size >= 1e6) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
