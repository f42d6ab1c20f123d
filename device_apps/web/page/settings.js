// ---- settings: what this tab shows, and the detector's, which all viewers share ----

const ANSWER_MS = 3000;
let settings = null, sending = false;

const percent = (score) => Math.round(100 * score);

function showSettings(received) {
  const before = settings;
  settings = received;
  const slider = $("show-score");
  slider.min = percent(received.score_threshold);
  slider.disabled = false;
  if (filter.score <= Number(slider.min)) filter.score = 0;
  slider.value = filter.score || slider.min;
  showFilter();
  checkBoxes($("show-classes"), received.labels, (label) => !filter.hidden.has(label));
  $("classes-shown").hidden = received.labels.length < 2;
  const perClass = new Set(Object.values(received.score_thresholds)).size > 1;
  const classes = received.classes.length < received.labels.length ? `; ${received.classes.join(", ")} only` : "";
  set($("detector-now"), `${perClass ? "from " : ""}${percent(received.score_threshold)} %${classes}`);
  const input = $("threshold");
  input.min = percent(received.score_threshold_min);
  set($("threshold-hint"), `From ${input.min} to 100 %. The model's own is ${percent(received.score_threshold_default)} %.`);
  $("classes-detected").hidden = received.labels.length < 2;
  filterEvents();
  // Another viewer's change does not erase what is being typed here.
  if (!$("detector").contains(document.activeElement) || JSON.stringify(before) !== JSON.stringify(received)) fillForm();
}

function fillForm() {
  if (!settings) return;
  $("threshold").value = percent(settings.score_threshold);
  checkBoxes($("classes"), settings.labels, (label) => settings.classes.includes(label));
}

function checkBoxes(parent, labels, isChecked) {
  const items = labels.map((label) => [label]);
  const box = ([label]) => make("label", {}, make("input", { type: "checkbox", value: label }), label);
  for (const [element, [label]] of update(parent, items, box)) element.firstChild.checked = isChecked(label);
}

// ---- shown in this tab ----

function showFilter() {
  const value = Number($("show-score").value), all = value <= Number($("show-score").min);
  set($("shown"), all ? `all, from ${value} %` : `from ${value} %`);
  $("show-score").setAttribute("aria-valuetext", $("shown").textContent);
  drawFrame();
}

$("show-score").oninput = () => {
  filter.score = Number($("show-score").value);
  showFilter();
};
$("show-classes").onchange = ({ target }) => {
  target.checked ? filter.hidden.delete(target.value) : filter.hidden.add(target.value);
  drawFrame();
};

// ---- of the detector ----

function changeInForm() {
  const threshold = Number($("threshold").value) / 100, change = {}, texts = [];
  const classes = [...$("classes").querySelectorAll(":checked")].map((box) => box.value);
  if (percent(threshold) !== percent(settings.score_threshold)) {
    change.score_threshold = threshold;
    texts.push(`the score threshold from ${percent(settings.score_threshold)} % to ${percent(threshold)} %`);
  }
  if (classes.join("\n") !== settings.classes.join("\n")) {
    change.classes = classes.length === settings.labels.length ? null : classes;
    texts.push(`the classes to ${classes.join(", ") || "none"}`);
  }
  return [change, texts.join(" and ")];
}

$("detector-form").onsubmit = (event) => {
  event.preventDefault();
  if (!settings) return;
  const [change, text] = changeInForm();
  if (!text) return showAnswer("Nothing is changed.");
  if (change.classes && !change.classes.length) return showAnswer("At least one class is needed.", true);
  confirmChange(`Change ${text}?`, change);
};
$("reset").onclick = () => {
  if (!settings) return;
  const own = percent(settings.score_threshold_default);
  confirmChange(`Return to the model's own: ${own} %${settings.labels.length > 1 ? " and all classes" : ""}?`, { score_threshold: null, classes: null });
};

function confirmChange(question, change) {
  $("question").textContent = question;
  $("confirm").onclose = () => $("confirm").returnValue === "yes" ? send(change) : fillForm();
  $("confirm").returnValue = "";
  $("confirm").showModal();
}

// Send a change, and show the true values again if there is no answer: then it may or may not have arrived.
async function send(change) {
  showAnswer("Sending …");
  const abort = new AbortController(), timer = setTimeout(() => abort.abort(), ANSWER_MS);
  try {
    const response = await fetch("api/settings", { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify(change), signal: abort.signal });
    const received = await response.json();
    if (!response.ok) throw new Error(received.error);
    showSettings(received);
    showAnswer(`In effect since ${new Date().toLocaleTimeString()}.`);
  } catch (error) {
    const lost = abort.signal.aborted || error instanceof TypeError || error instanceof SyntaxError;
    showAnswer(lost ? "The change did not arrive: the camera does not answer. The last known value is shown." : error.message, true);
    refresh();
  } finally {
    clearTimeout(timer);
    fillForm();
  }
}

async function refresh() {
  try {
    const response = await fetch("api/settings", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.ok) showSettings(await response.json());
  } catch { /* The next connection brings them. */ }
}

function showAnswer(text, bad = false) {
  $("answer").className = bad ? "bad" : "";
  $("answer").textContent = text;
}
