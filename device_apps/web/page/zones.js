// ---- zones: the zones and lines of the camera over the live image, and their counts ----

const ZONE_COLOR = [255, 200, 0], LINE_COLOR = [0, 200, 255];
const ARROW = 0.06;  // Length of the arrow that points to "in", 0–1 of the shorter side.
let zones = null, zoneCounts = { zones: {}, lines: {} };

function showZones(received) {
  zones = received;
  $("edit-zones").hidden = false;
  zoneEditor.receive(received);
  showZoneCounts();
}

function showCounts(received) {
  zoneCounts = received;
  showZoneCounts();
}

function showZoneCounts() {
  const inZone = (zone) => {
    const rows = Object.entries(zoneCounts.zones[zone.name] || {}), present = rows.filter(([, row]) => row.count);
    const now = present.map(([label, row]) => `${row.count} ${label}`).join(", ") || "empty";
    return [zone.name, `${now} · ${count(total(rows, "visits"))} so far`];
  };
  const overLine = (line) => {
    const rows = Object.entries(zoneCounts.lines[line.name] || {});
    return [line.name, `in ${count(total(rows, "in"))} · out ${count(total(rows, "out"))}`];
  };
  facts($("zone-counts"), zones.zones.map(inZone));
  facts($("line-counts"), zones.lines.map(overLine));
  $("zones").hidden = !zones.zones.length && !zones.lines.length;
}

const total = (rows, key) => rows.reduce((sum, [, row]) => sum + row[key], 0);

// Draw the zones and lines with their counts. The editor draws its own; there, the boxes have the point that counts.
function drawZones(pen, width, height, lineHeight, boxes, size) {
  if (!zones) return;
  if (zoneEditor.on) return drawAnchors(pen, boxes, width / size[0], height / size[1]);
  const place = ([x, y]) => [x * width, y * height];
  for (const { name, points } of zones.zones) {
    const rows = Object.entries(zoneCounts.zones[name] || {}), top = points.reduce((a, b) => (b[1] < a[1] ? b : a));
    drawPath(pen, [...points, points[0]].map(place), ZONE_COLOR);
    drawLabel(pen, `${name}: ${total(rows, "count")}`, ...place(top), lineHeight, ZONE_COLOR);
  }
  for (const { name, points } of zones.lines) {
    const rows = Object.entries(zoneCounts.lines[name] || {}), ends = points.map(place);
    drawPath(pen, ends, LINE_COLOR);
    drawPath(pen, arrow(ends, ARROW * Math.min(width, height)), LINE_COLOR);
    drawLabel(pen, `${name}: in ${total(rows, "in")} out ${total(rows, "out")}`, ...ends[0], lineHeight, LINE_COLOR);
  }
}

function drawAnchors(pen, boxes, fx, fy) {
  const { shape } = zoneEditor.draft, isCenter = shape && shape.anchor === "center";
  Object.assign(pen, { fillStyle: "#fff", strokeStyle: "#000" });
  for (const [, , , [left, top, right, bottom]] of boxes) {
    pen.beginPath();
    pen.arc((left + right) / 2 * fx, (isCenter ? (top + bottom) / 2 : bottom) * fy, 2.5 * pen.lineWidth, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

function drawPath(pen, points, [r, g, b]) {
  pen.strokeStyle = `rgb(${r} ${g} ${b})`;
  pen.beginPath();
  for (const point of points) pen.lineTo(...point);
  pen.stroke();
}

// A path in pixels, from the middle of a line to its right side, which is "in"; y is downwards.
function arrow([[x0, y0], [x1, y1]], length) {
  const x = (x0 + x1) / 2, y = (y0 + y1) / 2, scale = length / Math.max(1e-9, Math.hypot(x1 - x0, y1 - y0));
  const ax = (x1 - x0) * scale, ay = (y1 - y0) * scale, barb = (side) => [x - 0.6 * ay + side * ax, y + 0.6 * ax + side * ay];
  const tip = [x - ay, y + ax];
  return [[x, y], tip, barb(-0.3), tip, barb(0.3)];
}
