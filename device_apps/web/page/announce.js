// ---- what screen readers announce: at most what a person can follow ----

const LASTING_MS = 5000, GATHERING_MS = 2000, SUMMARY_MS = 20000;
let newestState = "", stateTimer = 0;
let unannounced = [], eventTimer = 0, announcedAt = -Infinity;

// Announce a state that lasts; a brief one is only shown.
function announceState(text) {
  if (text === newestState) return;
  newestState = text;
  clearTimeout(stateTimer);
  stateTimer = setTimeout(() => set($("announced-state"), text), LASTING_MS);
}

// Announce the newest of new events, which are oldest first, and their number: one sentence in twenty seconds.
function announceEvents(added) {
  unannounced.push(...added);
  if (!unannounced.length || eventTimer) return;
  eventTimer = setTimeout(() => {
    eventTimer = 0;
    if (!unannounced.length) return;
    const others = unannounced.length > 1 ? `, and ${unannounced.length - 1} more` : "";
    $("spoken").textContent = `New: ${describeEvent(unannounced.at(-1))}${others}`;
    announcedAt = performance.now();
    unannounced = [];
  }, Math.max(GATHERING_MS, announcedAt + SUMMARY_MS - performance.now()));
}

// Show the connection of a page in its header, and announce it.
function showConnection(state, text) {
  set($("state"), text);
  $("state").className = `chip ${state}`;
  announceState(text);
}

function forgetUnannounced() { unannounced = []; }
