// ---- events ----

const MAX_EVENTS = 200, SPEAK_MS = 2000;
const PERIODS = { all: Infinity, minutes: 600e3, hour: 3600e3, day: 86400e3 };
let events = [], held = [], unspoken = [], speakTimer = 0;

// Newest first; items are {event, element}.
function showRecent(recent) {
  $("events").hidden = recent === null;
  $("recent").replaceChildren();
  events = [];
  held = [];
  for (const event of recent || []) addEvent(event);
  filterEvents();
}

function showEvent(event) {
  if (paused) return held.push(event);
  if (!addEvent(event)) return;
  filterEvents();
  unspoken.push(event);
  speakTimer = speakTimer || setTimeout(speakEvents, SPEAK_MS);
}

function showHeldEvents() {
  for (const event of held) addEvent(event);
  held = [];
  filterEvents();
}

const eventKey = (event) => event.id || [event.object_id, event.kind, event.time].join(" ");

// Return whether it is new: after a reconnect some events are received twice.
function addEvent(event) {
  if (events.some((other) => eventKey(other.event) === eventKey(event))) return false;
  const element = eventElement(event);
  events.unshift({ event, element });
  $("recent").prepend(element);
  for (const { element } of events.splice(MAX_EVENTS)) element.remove();
  return true;
}

function eventElement(event) {
  const link = make("a", { href: `events#${encodeURIComponent(event.id)}`, textContent: describeEvent(event) });
  const text = make("div", {}, link, make("time", { dateTime: event.time, textContent: eventTime(event) }));
  const url = event.urls && event.urls.thumbnail;
  return make("li", { className: event.kind }, make("i"), ...(url ? [thumbnail(url)] : []), text);
}

function filterEvents() {
  const chosen = $("event-class").value, since = Date.now() - PERIODS[$("event-period").value];
  const labels = [...new Set(events.map(({ event }) => event.label))].sort();
  if ($("event-class").dataset.labels !== labels.join("\n")) {
    $("event-class").dataset.labels = labels.join("\n");
    $("event-class").replaceChildren(make("option", { value: "", textContent: "all classes" }),
      ...labels.map((label) => make("option", { value: label, textContent: label })));
    $("event-class").value = labels.includes(chosen) ? chosen : "";
  }
  let number = 0;
  for (const { event, element } of events) {
    element.hidden = !((!$("event-class").value || event.label === $("event-class").value) && new Date(event.time) >= since);
    number += !element.hidden;
  }
  $("quiet").hidden = number > 0;
  set($("quiet"), events.length ? "None of these." : "Nothing yet.");
  set($("event-count"), events.length ? (number < events.length ? `${number} of ${events.length}` : String(number)) : "");
}

// Screen readers announce the newest event; not each of many.
function speakEvents() {
  speakTimer = 0;
  const more = unspoken.length > 1 ? `, and ${unspoken.length - 1} more` : "";
  if (unspoken.length && !paused) $("spoken").textContent = describeEvent(unspoken.at(-1)) + more;
  unspoken = [];
}

$("event-class").onchange = $("event-period").onchange = filterEvents;
setInterval(filterEvents, 30e3);
