// Connection to the program: one stream of messages and frames, which is opened again when it is lost.
// A part is two lengths (big-endian uint32), JSON, and the JPEG of a frame.
const SILENCE_MS = 2500;  // Statistics come every second.
const CONNECT_MS = 5000, RETRY_MS = 1000;

class Connection {
  // deliver: called with each message {kind, sent, data, image}, and with {kind: "lost", data: "away" | "full" | "login"}.
  constructor(deliver) {
    this.deliver = deliver;
    this.life = null;
    this.abort = null;
  }

  start() {
    if (this.life) return;
    this.life = {};
    this.run(this.life);
  }

  stop() {
    this.life = null;
    if (this.abort) this.abort.abort();
  }

  async run(life) {
    while (this.life === life) {
      const problem = await this.receive(life);
      if (this.life !== life) return;
      this.deliver({ kind: "lost", data: problem });
      if (problem === "login") this.life = null;
      else await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  // Deliver messages until the stream ends, and return why it did. Silence ends it too: a dead network closes nothing.
  async receive(life) {
    const abort = this.abort = new AbortController();
    let timer = 0;
    const limit = (ms) => { clearTimeout(timer); timer = setTimeout(() => abort.abort(), ms); };
    try {
      limit(CONNECT_MS);
      const response = await fetch("live", { signal: abort.signal, cache: "no-store" });
      if (response.status === 401) return "login";
      if (response.status === 503) return "full";
      if (!response.ok) return "away";
      const reader = response.body.getReader(), parts = new Parts();
      for (;;) {
        limit(SILENCE_MS);
        const { done, value } = await reader.read();
        if (done) return "away";
        for (const message of parts.add(value)) if (this.life === life) this.deliver(message);
      }
    } catch {
      return "away";
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }
}

class Parts {
  constructor() { this.rest = new Uint8Array(0); }

  // Yield the messages that are complete with these bytes.
  * add(bytes) {
    const data = new Uint8Array(this.rest.length + bytes.length);
    data.set(this.rest);
    data.set(bytes, this.rest.length);
    const view = new DataView(data.buffer);
    let start = 0;
    while (data.length - start >= 8) {
      const head = start + 8, image = head + view.getUint32(start), end = image + view.getUint32(start + 4);
      if (data.length < end) break;
      const message = JSON.parse(new TextDecoder().decode(data.subarray(head, image)));
      if (end > image) message.image = new Blob([data.subarray(image, end)], { type: "image/jpeg" });
      start = end;
      yield message;
    }
    this.rest = data.slice(start);
  }
}
