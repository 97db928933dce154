// Strokes (labels and undos) on their way to the server: kept in localStorage until acknowledged,
// sent in order, one batch at a time, and sent again when no answer comes. Ids make that harmless.
import { memory } from "../web/memory.js";

const PATIENCE = 4000; // milliseconds without an answer before strokes are sent again
const MOST = 16_000; // a studio that stays away is asked this often

export class Outbox {
  constructor(name, send, onAck) {
    this.name = name;
    this.send = send;
    this.onAck = onAck;
    /** @type {string[] | null} */
    this.flying = null;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.patience = PATIENCE;
  }

  get waiting() {
    return memory.get(this.name, []);
  }

  add(stroke) {
    memory.set(this.name, [...this.waiting, stroke]);
    this.flush();
  }

  flush() {
    if (this.flying || !this.waiting.length) return;
    this.flying = this.waiting.map((stroke) => stroke.event_id);
    this.timer = setTimeout(() => {
      this.flying = null;
      this.patience = Math.min(MOST, 2 * this.patience);
      this.flush();
    }, this.patience);
    this.send(this.waiting);
  }

  /** `acks`: one {saved, seq, at} or {event_id, refused} for each stroke the server has dealt with. */
  acknowledge(acks) {
    this.patience = PATIENCE;
    const dealt = new Set(acks.map((ack) => ack.saved ?? ack.event_id));
    memory.set(
      this.name,
      this.waiting.filter((stroke) => !dealt.has(stroke.event_id)),
    );
    acks.forEach((ack) => this.onAck(ack));
    if (this.flying && !this.flying.every((id) => dealt.has(id))) return;
    clearTimeout(this.timer);
    this.flying = null;
    this.flush();
  }
}
