// A text box with suggestions, for keyboard, mouse and screen reader (the combobox of the ARIA authoring practices).

import { element } from "./dom.js";

const PAUSE = 120; // milliseconds after the last key

/**
 * Fill a container with a search box and return the box.
 *
 * Args:
 *   container: where it goes.
 *   label, placeholder: what it says.
 *   suggest: async (text, signal) => {options, total}; options have a value, and what `draw` makes nodes of.
 *   choose: called with the value that was chosen.
 *   free: whether a text that is no suggestion can be chosen.
 */
export function combobox(container, { label, placeholder, suggest, choose, free, draw }) {
  const id = container.id;
  const input = element("input", {
    id: `${id}-input`, type: "search", placeholder, autocomplete: "off", spellcheck: false, enterKeyHint: "search",
    role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list",
  });
  const list = element("ul", { id: `${id}-list`, role: "listbox", hidden: true, "aria-label": label });
  container.append(element("label", { for: input.id, className: "hidden" }, label), input, list);
  let options = [];
  let active = -1;
  let timer = 0;
  let running = null;

  function close() {
    clearTimeout(timer);
    running?.abort();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  function activate(index) {
    active = index;
    [...list.querySelectorAll("[role=option]")].forEach((option, place) => {
      option.setAttribute("aria-selected", String(place === index));
      if (place === index) option.scrollIntoView({ block: "nearest" });
    });
    if (index < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `${id}-${index}`);
  }

  function pick(value) {
    close();
    choose(value);
  }

  async function open() {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      const found = await suggest(input.value.trim(), signal);
      if (found && !signal.aborted && document.activeElement === input) show(found);
    } catch (error) {
      if (error.name !== "AbortError") show({ options: [], said: error.message });
    }
  }

  function show({ options: found, total, said }) {
    options = found;
    const rows = found.map((option, index) => {
      const row = element("li", { id: `${id}-${index}`, role: "option", "aria-selected": "false" }, ...draw(option));
      row.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the box
      row.addEventListener("click", () => pick(option.value));
      return row;
    });
    const more = total > found.length ? `${found.length} of ${total.toLocaleString("en-US")}; type more to narrow it down` : "";
    const note = said ?? (found.length ? more : "Nothing found");
    list.replaceChildren(...rows, ...(note ? [element("li", { className: "note soft", role: "presentation" }, note)] : []));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(-1);
  }

  async function pickFirst() {
    clearTimeout(timer);
    await open(); // the suggestions may be of a shorter text
    if (options.length && !list.hidden) pick(options[0].value);
  }

  function onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      if (list.hidden) open();
      else if (options.length) activate(wrapped(active + steps[event.key], options.length));
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const text = input.value.trim();
      if (active >= 0) pick(options[active].value);
      else if (free && text) pick(text);
      else if (!free && text) pickFirst();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (list.hidden) input.value = "";
      close();
    }
  }

  input.addEventListener("keydown", onKey);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(open, PAUSE);
  });
  input.addEventListener("click", () => list.hidden && open());
  input.addEventListener("blur", close);
  return input;
}

/** Return an index that goes round: after the last one none (-1: back in the text), then the first one. */
function wrapped(index, length) {
  if (index >= length) return -1;
  return index < -1 ? length - 1 : index;
}
