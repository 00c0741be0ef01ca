// Making elements. Text only ever becomes a text node: whatever a principal is called, it stays text.

const SVG = "http://www.w3.org/2000/svg";

/** An element with `attributes` and `children` (nodes, texts, lists of them; null and false are left out).
 *  `text` sets its text; a function is a listener, `onclick` for clicks. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Puts `children` in the place of what `node` holds. What had the focus keeps it, if it is there again: it is known
 *  by its `data-key`. */
function refill(node, ...children) {
  const active = node.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.key;
  const caret = active?.selectionStart;
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (!key) return;
  const again = node.querySelector(`[data-key="${CSS.escape(key)}"]`);
  again?.focus({ preventScroll: true });
  if (again && typeof caret === "number") again.setSelectionRange(caret, caret);
}

/** Has a screen reader say `words`. */
function tell(words) {
  document.getElementById("told").textContent = words;
}

/** Buttons of which one is pressed. `choices` are pairs of a value and its words. */
function choice(label, choices, chosen, choose) {
  return element(
    "div",
    { class: "choice", role: "group", "aria-label": label },
    choices.map(([value, words]) =>
      element("button", {
        type: "button",
        text: words,
        "aria-pressed": String(value === chosen),
        "data-key": `${label}:${value}`,
        onclick: () => choose(value),
      }),
    ),
  );
}

/** A part of the page with a heading; `aside` stands beside that. */
function panel(id, title, aside, ...children) {
  return element(
    "section",
    { class: `panel ${id}`, id, "aria-labelledby": `${id}-title` },
    element("div", { class: "panel-head" }, element("h2", { id: `${id}-title`, text: title }), aside),
    ...children,
  );
}
