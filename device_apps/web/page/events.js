// ---- events ----

const MAX_EVENTS = 200;
const PERIODS = { all: Infinity, minutes: 600e3, hour: 3600e3, day: 86400e3 };
const recentStop = new OneStop($("recent"), "a");
let events = [], held = [];

// Newest first; items are {event, element}.
function showRecent(recent) {
  const active = document.activeElement, focused = $("recent").contains(active) && active.getAttribute("href");
  $("events").hidden = recent === null;
  $("recent").replaceChildren();
  events = [];
  held = [];
  for (const event of recent || []) addEvent(event);
  filterEvents();
  const links = recentStop.items, link = links.find((link) => link.getAttribute("href") === focused) || links[0];
  if (focused && link) link.focus({ preventScroll: true });
}

function showEvent(event) {
  if (paused) return held.push(event);
  if (!addEvent(event)) return;
  filterEvents();
  announceEvents([event]);
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
  const link = make("a", { tabIndex: -1, href: `events#${encodeURIComponent(event.id)}`, textContent: describeEvent(event) });
  const text = make("div", {}, link, make("time", { dateTime: event.time, textContent: eventTime(event) }));
  const url = event.urls && event.urls.thumbnail;
  return make("li", { className: event.kind }, make("i"), ...(url ? [thumbnail(url)] : []), text);
}

function filterEvents() {
  const chosen = $("event-class").value, since = Date.now() - PERIODS[$("event-period").value];
  const labels = [...new Set([...settings ? settings.labels : [], ...events.map(({ event }) => event.label)])].sort();
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
  recentStop.update();
  $("quiet").hidden = number > 0;
  set($("quiet"), events.length ? "None of these." : "Nothing yet.");
  set($("event-count"), events.length ? (number < events.length ? `${number} of ${events.length}` : String(number)) : "");
}

$("event-class").onchange = $("event-period").onchange = filterEvents;
setInterval(filterEvents, 30e3);
