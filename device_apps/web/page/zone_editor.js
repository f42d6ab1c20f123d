// ---- zone editor: the buttons and fields below the image, and saving ----

const SAVE_MS = 15000;  // A slow card may take seconds.
const ZONE_NUMBERS = [  // Key, label, and how many of the shown unit make 1.
  ["enter_after", "Counts after, seconds", 1, 0], ["min_area", "Smallest box, % of the image", 100, 0],
  ["max_area", "Largest box, % of the image", 100, 1], ["margin", "Margin, % of the size of a box", 100, 0.1]];
const NO_FILE = "To draw zones here, start edge-ssd with --config camera.toml or --zones-file zones.toml, which keeps them.";

class ZoneEditor {
  constructor() {
    this.on = false;
    this.draft = this.base = null;
    this.isSaving = false;
    this.last = {};  // Kind, index and name of the shape that was last selected.
    this.scene = new ZoneScene($("zone-scene"), () => this.show());
  }

  // ---- begin and end ----

  begin() {
    if (!zones.file) return set($("zone-note"), NO_FILE);
    if (document.fullscreenElement) document.exitFullscreen();
    this.on = true;
    this.load(zones);
    set($("zone-note"), "");
    this.reveal();
    document.querySelector("#zone-editor .tool").focus({ preventScroll: true });
  }

  end(note) {
    this.on = false;
    this.scene.start(null);
    set($("zone-note"), note);
    this.reveal();
    $("edit-zones").focus({ preventScroll: true });
  }

  reveal() {
    $("zone-editor").hidden = !this.on;
    $("zone-scene").toggleAttribute("hidden", !this.on);
    $("full").hidden = this.on || !document.fullscreenEnabled;
    $("edit-zones").setAttribute("aria-expanded", String(this.on));
    set($("edit-zones"), this.on ? "Leave the editor" : "Edit zones");
    drawFrame();
  }

  load(received) { this.keepFocus(() => this.showAnew(received)); }

  showAnew(received) {
    this.base = received;
    this.draft = new ZoneDraft(received);
    this.scene.start(this.draft);
    $("zone-left-out").hidden = !received.problems.length;
    set($("zone-left-out"), `Not in use: ${received.problems.join("; ")}. Saving makes a comment of it in the file.`);
    this.showConflict(false);
    this.problem("");
    this.show();
  }

  get isChanged() { return this.on && (this.draft.isChanged || this.scene.pending.length > 0); }

  cancel() {
    if (!this.isChanged || confirm("Discard the changes of the zones?")) this.end("");
  }

  // The zones were saved, here or by another viewer, or the program was started again.
  receive(received) {
    if (!this.on || received.revision === this.base.revision) return;
    if (zonesKey(received) === zonesKey(this.draft.tables) || !this.isChanged) this.load(received);
    else this.showConflict(true);
  }

  showConflict(shown) {
    $("zone-conflict").hidden = !shown;
    this.showSave();
  }

  // Not disabled, which would lose the focus, and could not say why.
  showSave() { $("zone-save").setAttribute("aria-disabled", String(this.isSaving || !$("zone-conflict").hidden)); }

  // ---- save ----

  async save() {
    if (this.isSaving || !$("zone-conflict").hidden) return;
    if (this.scene.pending.length && !this.scene.isComplete) return this.problem("What is being drawn is not finished. Escape or Undo removes it.");
    this.scene.finish();
    if (this.scene.tool) this.scene.stopDrawing();
    this.problem("");
    this.isSaving = true;
    this.showSave();
    set($("zone-hint"), "Saving …");
    const headers = { "Content-Type": "application/json", "If-Match": `"${this.base.revision}"` };
    try {
      const response = await fetch("api/zones", { method: "PUT", headers, body: JSON.stringify(this.draft.tables), signal: AbortSignal.timeout(SAVE_MS) });
      if (response.status === 401) throw new Error("The login has ended. Sign in again in another tab, then save here.");
      const received = await response.json();
      if (response.status === 412) return await this.refresh();
      if (!response.ok) throw new Error(received.error);
      this.base = received;
      showZones(received);
      this.end(`Saved in ${received.file}; in use since ${new Date().toLocaleTimeString()}.`);
    } catch (error) {
      const lost = error instanceof TypeError || error instanceof SyntaxError || error instanceof DOMException;
      this.problem(lost ? "The camera does not answer. The drawing is kept here: save again when it does." : error.message);
    } finally {
      this.isSaving = false;
      this.showSave();
      if (this.on) this.showHint();
    }
  }

  async refresh() {
    const response = await fetch("api/zones", { cache: "no-store", signal: AbortSignal.timeout(SAVE_MS) });
    showZones(await response.json());
  }

