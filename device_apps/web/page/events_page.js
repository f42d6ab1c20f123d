"use strict";
/* include elements.js */
/* include announce.js */
/* include event_text.js */
/* include event_filters.js */
/* include one_stop.js */
/* include event_list.js */
/* include event_dialog.js */
/* include event_verdict.js */

const PERIOD_MS = 3000, ANSWER_MS = 8000, PAGE_SIZE = 48;
let turn = 0;  // Counts changes of the filter: an answer to an older one is left out.
let newestTag = "";  // Of the last answer with the newest events: the same one is not sent again.

// Return the answer of the program; null if it is the one with the tag that was sent.
async function ask(path, request = {}, onTag = () => {}) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS), ...request });
  if (response.status === 401) {
    signInAgain();
    throw new Error("login");
  }
  if (response.status === 304) return null;
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  onTag(response.headers.get("ETag") || "");
  return answer;
}

// Ask for the newest events, or those before the oldest one of the list; return what is new of them, null without an answer.
async function load(before = "") {
  const asked = turn, query = filterQuery();
  query.set("limit", PAGE_SIZE);
  if (before) query.set("before", before);
  try {
    let tag = newestTag;
    const headers = before || !tag ? {} : { "If-None-Match": tag };
    const answer = await ask(`api/events?${query}`, { headers }, (received) => { tag = received; });
    if (asked !== turn) return null;
    showConnection("live", "Connected");
    if (!answer) return [];
    if (!before) newestTag = tag;
    showNames(answer);
    showTitle(answer.cameras);
    return before ? addOlder(answer, before) : addNewest(answer);
  } catch (error) {
    if (asked === turn) showConnection("away", error.status ? error.message : "No connection");
    return null;
  }
}

function showTitle(cameras) {
  const camera = cameras.length === 1 ? cameras[0] : "";
  set($("name"), camera ? `Events – ${camera}` : "Events");
  document.title = `Events – ${camera || "Edge SSD"}`;
}

// Why the event of the address is not shown, or "".
function showMissing(text) {
  $("missing").hidden = !text;
  set($("missing"), text && `${capitalized(text)}.`);
}

function say(text) { $("spoken").textContent = text; }

async function refresh() {
  const isFirst = !isLoaded, added = await load();
  await refreshDialog();
  if (!added || !added.length || isFirst) return;
  announceEvents([...added].reverse());
}

async function applyFilter() {
  turn += 1;
  newestTag = "";
  keepFilter();
  showMissing("");
  forgetList();
  if (await load()) say(`${events.length}${hasMore ? " newest" : ""} event${events.length === 1 ? "" : "s"} shown`);
}

$("filters").onchange = applyFilter;
$("filters").onsubmit = (event) => event.preventDefault();
document.onvisibilitychange = () => document.hidden || refresh();
addEventListener("popstate", openFromAddress);
addEventListener("hashchange", openFromAddress);

set($("zone-of-time"), `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
takeFilter();
(async () => {
  await refresh();
  openFromAddress();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    if (!document.hidden) await refresh();
  }
})();
