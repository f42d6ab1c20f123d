const $ = (id) => document.getElementById(id);

function set(element, text) { if (element.textContent !== text) element.textContent = text; }

// After a login has ended: the server sends the browser to its login page, which leads back here.
const signInAgain = () => location.reload();

// A reason may begin with an address, which is written as it is.
const capitalized = (text) => /^\w+:\/\//.test(text) ? text : text && text[0].toUpperCase() + text.slice(1);

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
