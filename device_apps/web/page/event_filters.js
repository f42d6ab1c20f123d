// ---- filters; they are in the address too, so that a page can be kept as a bookmark ----

const CHOICES = ["label", "zone", "camera", "period", "from", "to"];
const PERIODS = { hour: 3600e3, day: 86400e3, week: 7 * 86400e3 };

function filterQuery() {
  const query = new URLSearchParams(), period = $("period").value;
  for (const name of ["label", "zone", "camera"]) if ($(name).value) query.set(name, $(name).value);
  if (period in PERIODS) query.set("since", new Date(Date.now() - PERIODS[period]).toISOString());
  if (period !== "range") return query;
  // Without a time zone, as they are entered, they are of this device; the end includes its minute.
  const from = new Date($("from").value), to = new Date($("to").value);
  if (!isNaN(from)) query.set("since", from.toISOString());
  if (!isNaN(to)) query.set("until", new Date(to.getTime() + 60e3).toISOString());
  return query;
}

const isFiltered = () => CHOICES.some((name) => $(name).value && name !== "from" && name !== "to");

function takeFilter() {
  const query = new URLSearchParams(location.search);
  for (const name of CHOICES) {
    const value = query.get(name) || "";
    if (["label", "zone", "camera"].includes(name)) showChoices($(name), value ? [value] : []);
    $(name).value = value;
    if ($(name).tagName === "SELECT" && $(name).selectedIndex < 0) $(name).value = "";
  }
  $("range").hidden = $("period").value !== "range";
}

function keepFilter() {
  const query = new URLSearchParams(CHOICES.filter((name) => $(name).value).map((name) => [name, $(name).value]));
  $("range").hidden = $("period").value !== "range";
  if ($("range").hidden) ["from", "to"].forEach((name) => query.delete(name));
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

// Show the classes of the model and the names that events have; a chosen one stays, although no event has it any more.
function showNames({ labels, zones, cameras, saves }) {
  showChoices($("label"), labels);
  showChoices($("zone"), zones);
  showChoices($("camera"), cameras);
  $("zone").parentElement.hidden = $("zone").options.length < 2;
  $("camera").parentElement.hidden = $("camera").options.length < 3 && !$("camera").value;
  $("list").classList.toggle("no-images", !saves.snapshots);
  takesVerdicts = saves.verdicts;
  const missing = [!saves.snapshots && "images of events: --event-snapshots DIR", !saves.clips && "clips: --event-clips DIR",
    !saves.verdicts && "right or wrong, for a better detector: --event-snapshots DIR --collect DIR"].filter(Boolean).join("; ");
  set($("saved"), missing && `Not switched on: ${missing}`);
}

function showChoices(select, names) {
  const chosen = select.value, all = [...new Set([...names, ...(chosen ? [chosen] : [])])].sort();
  if (select.dataset.names === JSON.stringify(all)) return;
  select.dataset.names = JSON.stringify(all);
  select.replaceChildren(select.options[0], ...all.map((name) => make("option", { value: name, textContent: name })));
  select.value = chosen;
}