  problem(text) {
    set($("zone-problem"), text);
    this.problemOf = this.state();
  }

  // What a problem is about: with the next change it may be gone.
  state() { return zonesKey(this.draft.tables) + (this.scene.tool ? this.scene.pending.length : ""); }

  // ---- focus ----

  // Apply a change; if what has the focus goes with it, give the focus to what is nearest in meaning.
  keepFocus(apply) {
    const focused = document.activeElement, isOurs = focused?.closest("#zone-editor, #zone-scene");
    apply();
    const now = document.activeElement;
    if (isOurs && (now === document.body || now.disabled || !now.checkVisibility())) this.focusNear(focused);
  }

  focusNear(lost) {
    const others = { "zone-undo": "zone-redo", "zone-redo": "zone-undo", "zone-take-theirs": "zone-save", "zone-keep-mine": "zone-save" };
    const other = $(others[lost.id]), { kind, index, name } = this.last, shape = kind && this.draft.tables[kind][index];
    const place = shape && shape.name === name ? Object.keys(ZONE_KINDS).flatMap((key) => this.draft.tables[key]).indexOf(shape) : -1;
    const item = $("zone-list").children[place];
    if (other && !other.disabled) other.focus();
    else if (item) item.firstChild.focus();
    else document.querySelector(`#zone-editor [data-kind=${kind || "zones"}]`).focus();
  }

  // ---- show ----

  show() {
    if (this.on) this.keepFocus(() => this.showParts());
  }

  showParts() {
    const { shape, kind, index } = this.draft;
    if (shape) this.last = { kind, index, name: shape.name };
    if (this.problemOf !== this.state()) this.problem("");
    this.scene.draw();
    drawFrame();
    this.showTools();
    this.showHint();
    this.showList();
    this.showForm();
  }

  showTools() {
    const { scene, draft } = this;
    for (const button of document.querySelectorAll("#zone-editor [data-kind]")) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === scene.tool));
    }
    $("zone-undo").disabled = !scene.tool && !draft.done.length;
    $("zone-redo").disabled = Boolean(scene.tool) || !draft.undone.length;
  }

  showHint() {
    const { tool, pending } = this.scene, { shape, kind } = this.draft;
    let text = "Choose Zone, Line or Mask to draw one, or select one in the image.";
    if (tool === "lines") text = pending.length ? "Now its other end. The arrow will point to “in”." : "Click or tap one end of the line.";
    else if (tool && pending.length < MIN_CORNERS) text = "Click or tap each corner; Backspace removes the last one.";
    else if (tool) text = "To finish, click the first corner again, or double-click, or press Enter.";
    else if (shape && kind === "lines") text = "Drag its ends. Arrow keys move the one that is chosen, with Shift farther. An end cannot be deleted, only the line.";
    else if (shape) {
      const least = shape.points.length > MIN_CORNERS ? "Delete removes it" : `it cannot be deleted, as a ${ZONE_KINDS[kind]} has at least ${MIN_CORNERS} points`;
      text = `Drag its points, or a small one to add one. Arrow keys move the one that is chosen, with Shift farther; + adds one after it; ${least}.`;
    }
    set($("zone-hint"), text);
  }

  showList() {
    const { tables, kind, index } = this.draft;
    const items = Object.keys(ZONE_KINDS).flatMap((key) => tables[key].map((shape, i) => [`${key} ${i}`, key, i, shape]));
    const item = () => make("li", {}, make("button", { type: "button" }));
    for (const [element, [, key, i, shape]] of update($("zone-list"), items, item)) {
      const button = element.firstChild;
      button.className = `tool ${key}`;
      button.setAttribute("aria-pressed", String(key === kind && i === index));
      set(button, shape.name || "(no name)");
      const word = ZONE_KINDS[key];
      button.setAttribute("aria-label", shape.name.toLowerCase().startsWith(word) ? shape.name : `${word} ${shape.name}`);
      button.onclick = () => { this.scene.stopDrawing(); this.draft.select(key, i); this.show(); };
    }
  }

  showForm() {
    const { shape, kind } = this.draft;
    $("zone-form").hidden = !shape || Boolean(this.scene.tool);
    if (!shape) return;
    if ($("zone-name").value !== shape.name) $("zone-name").value = shape.name;
    $("zone-counting").hidden = kind === "masks";
    $("zone-swap").hidden = kind !== "lines";
    $("zone-remove-point").hidden = kind === "lines";
    $("zone-remove-point").disabled = !this.draft.mayRemovePoint;
    this.showPlace(shape.points[this.draft.point]);
    set($("zone-remove"), `Delete ${ZONE_KINDS[kind]}`);
    checkBoxes($("zone-classes"), this.base.labels, (label) => !shape.classes || shape.classes.includes(label));
    for (const radio of document.querySelectorAll("#zone-form [name=zone-anchor]")) radio.checked = radio.value === (shape.anchor || "foot");
    const numbers = ZONE_NUMBERS.filter(([key]) => kind === "zones" || key !== "enter_after");
    const field = ([key, label]) => make("div", { className: "row" }, make("label", { htmlFor: `zone-${key}`, textContent: label }),
      make("input", { id: `zone-${key}`, type: "number", min: 0, step: "any", inputMode: "decimal" }));
    for (const [element, [key, , factor, standard]] of update($("zone-numbers"), numbers, field)) {
      const input = element.lastChild, value = factor * (shape[key] ?? standard);
      if (document.activeElement !== input) input.value = Number(value.toPrecision(6));
      input.oninput = () => this.set(key, input.value === "" ? undefined : Number((Number(input.value) / factor).toPrecision(6)));
    }
  }

  showPlace(point) {
    $("zone-place").hidden = !point;
    if (!point) return;
    set($("zone-place-title"), `Point ${this.draft.point + 1}`);
    [$("zone-x"), $("zone-y")].forEach((input, axis) => {
      if (document.activeElement !== input) input.value = Number((100 * point[axis]).toFixed(2));
    });
  }

  // ---- fields ----

  setPlace() {
    const { draft } = this, [x, y] = [$("zone-x"), $("zone-y")];
    if (x.value === "" || y.value === "") return;
    draft.movePoint(`place ${draft.kind} ${draft.index} ${draft.point}`, draft.point, [x.value / 100, y.value / 100]);
    this.show();
  }

  keepMine() {
    this.base = zones;
    this.keepFocus(() => this.showConflict(false));
  }

  set(key, value) {
    this.draft.set(key, value);
    this.show();
  }

  setClasses() {
    const chosen = [...$("zone-classes").querySelectorAll(":checked")].map((box) => box.value);
    this.set("classes", chosen.length === this.base.labels.length ? undefined : chosen);
  }

  do(action) {
    action.call(this.draft);
    this.show();
  }

  key(event) {
    if (!this.on || event.defaultPrevented) return;
    const typing = event.target.matches("input[type=text], input[type=number]"), control = event.ctrlKey || event.metaKey;
    if (event.key === "Escape") {
      if (this.scene.tool) this.scene.stopDrawing();
      else this.do(() => this.draft.select(null));
    } else if (control && !typing && event.key.toLowerCase() === "z") event.shiftKey ? this.scene.redo() : this.scene.undo();
    else if (control && !typing && event.key.toLowerCase() === "y") this.scene.redo();
    else return;
    event.preventDefault();
  }
}

