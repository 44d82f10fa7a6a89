/** Making elements. Text only ever becomes text nodes, so nothing needs escaping. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element.
 * @param {string} tag name, with classes after dots: "p.note.small"
 * @param {object} [props] attributes; `onclick` and the like are listeners, true and false
 *   set and leave out an attribute, null and undefined leave it out
 * @param {...(Node|string|number|null|Array)} children
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  return fill(element, props, children);
}

/** Make an SVG element; see h(). */
export function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

/** An icon of index.html's sprite, without meaning of its own. */
export function icon(name) {
  return svg("svg", { "aria-hidden": "true", class: "icon" }, svg("use", { href: `#i-${name}` }));
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Set an element's text only if it is another: no needless work for screen readers. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button. */
export function button(label, onclick, props = {}) {
  return h("button", { type: "button", ...props, onclick }, label);
}
