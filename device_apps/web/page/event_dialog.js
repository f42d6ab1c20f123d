// ---- dialog of an event: its images and its clip ----

let shown = null;  // The event that is shown.
let isPushed = false;  // Whether it has an entry of its own in the browser's history.

const askEvent = (id) => ask(`api/events/${encodeURIComponent(id)}`);

async function openEvent(id, isFromAddress = false) {
  const item = itemOf(id);
  let event;
  try {
    event = await askEvent(id);
  } catch (error) {
    if (error.status) {
      leaveAddress();
      showMissing(error.message);
      return say(error.message);
    }
    showConnection("away", "No connection");
    if (!item) return;
    event = item.event;
  }
  if (!isFromAddress) {
    isPushed = isPushed || !shown;
    history[shown ? "replaceState" : "pushState"](null, "", `#${encodeURIComponent(id)}`);
  }
  showEvent(event);
  if (!$("event").open) $("event").showModal();
}

// Back closes the dialog, as people expect on a phone.
function openFromAddress() {
  let id = "";
  try { id = decodeURIComponent(location.hash.slice(1)); } catch { /* Not one of ours. */ }
  if (!id) return $("event").open && $("event").close();
  if (!shown || shown.id !== id) openEvent(id, true);
}

function leaveAddress() {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

async function refreshDialog() {
  if (!shown) return;
  let event;
  try { event = await askEvent(shown.id); } catch { return; }
  const item = itemOf(event.id);
  if (item) fillItem(item, event);
  if (shown && shown.id === event.id && JSON.stringify(shown) !== JSON.stringify(event)) showEvent(event);
}

function showEvent(event) {
  showMissing("");
  if (!shown || shown.id !== event.id) showVerdictAnswer("");
  shown = event;
  set($("event-title"), describeEvent(event));
  set($("event-when"), eventTime(event));
  showSnapshot();
  showClip();
  showVerdict();
  const facts = [["Score", percentOf(event.score)], ["Best score", event.best_score && percentOf(event.best_score)],
    ["Zone", event.zone], ["Line", event.line && `${event.line}, ${event.direction}`], ["Camera", event.camera]];
  $("facts").replaceChildren(...facts.filter(([, text]) => text).map(([name, text]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))),
  make("div", { className: "address" }, make("dt", { textContent: "Source" }), make("dd", {}, ...breakAtSlashes(event.source))));
  const fileName = (path) => (path || "").split("/").pop();
  const files = [["image", event.urls.snapshot, fileName(event.snapshot)],
    ["image without boxes", event.urls.clean, fileName(event.snapshot).replace(/\.jpg$/, "-clean.jpg")],
    ["clip", !event.recording && event.urls.clip, fileName(event.clip)]];
  $("files").replaceChildren(...files.filter(([, url]) => url).map(([name, href, download]) =>
    make("a", { className: "link", href, download, textContent: `Save ${name}` })));
  const place = events.findIndex((item) => item.event.id === event.id);
  $("newer").disabled = place < 1;
  $("older").disabled = place < 0 || (place === events.length - 1 && !hasMore);
}

// A path or URL that is too wide is broken after a slash.
const breakAtSlashes = (text) => text.split(/(?<=\/)(?=[^/])/).flatMap((part, i) => i ? [make("wbr"), part] : [part]);

const percentOf = (score) => `${(100 * score).toFixed(1)} %`;

// Mark the object that the event is about: others may be in the image, with boxes like its own.
const MARK_MARGIN = 0.012;
function showMark() {
  const mark = $("mark"), { subject } = shown;
  mark.toggleAttribute("hidden", !subject || $("snapshot").hidden);
  if (!subject) return;
  const [width, height] = subject.size, [left, top, right, bottom] = subject.box, margin = MARK_MARGIN * Math.max(width, height);
  mark.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const place = { x: left - margin, y: top - margin, width: right - left + 2 * margin, height: bottom - top + 2 * margin };
  for (const rect of mark.children) for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value.toFixed(1));
}

function showSnapshot() {
  const { snapshot, clean } = shown.urls, withBoxes = snapshot && ($("boxes").checked || !clean);
  const url = imageUrl(shown, withBoxes ? "snapshot" : "clean"), image = $("snapshot");
  $("boxes-choice").hidden = !(snapshot && clean);
  image.alt = `${describeEvent(shown)}, ${withBoxes ? "with" : "without"} boxes`;
  image.hidden = !url;
  const problem = shown.snapshot_lost ? "The image was lost: the disk was full, or too slow." : shown.saving ? "The image is being written."
    : url ? "The image cannot be loaded." : shown.snapshot ? "The image is no longer there: it was deleted, mostly to make room." : "";
  image.closest("#images > div").hidden = !(url || problem);
  set($("snapshot-problem"), problem);
  $("snapshot-problem").hidden = Boolean(url);
  if (!url) image.removeAttribute("src");
  else if (image.getAttribute("src") !== url) image.src = url;
  showMark();
}
$("boxes").onchange = showSnapshot;
$("snapshot").onerror = () => {
  $("snapshot").hidden = true;
  $("snapshot-problem").hidden = false;
  showMark();
};

function showClip() {
  const url = !shown.recording && shown.urls.clip, video = $("clip");
  video.hidden = !url;
  video.parentElement.hidden = !(url || shown.recording || shown.clip);
  set($("clip-problem"), shown.recording ? "The clip is still being recorded." : shown.clip && !url ? "The clip is not there: it was deleted to make room, or could not be written." : "");
  if (!url) stopClip();
  else if (video.getAttribute("src") !== url) video.src = url;
}
$("clip").onerror = () => {
  if (!$("clip").getAttribute("src")) return;
  $("clip").hidden = true;
  set($("clip-problem"), "The clip cannot be played here; save it to play it elsewhere.");
};

function stopClip() {
  if (!$("clip").getAttribute("src")) return;
  $("clip").pause();
  $("clip").removeAttribute("src");
  $("clip").load();
}

async function step(by) {
  let place = events.findIndex((item) => item.event.id === shown.id) + by;
  if (place >= events.length && hasMore) await load(events.at(-1).event.id);
  if (shown && events[place]) openEvent(events[place].event.id);
}
$("newer").onclick = () => step(-1);
$("older").onclick = () => step(1);
$("close").onclick = () => $("event").close();
$("event").onclick = ({ target }) => { if (target === $("event")) $("event").close(); };
$("event").onclose = () => {
  const item = itemOf(shown.id);
  (item ? item.element.firstChild : $("name")).focus();
  shown = null;
  stopClip();
  $("snapshot").removeAttribute("src");
  if (isPushed && location.hash) history.back();
  else leaveAddress();
  isPushed = false;
};
