// ---- view: the live image; which boxes are drawn is a choice of this tab alone ----

const filter = { score: 0, hidden: new Set() };
let shown = null, newest = null, paused = false, inImage = "", imageState = "connecting";

async function showFrame({ data, image }) {
  if (paused) return;
  newest = data;
  const bitmap = await createImageBitmap(image).catch(() => null);
  if (!bitmap) return;
  if (newest !== data || paused) return bitmap.close();
  if (shown) shown.bitmap.close();
  shown = { bitmap, data, capturedAt: performance.now() - (frameAge(data.captured) || 0) };
  set($("size"), data.size.join(" × "));
  drawFrame();
}

const isShown = ([, label, score]) => 100 * score >= filter.score - 1e-9 && !filter.hidden.has(label);

function drawFrame() {
  if (!shown) return;
  const { bitmap, data } = shown, canvas = $("image");
  // As many pixels as the screen shows, so that lines and text are sharp.
  const scale = Math.min(3, Math.max(1, canvas.clientWidth * devicePixelRatio / bitmap.width));
  const width = Math.round(bitmap.width * scale), height = Math.round(bitmap.height * scale);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d"), boxes = data.detections.filter(isShown);
  pen.drawImage(bitmap, 0, 0, width, height);
  const text = Math.max(13 * devicePixelRatio, Math.min(width, height) / 36);
  pen.font = `600 ${text}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.lineWidth = Math.max(2, Math.min(width, height) / 240);
  for (const box of boxes.reverse()) drawBox(pen, box, width / data.size[0], height / data.size[1], 1.4 * text);
  drawZones(pen, width, height, 1.4 * text, boxes, data.size);
  const counts = new Map();
  for (const [, label] of boxes) counts.set(label, (counts.get(label) || 0) + 1);
  inImage = [...counts].map(([label, number]) => `${number} ${label}`).join(", ") || "no detection";
  nameImage();
}

function nameImage() {
  const name = imageState === "live" ? "Live image" : `Image, not live (${STATES[imageState].toLowerCase()})`;
  $("image").setAttribute("aria-label", shown ? `${name}: ${inImage}` : "No image yet");
}

function drawBox(pen, [classId, label, score, [left, top, right, bottom]], fx, fy, lineHeight) {
  const color = about.colors[classId] || [85, 255, 38], inset = pen.lineWidth / 2;
  pen.strokeStyle = `rgb(${color.join(" ")})`;
  pen.strokeRect(left * fx + inset, top * fy + inset, (right - left) * fx - 2 * inset, (bottom - top) * fy - 2 * inset);
  drawLabel(pen, `${label} ${Math.round(100 * score)}%`, left * fx, top * fy, lineHeight, color);
}

// Text on a color, above a position, or below it at the upper edge.
function drawLabel(pen, text, left, top, lineHeight, [r, g, b]) {
  const width = pen.measureText(text).width + lineHeight / 2;
  const x = Math.max(0, Math.min(left, pen.canvas.width - width)), y = top >= lineHeight ? top - lineHeight : top;
  pen.fillStyle = `rgb(${r} ${g} ${b})`;
  pen.fillRect(x, y, width, lineHeight);
  pen.fillStyle = 0.299 * r + 0.587 * g + 0.114 * b > 128 ? "#000" : "#fff";
  pen.fillText(text, x + lineHeight / 4, y + lineHeight / 2);
}

function showState() {
  const [found, why] = currentState(), live = found === "live", state = live && paused ? "paused" : found;
  const age = paused && shown ? performance.now() - shown.capturedAt : frameAge();
  for (const chip of [$("state"), $("badge")]) {
    chip.className = `chip ${state}`;
    set(chip, STATES[state]);
  }
  announceState(STATES[state]);
  imageState = state;
  nameImage();
  $("view").classList.toggle("dim", !live);
  $("veil").hidden = live;
  set($("veil"), why);
  set($("age"), age === null || !shown || state === "connecting" ? "" : `${paused ? "this" : "newest"} image ${age < 59500 ? `${(age / 1000).toFixed(1)} s` : duration(age / 1000)} ago`);
  if (!live) clearSpeed();
  if (state === "away" || state === "full") clearStats();
  const name = about.name || about.source || "", warning = live || state === "connecting" ? "" : `${STATES[state]} – `;
  document.title = `${warning}${name ? `${name} – ` : ""}Edge SSD`;
}

$("pause").onclick = () => {
  paused = !paused;
  $("pause").textContent = paused ? "Resume" : "Pause";
  showState();
  if (paused) forgetUnannounced();
  else showHeldEvents();
};
$("full").hidden = !document.fullscreenEnabled;
$("full").onclick = () => document.fullscreenElement ? document.exitFullscreen() : $("view").requestFullscreen();
document.onfullscreenchange = () => {
  $("full").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
  drawFrame();
};
addEventListener("resize", drawFrame);
