// ---- what an event says ----

function describeEvent(event) {
  const stayed = event.duration_s == null ? "" : ` after ${event.duration_s.toFixed(1)} s`;
  const zone = event.dwell_s == null ? `entered ${event.zone}` : `left ${event.zone} after ${event.dwell_s.toFixed(1)} s`;
  const texts = { enter: "entered", leave: `left${stayed}`, zone_enter: zone, zone_leave: zone };
  const what = event.kind === "line_cross" ? `crossed ${event.line}, ${event.direction}` : texts[event.kind] || event.kind;
  return `${event.label} #${event.object_id} ${what}`;
}

const eventTime = (event) => new Date(event.time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

// An image of an event that may be gone, or not be written yet: then it is tried once more, and hidden.
const THUMBNAIL_RETRY_MS = 3000;
function thumbnail(url) {
  const image = make("img", { className: "thumbnail", alt: "", loading: "lazy", decoding: "async", src: url });
  image.onerror = () => {
    image.hidden = true;
    image.onerror = () => { image.hidden = true; };
    image.onload = () => { image.hidden = false; };
    setTimeout(() => { image.loading = "eager"; image.src = `${url}?again`; }, THUMBNAIL_RETRY_MS);
  };
  return image;
}
