// Strokes on their way to the studio: kept until acknowledged, sent in order, sent again when no answer
// comes. Their ids make that harmless.
/** @typedef {import("../web/types.d.ts").Stroke} Stroke */
/** @typedef {import("../web/types.d.ts").Ack} Ack */
/** @typedef {import("./shelf.js").Kept} Kept */

const PATIENCE = 10_000; // milliseconds without an answer before strokes are sent again
const [SOON, LATE] = [1_000, 16_000]; // a studio that stays away is asked more and more rarely
const MOST = 50; // strokes sent at once
const CAREFUL = 3; // failures in a row after which each clip goes alone: one may be the reason

export class Outbox {
  /** `send(strokes)` gives an acknowledgement of each, null without an answer; `onAck(ack, kept)` hears
   * of each, `onPassing()` of a stroke that the browser cannot keep, `onChange()` of everything.
   * @param {{shelf: import("./shelf.js").Shelf, send: (strokes: Stroke[]) => Promise<Ack[] | null>,
   *   onAck?: (ack: Ack, kept: Kept) => void, onPassing?: () => void, onChange?: () => void,
   *   patience?: number}} parts */
  constructor({
    shelf,
    send,
    onAck = () => {},
    onPassing = () => {},
    onChange = () => {},
    patience = PATIENCE,
  }) {
    this.shelf = shelf;
    this.send = send;
    this.onAck = onAck;
    this.onPassing = onPassing;
    this.onChange = onChange;
    this.patience = patience;
    this.failures = 0;
    this.away = false; // whether the studio answered nothing at the last try
    this.sending = false;
    this.again = false;
    this.timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  }

  /** Strokes that the studio has not acknowledged. */
  get waiting() {
    return this.shelf.all.map(({ stroke }) => stroke);
  }

  /** How many are kept because the studio did not take them when they were sent. */
  get kept() {
    return this.failures ? this.shelf.all.length : 0;
  }

  /** @param {string} clip what it is said of @param {Stroke} stroke */
  add(clip, stroke) {
    if (!this.shelf.put({ clip, stroke })) this.onPassing();
    return this.flush();
  }

  /** Send what waits; what comes meanwhile goes after it. */
  async flush() {
    this.again = true;
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      while (this.again) {
        this.again = false;
        await this.round();
      }
    } finally {
      this.sending = false;
      if (this.shelf.all.length)
        this.timer = setTimeout(() => this.flush(), Math.min(LATE, SOON * 2 ** this.failures));
    }
  }

  async round() {
    const kept = this.shelf.all;
    const batches = !kept.length ? [] : this.failures < CAREFUL ? [kept.slice(0, MOST)] : byClip(kept);
    let taken = 0;
    for (const batch of batches) taken += Number(await this.deliver(batch));
    if (taken === batches.length) this.failures = 0;
    else this.failures = taken ? CAREFUL : this.failures + 1;
    this.away = this.failures > 0 && !taken;
    this.again ||= !this.failures && this.shelf.all.length > 0;
    this.onChange();
  }

  /** @param {Kept[]} batch @returns whether the studio dealt with any of them */
  async deliver(batch) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, this.patience, null)));
    const sent = this.send(batch.map(({ stroke }) => stroke)).catch(() => null);
    const acks = /** @type {Ack[] | null} */ (await Promise.race([sent, late]));
    clearTimeout(timer);
    return acks !== null && this.settle(acks, batch);
  }

  /** Take what was dealt with. What corrects a refused stroke corrects what that one did.
   * @param {Ack[]} acks @param {Kept[]} batch */
  settle(acks, batch) {
    /** @type {Map<unknown, string | null | undefined>} */
    const gone = new Map();
    const behind = new Set(); // refused for no other reason than what they correct or take back
    let dealt = false;
    for (const ack of acks) {
      const refused = "refused" in ack;
      const kept = batch.find(({ stroke }) => stroke.event_id === (refused ? ack.event_id : ack.saved));
      if (!kept) continue;
      dealt = true;
      const { event_id: id, supersedes, undo } = kept.stroke;
      if (refused && [supersedes, undo].some((other) => gone.has(other) || behind.has(other))) {
        behind.add(id);
        continue;
      }
      if (refused) gone.set(id, supersedes ?? null);
      this.shelf.take(kept);
      this.onAck(ack, kept);
    }
    for (const kept of this.shelf.all) {
      let { supersedes } = kept.stroke;
      if (gone.has(kept.stroke.undo)) this.shelf.take(kept);
      if (!gone.has(supersedes)) continue;
      while (gone.has(supersedes)) supersedes = gone.get(supersedes);
      this.shelf.replace(kept, { ...kept.stroke, supersedes });
    }
    return dealt;
  }
}

/** @param {Kept[]} kept @returns {Kept[][]} */
const byClip = (kept) =>
  [...new Set(kept.map(({ clip }) => clip))].map((clip) => kept.filter((one) => one.clip === clip));
