// Elements without markup: whatever comes from the server only ever becomes text or an attribute.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; properties that begin with `on` are listeners, all others attributes. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element, as `h`. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Sets a text only where it differs: an untouched node costs no layout and keeps a selection. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Sets an attribute only where it differs. */
export function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

let lastId = 0;

/** A fresh id, to tie a label to what it labels. */
export function freshId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}
