// Elements without a framework: make one, and change a text only where it differs, so that a page that updates every second
// costs nothing where nothing happens. Texts are set as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; `text` is its text, `on…` its listeners, `data` its data attributes. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

/** A state, by colour (in the style sheet) and by word. */
export function setState(element, state, word = state) {
  if (element.dataset.state !== state) element.dataset.state = state;
  setText(element, word);
}

/** Makes `parent` have one child for each item, made by `make` and brought up to date by `update`. */
export function sync(parent, items, make, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, at) => update(parent.children[at], item, at));
}
