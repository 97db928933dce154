// The clips that come next: fetched before they are needed, held under leases, never given twice.
import { images } from "../player/stage.js";
import { insist } from "../web/calls.js";

const AHEAD = 10; // clips fetched before they are needed
const KEPT = 40; // clips remembered

export class Supply {
  epoch = 0;
  /** @type {any[]} */
  items = [];
  /** @type {Set<string>} */
  seen = new Set();

  /** `unsent()`: strokes that the server does not know of yet. */
  constructor(element, server, queues, unsent) {
    this.element = element;
    this.server = server;
    this.queues = queues;
    this.unsent = unsent;
    this.clips = new Map();
    this.clear();
  }

  clear() {
    Object.assign(this, { items: [], seen: new Set(), epoch: this.epoch + 1 });
  }

  get item() {
    return this.items[0];
  }
  get low() {
    return this.items.length <= AHEAD;
  }

  /** Put a clip in front: back again to be judged, or asked for by the address. */
  bring(item) {
    this.seen.delete(item.id);
    this.items = [item, ...this.items.filter((other) => other.id !== item.id)];
  }

  /** A clip was judged: it goes, and does not come again from the server. */
  done(item) {
    this.seen.add(item.id);
    this.items = this.items.filter((other) => other.id !== item.id);
  }

  skip() {
    this.items.push(this.items.shift());
  }

  lapsed(item) {
    return Boolean(item.until) && item.until < performance.now();
  }

  /** More clips, and renewed leases; what somebody else has meanwhile goes. False without answer. */
  async refill() {
    const { epoch } = this;
    const answer = await this.queues.next(2 * AHEAD + this.unsent().length);
    if (!answer || epoch !== this.epoch) return false;
    const given = new Map(answer.items.map((item) => [item.id, item]));
    const until = (item) => (item.seconds ? performance.now() + 1000 * item.seconds : null);
    this.items = this.items.filter((item) => given.has(item.id) || !this.lapsed(item));
    for (const item of this.items)
      if (item.until && given.has(item.id)) item.until = until(given.get(item.id));
    const known = new Set([...this.items.map((item) => item.id), ...this.seen, ...this.judged()]);
    const fresh = answer.items.filter((item) => !known.has(item.id));
    this.items.push(...fresh.map((item) => ({ ...item, until: until(item) })));
    return true;
  }

  /** Clips whose judgement is still on its way. */
  judged() {
    const undone = new Set(this.unsent().map((stroke) => stroke.undo));
    return this.unsent()
      .filter((stroke) => !undone.has(stroke.event_id))
      .map((stroke) => (stroke.pair ? `${stroke.left} ${stroke.right}` : stroke.episode_id));
  }

  /** A clip with decoded images, asked for until the studio answers; null if it cannot be shown. */
  fetch(item) {
    if (!this.clips.has(item.id)) {
      const promise = insist(this.element, this.server, "clip", { episode: item.id }).then((clip) => {
        return clip && { ...clip, images: images(clip.frames) };
      });
      this.clips.set(item.id, promise);
      if (this.clips.size > KEPT) this.clips.delete(this.clips.keys().next().value);
    }
    return this.clips.get(item.id);
  }

  prefetch() {
    this.items.slice(0, AHEAD + 1).forEach((item) => this.fetch(item));
  }
}
