// ---- list of events, newest first ----

let events = [];  // Items are {event, element}.
let hasMore = false, isLoaded = false;
const listStop = new OneStop($("list"), ".event");

const itemOf = (id) => events.find((item) => item.event.id === id);

function forgetList() {
  events = [];
  hasMore = isLoaded = false;
}

// Show the newest events before those that are known; return those that are new, newest first.
function addNewest({ events: received, more }) {
  const added = received.filter((event) => !itemOf(event.id));
  // More have come than an answer holds, as after a night: what lies between is loaded with the older ones.
  if (!isLoaded || (added.length === received.length && more)) {
    events = [];
    hasMore = more;
  }
  isLoaded = true;
  updateItems(received);
  events = [...added.map(newItem), ...events];
  showList();
  return added;
}

// Null if the list was replaced in the meantime, and does not end with `before`.
function addOlder({ events: received, more }, before) {
  if (!events.length || events.at(-1).event.id !== before) return null;
  const added = received.filter((event) => !itemOf(event.id));
  hasMore = more;
  events = [...events, ...added.map(newItem)];
  showList();
  return added;
}

function updateItems(received) {
  for (const event of received) {
    const item = itemOf(event.id);
    if (item) fillItem(item, event);
  }
}

function newItem(event) {
  const button = make("button", { type: "button", className: "event", tabIndex: -1 });
  button.setAttribute("aria-haspopup", "dialog");
  button.onclick = () => openEvent(event.id);
  const item = { event: null, element: make("li", {}, button) };
  fillItem(item, event);
  return item;
}

// Elements are kept, so that what has the focus keeps it.
function fillItem(item, event) {
  if (JSON.stringify(item.event) === JSON.stringify(event)) return;
  const button = item.element.firstChild, url = imageUrl(event, "thumbnail");
  const image = item.event && imageUrl(item.event, "thumbnail") === url ? button.querySelector(".image")
    : make("span", { className: "image" }, ...(url ? [thumbnail(url)] : []));
  item.event = event;
  button.replaceChildren(image, make("span", { className: "text" }, make("strong", { textContent: describeEvent(event) }),
    make("time", { dateTime: event.time, textContent: eventTime(event) }),
    make("span", { className: "more", textContent: detailsOf(event).join(" · ") })));
}

function detailsOf(event) {
  const clip = event.recording ? "recording" : event.urls.clip ? "clip" : "";
  return [`${Math.round(100 * (event.best_score || event.score))} %`, event.camera, clip, event.verdict].filter(Boolean);
}

// The image of an event is replaced by a better one under the same address.
function imageUrl(event, kind) {
  const url = event.urls[kind];
  return url && event.best_score ? `${url}${url.includes("?") ? "&" : "?"}score=${event.best_score}` : url;
}

function showList() {
  const list = $("list"), elements = events.map(({ element }) => element);
  if (elements.length !== list.children.length || elements.some((element, i) => element !== list.children[i])) {
    const kept = new Set(elements);
    for (const child of [...list.children]) if (!kept.has(child)) child.remove();
    elements.forEach((element, i) => { if (list.children[i] !== element) list.insertBefore(element, list.children[i] || null); });
  }
  listStop.update();
  $("more").hidden = !hasMore;
  $("nothing").hidden = events.length > 0;
  set($("nothing"), isFiltered() ? "No event matches." : "Nothing yet.");
  set($("summary"), events.length ? `${events.length}${hasMore ? " newest" : ""} shown` : "");
}

$("more").onclick = async () => {
  $("more").disabled = true;
  const added = await load(events.at(-1).event.id);
  $("more").disabled = false;
  if (!added) return;
  say(`${added.length} older event${added.length === 1 ? "" : "s"} shown`);
  const first = added.length && itemOf(added[0].id);
  if (first) first.element.firstChild.focus();
};
