// ---- a long list is one stop of the Tab key; arrow keys, Home and End move in it ----

class OneStop {
  // selector: of what takes the focus, one in each item of the list; it is made with tabIndex -1.
  constructor(list, selector) {
    Object.assign(this, { list, selector, stop: null });
    list.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("focusin", ({ target }) => target.matches(selector) && this.set(target));
  }

  get items() { return [...this.list.querySelectorAll(this.selector)].filter((item) => !item.closest("li").hidden); }

  // After a change of the list: the stop is what it was, or else the first item.
  update() {
    const { items, stop } = this;
    if (items.includes(stop) && stop.tabIndex === 0) return;
    this.set(items[0] || null);
    if (items.length && document.activeElement === stop) items[0].focus();
  }

  set(item) {
    if (this.stop && this.stop !== item) this.stop.tabIndex = -1;
    this.stop = item;
    if (item) item.tabIndex = 0;
  }

  key(event) {
    const { items } = this, place = items.indexOf(document.activeElement), next = place + 1, previous = Math.max(0, place - 1);
    const target = { ArrowDown: next, ArrowRight: next, ArrowUp: previous, ArrowLeft: previous, Home: 0, End: items.length - 1 }[event.key];
    if (place < 0 || target === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (items[target]) items[target].focus();
  }
}
