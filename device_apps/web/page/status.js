// ---- status: whether what is shown is live ----

const STATES = { live: "Live", connecting: "Connecting", starting: "Starting", unavailable: "Not available",
  reconnecting: "Reconnecting", stalled: "No new image", full: "Waiting", away: "No connection", paused: "Paused" };
const STALE_MS = 2500;  // Without a frame, or without any message.

const heard = { at: performance.now(), ever: false, lost: null, status: null, offset: Infinity, captured: null, intervals: [] };

// Note when a message came, and of which time it is. The clocks of both sides differ by the offset, of which the least
// that was seen has the least delay.
function noteMessage(message) {
  if (message.kind === "lost") {
    Object.assign(heard, { lost: message.data, status: null });
    return;
  }
  if (message.kind === "about") Object.assign(heard, { offset: Infinity, captured: null, intervals: [] });
  if (!message.replay) {
    Object.assign(heard, { at: performance.now(), ever: true, lost: null });
    heard.offset = Math.min(heard.offset, heard.at - 1000 * message.sent);
  }
  if (message.kind === "stats") heard.status = message.data.status;
  if (message.kind !== "frame") return;
  if (heard.captured !== null) heard.intervals = [...heard.intervals, 1000 * (message.data.captured - heard.captured)].slice(-5);
  heard.captured = message.data.captured;
}

// Milliseconds since a frame, by default the newest, was captured; null if that is not known.
function frameAge(captured = heard.captured) {
  if (captured === null || heard.offset === Infinity) return null;
  return Math.max(0, performance.now() - 1000 * captured - heard.offset);
}

// Longest age of a live frame: some cameras send one every ten seconds.
function ageLimit() {
  const middle = [...heard.intervals].sort((a, b) => a - b)[Math.floor(heard.intervals.length / 2)] || 0;
  return Math.max(STALE_MS, 2.5 * middle);
}

// Return [state, explanation].
function currentState() {
  const silence = performance.now() - heard.at, age = frameAge();
  if (heard.lost === "full") return ["full", "The viewer limit is reached. Retrying …"];
  if (heard.lost || silence > STALE_MS) {
    const since = heard.ever ? ` Nothing has arrived for ${duration(silence / 1000)}.` : "";
    return ["away", `The camera does not respond.${since} Retrying …`];
  }
  if (!heard.status) return ["connecting", "Connecting …"];
  if (heard.status.state !== "live") return [heard.status.state, capitalized(heard.status.reason)];
  if (age === null) return ["starting", "Waiting for an image …"];
  if (age > ageLimit()) return ["stalled", `No new image for ${duration(age / 1000)}.`];
  if (!shown) return ["starting", "Waiting for an image …"];
  return ["live", ""];
}

function duration(seconds) {
  const s = Math.floor(seconds), days = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24, minutes = Math.floor(s / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${s % 60} s` : `${s} s`;
}
