// ---- zone scene: a draft over the live image, changed by mouse, finger, pen and keyboard ----

const MOUSE_REACH = 10, TOUCH_REACH = 22;  // CSS pixels between the pointer and a point that it means.
const SNAP = 8;  // So near, a point takes the place of another shape's, or goes to the edge of the image.
const DRAG_START = 3, DOUBLE_TAP_MS = 500;
const ARROW_STEP = 0.005, ARROW_STEP_SHIFT = 0.05;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const MIN_CORNERS = 3;

const distance = ([x, y], [u, v]) => Math.hypot(x - u, y - v);
const between = ([x, y], [u, v]) => [(x + u) / 2, (y + v) / 2];

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class ZoneScene {
  // changed: called after each change of the draft, the selection or the tool.
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    this.start(null);
    element.onpointerdown = (event) => this.press(event);
    element.onmousedown = (event) => event.preventDefault();  // The focus is set by press().
    element.onpointermove = (event) => this.move(event);
    element.onpointerup = (event) => this.release(event);
    element.onpointercancel = () => this.cancelPointer();
    element.onpointerleave = () => this.hover(null);
    element.oncontextmenu = (event) => this.menu(event);
    element.onkeydown = (event) => this.key(event);
    element.addEventListener("focusin", ({ target }) => this.focused(target.closest(".point")));
    new ResizeObserver(() => this.draw()).observe($("image"));
  }

  start(draft) {
    Object.assign(this, { draft, tool: null, pending: [], cursor: null, pressed: false, drag: null, placedAt: 0 });
    this.draw();
  }

  // ---- coordinates ----

  // The image in its canvas, in CSS pixels: there are bars beside or above it where the ratio of the sides differs.
  area() {
    const { clientWidth, clientHeight, width, height } = $("image"), scale = Math.min(clientWidth / width, clientHeight / height);
    return { left: (clientWidth - width * scale) / 2, top: (clientHeight - height * scale) / 2, width: width * scale, height: height * scale };
  }

  toPixels([x, y]) { const { left, top, width, height } = this.area(); return [left + x * width, top + y * height]; }

  fromPixels([x, y]) {
    const { left, top, width, height } = this.area();
    return [limited((x - left) / width), limited((y - top) / height)];
  }

  pointer(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  // Place in the image for a position in pixels; free with the Alt key.
  place(pixels, event) {
    if (event.altKey) return this.fromPixels(pixels);
    const others = Object.values(this.draft.tables).flat().filter((shape) => this.tool || shape !== this.draft.shape);
    const near = others.flatMap((shape) => shape.points).map((point) => [distance(this.toPixels(point), pixels), point]);
    const [gap, nearest] = near.reduce((a, b) => (b[0] < a[0] ? b : a), [Infinity, null]);
    if (gap <= SNAP) return [...nearest];
    const { width, height } = this.area(), [x, y] = this.fromPixels(pixels);
    const toEdge = (value, size) => (value * size < SNAP ? 0 : (1 - value) * size < SNAP ? 1 : value);
    return [toEdge(x, width), toEdge(y, height)];
  }

  // ---- drawing a new shape ----

  choose(tool) {
    Object.assign(this, { tool: this.tool === tool ? null : tool, pending: [], cursor: null });
    this.draft.select(null);
    this.element.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
    this.changed();
  }

  stopDrawing() {
    Object.assign(this, { tool: null, pending: [], cursor: null, pressed: false });
    this.changed();
  }

  // Without a pointer: a shape in the middle, whose points are moved by the arrow keys.
  addInMiddle(kind) {
    this.stopDrawing();
    this.draft.add(kind, kind === "lines" ? [[0.3, 0.5], [0.7, 0.5]] : [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]]);
    this.changed();
    this.focusPoint(0);
  }

  put(pixels, reach, event) {
    const near = (point, limit) => distance(this.toPixels(point), pixels) <= limit, { pending } = this, now = performance.now();
    if (pending.length >= MIN_CORNERS && near(pending[0], reach)) return this.finish();
    if (pending.length && near(pending.at(-1), reach / 2)) {
      if (now - this.placedAt < DOUBLE_TAP_MS) this.finish();
      return this.draw();
    }
    this.placedAt = now;
    pending.push(this.place(pixels, event).map(rounded));
    if (this.tool === "lines" && pending.length === 2) return this.finish();
    this.changed();
  }

  get isComplete() { return this.pending.length >= (this.tool === "lines" ? 2 : MIN_CORNERS); }

  finish() {
    const { tool, pending } = this;
    if (!tool || !this.isComplete) return;
    this.draft.add(tool, pending);
    this.stopDrawing();
  }

  undo() {
    if (this.tool && this.pending.length) this.pending.pop();
    else if (this.tool) this.tool = null;
    else this.draft.undo();
    this.changed();
  }

  redo() {
    if (!this.tool) this.draft.redo();
    this.changed();
  }

  // ---- pointers ----

  press(event) {
    // A second finger means to enlarge the page.
    if (!event.isPrimary) return this.cancelPointer();
    if (event.button !== 0) return;
    const at = this.pointer(event), reach = event.pointerType === "mouse" ? MOUSE_REACH : TOUCH_REACH;
    this.element.setPointerCapture(event.pointerId);
    this.element.focus({ preventScroll: true });
    if (this.tool) {
      this.pressed = true;
      return this.hover(at);
    }
    const { draft } = this, mark = `drag ${event.timeStamp}`;
    const index = this.nearest(draft.shape ? draft.shape.points : [], at, reach);
    if (index >= 0) {
      draft.select(draft.kind, draft.index, index);
      this.drag = { mark, at, point: this.toPixels(draft.shape.points[index]), moved: false };
      this.changed();
      return this.focusPoint(index);
    }
    const middle = this.nearest(this.middles(), at, reach);
    if (middle >= 0) {
      draft.insertPoint(mark, middle + 1, this.middles()[middle]);
      this.drag = { mark, at, point: this.toPixels(draft.shape.points[middle + 1]), moved: false };
      this.changed();
      return this.focusPoint(middle + 1);
    }
    const target = event.target.closest(".shape");
    if (!target) draft.select(null);
    else {
      const { kind, index } = target.dataset;
      draft.select(kind, Number(index));
      this.drag = { mark, at, points: structuredClone(draft.shape.points), moved: false };
    }
    this.changed();
  }

  move(event) {
    if (!event.isPrimary) return;
    const at = this.pointer(event), { drag, draft } = this;
    if (this.tool) return this.hover(at);
    if (!drag || (!drag.moved && distance(at, drag.at) < DRAG_START)) return;
    drag.moved = true;
    const [dx, dy] = [at[0] - drag.at[0], at[1] - drag.at[1]];
    if (drag.point) draft.movePoint(drag.mark, draft.point, this.place([drag.point[0] + dx, drag.point[1] + dy], event));
    else draft.moveShape(drag.mark, drag.points, dx / this.area().width, dy / this.area().height);
    this.changed();
  }

  release(event) {
    if (!event.isPrimary) return;
    const { pressed } = this;
    this.drag = null;
    this.pressed = false;
    if (!this.tool || !pressed) return;
    this.put(this.pointer(event), event.pointerType === "mouse" ? MOUSE_REACH : TOUCH_REACH, event);
    if (event.pointerType !== "mouse") this.hover(null);
  }

  cancelPointer() {
    const { drag } = this;
    Object.assign(this, { drag: null, pressed: false, cursor: null });
    if (drag && drag.moved) this.draft.undo();
    this.changed();
  }

  hover(at) {
    if (!this.tool && !this.cursor) return;
    this.cursor = at;
    this.draw();
  }

  // The right button deletes a point; a long touch is no such button.
  menu(event) {
    event.preventDefault();
    if (event.pointerType !== "mouse" || this.tool || !this.draft.shape) return;
    const index = this.nearest(this.draft.shape.points, this.pointer(event), MOUSE_REACH);
    if (index < 0) return;
    this.draft.point = index;
    this.draft.removePoint();
    this.changed();
  }

  nearest(points, at, reach) {
    const gaps = points.map((point) => distance(this.toPixels(point), at)), least = Math.min(...gaps);
    return least <= reach ? gaps.indexOf(least) : -1;
  }

  // Middles of the edges of the polygon that is selected: a point can be drawn out of each.
  middles() {
    const { shape, kind } = this.draft;
    return shape && kind !== "lines" ? shape.points.map((point, i) => between(point, shape.points[(i + 1) % shape.points.length])) : [];
  }

  // ---- keyboard ----

  key(event) {
    const { draft } = this, { key } = event;
    if (this.tool) {
      if (key === "Enter") this.finish();
      else if (key === "Backspace") this.undo();
      else return;
    } else if (draft.shape && draft.point >= 0) {
      if (key in ARROWS) this.nudge(ARROWS[key], event.shiftKey ? ARROW_STEP_SHIFT : ARROW_STEP);
      else if (key === "Delete" || key === "Backspace") draft.removePoint();
      else if (key === "Insert" || key === "+") this.insertAfter();
      else return;
      this.changed();
      this.focusPoint(draft.point);
    } else return;
    event.preventDefault();
  }

  nudge([dx, dy], step) {
    const { draft } = this, { kind, index, point } = draft, [x, y] = draft.shape.points[point];
    draft.movePoint(`key ${kind} ${index} ${point}`, point, [x + dx * step, y + dy * step]);
  }

  insertAfter() {
    const { draft } = this, middles = this.middles();
    if (middles.length) draft.insertPoint("", draft.point + 1, middles[draft.point]);
  }

  focusPoint(index) {
    const element = this.element.querySelectorAll(".point")[index];
    if (element) element.focus({ preventScroll: true });
  }

  focused(element) {
    if (!element || this.draft.point === Number(element.dataset.point)) return;
    this.draft.select(this.draft.kind, this.draft.index, Number(element.dataset.point));
    this.changed();
  }

  // ---- drawing ----

  draw() {
    const { element, draft } = this;
    if (!draft) return element.replaceChildren();
    const hadFocus = document.activeElement && document.activeElement.closest("#zone-scene .point");
    element.classList.toggle("drawing", Boolean(this.tool));
    element.classList.toggle("held", Boolean(this.tool || draft.shape));  // A finger then does not scroll the page.
    const shapes = Object.keys(ZONE_KINDS).flatMap((kind) => draft.tables[kind].map((shape, index) => this.drawShape(kind, index, shape)));
    element.replaceChildren(...shapes, ...this.drawPoints(), ...this.drawPending());
    if (hadFocus) this.focusPoint(draft.point);
  }

  drawShape(kind, index, { name, points }) {
    const pixels = points.map((point) => this.toPixels(point)), path = pathOf(pixels, kind !== "lines");
    const selected = kind === this.draft.kind && index === this.draft.index ? " selected" : "";
    const parts = [svg("path", { class: "under", d: path })];
    if (kind === "lines") {
      const { width, height } = this.area();
      parts.push(svg("path", { class: "wide", d: path }), svg("path", { class: "outline open", d: path + pathOf(arrow(pixels, ARROW * Math.min(width, height)), false) }));
    } else parts.push(svg("path", { class: "outline", d: path }));
    const [x, y] = pixels.reduce((a, b) => (b[1] < a[1] ? b : a)), isRight = x > $("image").clientWidth / 2;
    const text = svg("text", { x: isRight ? x - 6 : x + 6, y: Math.max(15, y - 8), "text-anchor": isRight ? "end" : "start" }, name);
    return svg("g", { class: `shape ${kind}${selected}`, "data-kind": kind, "data-index": index }, ...parts, text);
  }

  drawPoints() {
    const { draft } = this;
    if (!draft.shape || this.tool) return [];
    const middles = this.middles().map((point) => this.circle("between", point, 4));
    const points = draft.shape.points.map((point, i) => {
      const label = `Point ${i + 1} of ${draft.shape.name}: ${(100 * point[0]).toFixed(1)} % from the left, ${(100 * point[1]).toFixed(1)} % from the top`;
      const chosen = i === draft.point ? " chosen" : "";
      return svg("g", { class: `point${chosen}`, tabindex: 0, role: "button", "aria-label": label, "data-point": i }, this.circle("dot", point, 7));
    });
    return [...middles, ...points];
  }

  drawPending() {
    if (!this.tool) return [];
    const { pending, cursor, tool } = this, pixels = pending.map((point) => this.toPixels(point));
    const path = pathOf(cursor ? [...pixels, cursor] : pixels, false);
    const parts = [svg("path", { class: "under", d: path }), svg("path", { class: "outline", d: path })];
    const dots = pending.map((point, i) => this.circle(i ? "dot" : "dot first", point, i ? 5 : 8));
    return [svg("g", { class: `shape pending ${tool}` }, ...parts, ...dots)];
  }

  circle(className, point, r) {
    const [cx, cy] = this.toPixels(point);
    return svg("circle", { class: className, cx, cy, r });
  }
}

const pathOf = (pixels, closed) => pixels.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") + (closed ? "Z" : "");