const zoneEditor = new ZoneEditor();
$("edit-zones").onclick = () => zoneEditor.on ? zoneEditor.cancel() : zoneEditor.begin();
for (const button of document.querySelectorAll("#zone-editor [data-kind]")) {
  // A click without a pointer, by keyboard, has detail 0.
  button.onclick = ({ detail }) => detail ? zoneEditor.scene.choose(button.dataset.kind) : zoneEditor.scene.addInMiddle(button.dataset.kind);
}
$("zone-undo").onclick = () => zoneEditor.scene.undo();
$("zone-redo").onclick = () => zoneEditor.scene.redo();
$("zone-name").oninput = () => zoneEditor.set("name", $("zone-name").value);
$("zone-classes").onchange = () => zoneEditor.setClasses();
for (const radio of document.querySelectorAll("#zone-form [name=zone-anchor]")) {
  radio.onchange = () => zoneEditor.set("anchor", radio.value === "foot" ? undefined : radio.value);
}
$("zone-x").oninput = $("zone-y").oninput = () => zoneEditor.setPlace();
$("zone-swap").onclick = () => zoneEditor.set("points", [...zoneEditor.draft.shape.points].reverse());
$("zone-remove-point").onclick = () => zoneEditor.do(zoneEditor.draft.removePoint);
$("zone-remove").onclick = () => zoneEditor.do(zoneEditor.draft.remove);
$("zone-form").onsubmit = (event) => event.preventDefault();
$("zone-take-theirs").onclick = () => zoneEditor.load(zones);
$("zone-keep-mine").onclick = () => zoneEditor.keepMine();
$("zone-save").onclick = () => zoneEditor.save();
$("zone-cancel").onclick = () => zoneEditor.cancel();
document.addEventListener("keydown", (event) => zoneEditor.key(event));
addEventListener("beforeunload", (event) => { if (zoneEditor.isChanged) event.preventDefault(); });
