"use strict";
/* include elements.js */
let about = { colors: [] };

/* include connection.js */
/* include link.js */
/* include announce.js */
/* include status.js */
/* include view.js */
/* include stats.js */
/* include event_text.js */
/* include one_stop.js */
/* include events.js */
/* include settings.js */
/* include zones.js */
/* include zone_draft.js */
/* include zone_scene.js */
/* include zone_editor.js */
/* include phone.js */

const HANDLERS = { about: showAbout, settings: showSettings, recent: showRecent, event: showEvent, stats: showStats,
  zones: showZones, counts: showCounts };

function showAbout(received) {
  about = received;
  set($("name"), about.name || "Edge SSD");
  set($("source"), about.source);
  set($("build"), `${about.model} (${about.model_sha256}) · ${about.backend}, ${about.threads} thread${about.threads === 1 ? "" : "s"} · edge-ssd ${about.version}`);
  $("logout").hidden = $("open-phone").hidden = !about.login;
  trend = [];
  showAnswer("");
}

function receive(message) {
  if (message.kind === "lost" && message.data === "login") return signInAgain();
  noteMessage(message);
  if (message.kind === "frame") showFrame(message);
  else if (message.kind in HANDLERS) HANDLERS[message.kind](message.data);
  showState();
}

const link = new Link(receive);
document.onvisibilitychange = () => {
  if (!document.hidden) Object.assign(heard, { at: performance.now(), ever: false, lost: null, status: null });
  link.show(!document.hidden);
};
addEventListener("pagehide", () => link.show(false));
addEventListener("pageshow", () => link.show(!document.hidden));
setInterval(() => document.hidden || showState(), 250);
