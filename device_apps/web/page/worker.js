// Shared worker: one connection for all tabs of a browser, which opens at most six to a host.
"use strict";
/* include connection.js */

const MAX_KEPT = 200;  // Events for the next tab; a page shows no more.
const GONE_MS = 10000;  // A visible tab reports every two seconds, and a closed one does not say that it closes.
const tabs = new Map();  // The port of each visible tab, and when it last reported.
let states = {};  // The newest message of each kind, for the next tab.

const connection = new Connection((message) => {
  if (message.kind === "lost") states = { lost: message };
  else if (message.kind === "event") states.recent.data = [...states.recent.data || [], message.data].slice(-MAX_KEPT);
  else { delete states.lost; states[message.kind] = message; }
  for (const port of tabs.keys()) port.postMessage(message);
});

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: visible }) => {
    if (visible && !tabs.has(port)) for (const message of Object.values(states)) port.postMessage({ ...message, replay: true });
    if (visible) tabs.set(port, Date.now());
    else tabs.delete(port);
    update();
  };
};

setInterval(() => {
  for (const [port, reportedAt] of tabs) {
    if (Date.now() - reportedAt > GONE_MS) tabs.delete(port);
    else port.postMessage({ kind: "alive" });
  }
  update();
}, 1000);

function update() {
  if (tabs.size) return connection.start();
  connection.stop();
  states = {};
}
