const $ = (id) => document.getElementById(id);

function set(element, text) { if (element.textContent !== text) element.textContent = text; }

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
