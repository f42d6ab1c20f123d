"use strict";
/* include elements.js */
/* include announce.js */
/* include phone.js */
const STATES = { live: "Live", starting: "Starting", unavailable: "Not available", reconnecting: "Reconnecting",
  stalled: "No new image" };
const PERIOD_MS = 1000, ANSWER_MS = 3000, IMAGE_MS = 2000;
const cards = new Map();  // By the path of the camera.

function card(path) {
  const image = make("img", { alt: "" }), reason = make("p", { className: "reason" });
  const name = make("h2"), chip = make("span", { className: "chip connecting" }), facts = make("p", { className: "none" });
  const frame = make("div", { className: "frame" }, image, reason);
  const text = make("div", { className: "facts" }, make("div", { className: "row" }, name, chip), facts);
  const item = make("li", { className: "card camera" }, make("a", { href: path }, text, frame));
  $("cameras").append(item);
  return { item, frame, image, reason, name, chip, facts, loadingSince: 0 };
}

// Load the next image beside the one that is shown: it never flickers, and a slow network gets fewer of them.
function refresh(path, shown) {
  const now = performance.now();
  if (shown.loadingSince && now - shown.loadingSince < 5 * IMAGE_MS) return;
  if (shown.shownAt && now - shown.shownAt < IMAGE_MS) return;
  shown.loadingSince = now;
  const next = make("img", { alt: "" });
  next.onload = () => {
    shown.image.replaceWith(next);
    Object.assign(shown, { image: next, loadingSince: 0, shownAt: performance.now() });
  };
  next.onerror = () => { shown.loadingSince = 0; };
  next.src = `${path}thumbnail.jpg?${Math.round(now)}`;
}

function show(cameras) {
  for (const { path, name, status, fps, frames } of cameras) {
    if (!cards.has(path)) cards.set(path, card(path));
    const shown = cards.get(path), live = status.state === "live";
    set(shown.name, name);
    set(shown.chip, STATES[status.state] || status.state);
    shown.chip.className = `chip ${status.state}`;
    shown.item.classList.toggle("dim", !live);
    set(shown.reason, live ? "" : status.reason);
    set(shown.facts, live && fps !== null ? `${fps.toFixed(1)} frames per second` : "");
    if (frames) refresh(path, shown);
  }
  const live = cameras.filter(({ status }) => status.state === "live").length;
  set($("summary"), `${live} of ${cameras.length} live`);
}

function showLost() {
  showConnection("away", "No connection");
  for (const shown of cards.values()) {
    shown.item.classList.add("dim");
    set(shown.reason, "No connection to the program");
    set(shown.facts, "");
  }
}

async function update() {
  if (document.hidden) return;
  try {
    const response = await fetch("api/cameras", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.status === 401) return signInAgain();
    if (!response.ok) throw new Error();
    const received = await response.json();
    $("logout").hidden = $("open-phone").hidden = !received.login;
    showConnection("live", "Connected");
    show(received.cameras);
  } catch {
    showLost();
  }
}

async function run() {
  for (;;) {
    await update();
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}
run();
