// ---- zone draft: zones, lines and masks that are not saved yet, what is selected of them, and steps to undo ----

const ZONE_KINDS = { zones: "zone", lines: "line", masks: "mask" };
const MAX_STEPS = 200;
const limited = (value) => Math.min(1, Math.max(0, value));
const rounded = (value) => Math.round(value * 1e4) / 1e4;
// The same text for the same tables, whatever the order of their keys.
const zonesKey = (tables) => JSON.stringify(Object.keys(ZONE_KINDS).map((kind) => tables[kind].map((shape) => Object.entries(shape).sort())));

class ZoneDraft {
  constructor({ zones, lines, masks }) {
    this.tables = structuredClone({ zones, lines, masks });
    this.saved = zonesKey(this.tables);
    this.done = [];
    this.undone = [];
    this.mark = "";
    this.select(null);
  }

  get isChanged() { return zonesKey(this.tables) !== this.saved; }
  get shape() { return this.kind && this.tables[this.kind][this.index] || null; }

  select(kind, index = -1, point = -1) { Object.assign(this, { kind, index, point, mark: "" }); }

  // Changes with the same mark, one after another, are one step.
  change(mark, apply) {
    if (!mark || mark !== this.mark) this.done = [...this.done, this.state()].slice(-MAX_STEPS);
    this.undone = [];
    apply();
    this.mark = mark;
  }

  state() { return JSON.stringify([this.tables, this.kind, this.index, this.point]); }
  undo() { this.step(this.done, this.undone); }
  redo() { this.step(this.undone, this.done); }

  step(from, to) {
    if (!from.length) return;
    to.push(this.state());
    [this.tables, this.kind, this.index, this.point] = JSON.parse(from.pop());
    this.mark = "";
  }

  add(kind, points) {
    this.change("", () => {
      const names = this.tables[kind].map(({ name }) => name);
      let number = 1;
      while (names.includes(`${ZONE_KINDS[kind]} ${number}`)) number++;
      this.tables[kind].push({ name: `${ZONE_KINDS[kind]} ${number}`, points });
      this.select(kind, names.length);
    });
  }

  remove() {
    this.change("", () => {
      this.tables[this.kind].splice(this.index, 1);
      this.select(null);
    });
  }

  // A value that is undefined removes the key: the default is used.
  set(key, value) {
    this.change(`${key} ${this.kind} ${this.index}`, () => {
      if (value === undefined) delete this.shape[key];
      else this.shape[key] = value;
    });
  }

  movePoint(mark, index, [x, y]) {
    this.change(mark, () => {
      this.shape.points[index] = [rounded(limited(x)), rounded(limited(y))];
      this.point = index;
    });
  }

  insertPoint(mark, index, point) {
    this.change(mark, () => {
      this.shape.points.splice(index, 0, point.map(rounded));
      this.point = index;
    });
  }

  get mayRemovePoint() { return this.point >= 0 && this.kind !== "lines" && this.shape.points.length > 3; }

  removePoint() {
    if (!this.mayRemovePoint) return;
    this.change("", () => {
      this.shape.points.splice(this.point, 1);
      this.point = Math.min(this.point, this.shape.points.length - 1);
    });
  }

  // Move the shape from where its points were at first, as far as it stays in the image.
  moveShape(mark, points, dx, dy) {
    const kept = (d, axis) => {
      const values = points.map((point) => point[axis]);
      return Math.min(1 - Math.max(...values), Math.max(-Math.min(...values), d));
    };
    const [x, y] = [kept(dx, 0), kept(dy, 1)];
    this.change(mark, () => { this.shape.points = points.map((point) => [rounded(point[0] + x), rounded(point[1] + y)]); });
  }
}
