// ---- what screen readers say: no more than one can listen to ----

const LASTING_MS = 5000, GATHERING_MS = 2000, SUMMARY_MS = 20000;
let newestState = "", stateTimer = 0;
let unsaid = [], eventTimer = 0, eventsSaidAt = -Infinity;

// Say a state that lasts; one that comes and goes is only shown.
function sayState(text) {
  if (text === newestState) return;
  newestState = text;
  clearTimeout(stateTimer);
  stateTimer = setTimeout(() => set($("state-said"), text), LASTING_MS);
}

// Say the newest of new events, which are oldest first, and how many there are: one sentence in twenty seconds.
function sayEvents(added) {
  unsaid.push(...added);
  if (!unsaid.length || eventTimer) return;
  eventTimer = setTimeout(() => {
    eventTimer = 0;
    if (!unsaid.length) return;
    const others = unsaid.length > 1 ? `, and ${unsaid.length - 1} more` : "";
    $("spoken").textContent = `New: ${describeEvent(unsaid.at(-1))}${others}`;
    eventsSaidAt = performance.now();
    unsaid = [];
  }, Math.max(GATHERING_MS, eventsSaidAt + SUMMARY_MS - performance.now()));
}

function forgetUnsaid() { unsaid = []; }
