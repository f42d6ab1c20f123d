// ---- link: messages of the program to this tab, through the worker of all tabs, or else by a connection of its own ----

const WORKER = "worker.js?v={worker}", REPORT_MS = 2000, WORKER_SILENCE_MS = 4000;

class Link {
  constructor(deliver) {
    this.deliver = deliver;
    this.own = null;
    this.port = null;
    this.heardAt = 0;
    this.visible = false;
    try {
      const worker = new SharedWorker(WORKER);
      worker.onerror = () => this.leaveWorker();
      this.port = worker.port;
      this.port.onmessage = ({ data }) => {
        this.heardAt = performance.now();
        if (data.kind !== "alive" && this.port && this.visible) deliver(data);
      };
    } catch {
      this.leaveWorker();
    }
    setInterval(() => this.report(), REPORT_MS);
  }

  // Receive messages only while the tab is visible.
  show(visible) {
    this.visible = visible;
    this.heardAt = performance.now();
    if (this.own) visible ? this.own.start() : this.own.stop();
    else this.port.postMessage(visible);
  }

  report() {
    if (!this.visible || this.own) return;
    if (performance.now() - this.heardAt > WORKER_SILENCE_MS) this.leaveWorker();
    else this.port.postMessage(true);
  }

  leaveWorker() {
    if (this.own) return;
    if (this.port) this.port.postMessage(false);
    this.port = null;
    this.own = new Connection(this.deliver);
    if (this.visible) this.own.start();
  }
}
