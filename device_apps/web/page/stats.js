// ---- statistics ----

const STAGES = {
  capture: ["Capture", "Reading and decoding a frame, waiting for the camera included; in parallel to the rest"],
  gate: ["Motion gate", "Comparing the frame with the last one; without motion the next three are left out"],
  preprocess: ["Preprocess", "Resizing the frame to the input of the network"],
  invoke: ["Network", "The network itself"],
  postprocess: ["Postprocess", "Decoding boxes, thresholds, NMS"],
  detect: ["Detection", "All of the above but capture"],
  draw: ["Scaling", "The image for the viewers, only while there are any"],
  publish: ["Publish", "Passing the result to files, events and viewers"],
  age: ["Age of the result", "From the capture of the frame to its result"],
};
const TREND_LENGTH = 60;
let trend = [];

function showStats(stats) {
  if (paused) return;
  set($("fps"), stats.fps === null ? "–" : ms(stats.fps));
  trend = [...trend, stats.fps || 0].slice(-TREND_LENGTH);
  const highest = Math.max(...trend, 1);
  const points = trend.map((fps, i) => `${TREND_LENGTH - trend.length + i},${(29 - 27 * fps / highest).toFixed(2)}`);
  $("trend").setAttribute("points", points.join(" "));
  $("area").setAttribute("points", [`${TREND_LENGTH - trend.length},30`, ...points, `${TREND_LENGTH - 1},30`].join(" "));
  rows($("stages"), Object.keys(STAGES).filter((stage) => stage in stats.ms).map((stage) =>
    [...STAGES[stage], ms(stats.ms[stage].p50), ms(stats.ms[stage].p95), stage === "detect" ? "sum" : ""]));
  const source = stats.source;
  facts($("counts"), [["Frames used", count(stats.frames)],
    ["Still frames", "gate" in stats.ms ? count(stats.still_frames) : null], ["Dropped", count(source.dropped)],
    ["Detections", count(stats.detections)], ["Stalls", count(source.stalls), source.stalls > 0],
    ["Reconnects", count(source.reconnects), source.reconnects > 0], ["Viewers", count(stats.viewers)]]);
  const hot = stats.temperature_c !== null && stats.temperature_c >= 80;
  facts($("machine"), [["Memory", stats.memory_bytes === null ? null : `${(stats.memory_bytes / 2 ** 20).toFixed(0)} MB`],
    ["Temperature", stats.temperature_c === null ? null : `${stats.temperature_c.toFixed(0)} °C`, hot],
    ["Running for", duration(stats.seconds)],
    ["Throttling", stats.throttled === null ? null : stats.throttled || "none", Boolean(stats.throttled)]]);
}

function clearSpeed() {
  set($("fps"), "–");
  trend = [];
  for (const line of [$("trend"), $("area")]) line.setAttribute("points", "");
}

// Old numbers would be taken for new ones.
function clearStats() {
  for (const element of document.querySelectorAll("#stages td, #counts dd, #machine dd, #zones dd")) set(element, "–");
}

const ms = (value) => value.toFixed(value < 99.95 ? 1 : 0);
const count = (value) => value.toLocaleString("en");

// Elements are kept by their names, so that text can be selected and what has the focus keeps it.
function update(parent, items, make) {
  const key = items.map(([name]) => name).join("\n");
  if (parent.dataset.key !== key) {
    const names = (parent.dataset.key || "").split("\n"), old = new Map([...parent.children].map((child, i) => [names[i], child]));
    parent.dataset.key = key;
    for (const child of old.values()) if (!items.some(([name]) => old.get(name) === child)) child.remove();
    items.forEach((item, i) => {
      const element = old.get(item[0]) || make(item);
      if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] || null);
    });
  }
  return items.map((values, i) => [parent.children[i], values]);
}

function rows(body, items) {
  const row = ([name, text, , , className]) =>
    make("tr", { className }, make("th", { scope: "row" }, hint(name, text)), make("td"), make("td"));
  for (const [element, [, , middle, high]] of update(body, items, row)) {
    set(element.children[1], middle);
    set(element.children[2], high);
  }
}

// A name whose explanation shows on click, touch, Enter and hover.
function hint(name, text) {
  const explanation = make("span", { className: "explanation", hidden: true, textContent: text });
  const button = make("button", { type: "button", className: "hint", title: text, textContent: name });
  button.setAttribute("aria-expanded", "false");
  button.onclick = () => {
    explanation.hidden = !explanation.hidden;
    button.setAttribute("aria-expanded", String(!explanation.hidden));
  };
  return make("div", {}, button, explanation);
}

function facts(list, items) {
  const pair = ([name]) => make("div", {}, make("dt", { textContent: name }), make("dd"));
  for (const [element, [, text, warn]] of update(list, items.filter(([, text]) => text !== null), pair)) {
    set(element.lastChild, text);
    element.lastChild.className = warn ? "warn" : "";
  }
}
