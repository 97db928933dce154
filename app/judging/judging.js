// The one door of everything that is said of clips: labels, comparisons, and taking either back.
import { memory } from "../web/memory.js";
import { toast } from "../web/toast.js";
import { showKept } from "./kept.js";
import { corrected, labelOf } from "./label.js";
import { Outbox } from "./outbox.js";
import { Shelf } from "./shelf.js";
import { uuid } from "./uuid.js";

/** @typedef {import("./label.js").Clip} Clip */
/** @typedef {import("./label.js").Said} Said */
/** @typedef {import("../web/types.d.ts").Stroke} Stroke */
/** @typedef {import("../web/types.d.ts").Ack} Ack */
/** @typedef {{judge: (question: {strokes: Stroke[]}) => Promise<{acks: Ack[]} | null>}} Server */

const PASSING =
  "This browser keeps nothing here: its storage is full or forbidden. What you say is sent all the same; " +
  "do not close the page while something is unsaved.";

export class Judging {
  /** `mode` is where something is said; `onSaid(clip)` hears of it at once, `onAck(ack, clip)` when the
   * studio has stored or refused it: `clip` is null where another visit of the page said it. A clip's
   * `label` is always the one that stands then.
   * @param {Server} server
   * @param {{mode: string, onSaid?: (clip: Clip) => void, onAck?: (ack: Ack, clip: Clip | null) => void,
   *   shelf?: Shelf, tell?: (sentence: string) => void, show?: (outbox: Outbox) => void}} page */
  constructor(server, { mode, onSaid, onAck, shelf = new Shelf(), tell = toast, show = showKept }) {
    this.mode = mode;
    this.onSaid = onSaid ?? (() => {});
    this.onAck = onAck ?? (() => {});
    this.tell = tell;
    /** @type {Map<string, {clip: Clip, before: Said | null}>} */
    this.open = new Map(); // by event id: what is on its way, and the label that stood before
    this.outbox = new Outbox({
      shelf,
      send: async (strokes) => (await server.judge({ strokes }))?.acks ?? null,
      onAck: (ack, { stroke }) => this.acknowledge(ack, stroke),
      onPassing: () => this.warn(),
      onChange: () => show(this.outbox),
    });
    this.passing = false; // whether the browser could not keep something
    globalThis.addEventListener?.("online", () => this.outbox.flush());
    globalThis.addEventListener?.("beforeunload", (event) => {
      if (this.passing && this.waiting.length) event.preventDefault();
    });
    this.outbox.flush();
  }

  /** Who judges in this browser.
   * @returns {string} */
  get actor() {
    return memory.get("actor") ?? "local";
  }

  /** Strokes that the studio has not acknowledged. */
  get waiting() {
    return this.outbox.waiting;
  }

  /** Say a change of a clip: all else that its label says stays as it is.
   * @param {Clip} clip @param {Said} change
   * @param {{mode?: string, actor?: string, latency?: number | null}} [how] */
  say(clip, change, how = {}) {
    return this.send(labelOf(clip, change, { mode: this.mode, actor: this.actor, ...how }), clip);
  }

  /** Send words under a new event id; they stand at their clip from now on.
   * @param {Record<string, unknown>} words @param {Clip | null} [clip] */
  send(words, clip = null) {
    /** @type {Stroke} */
    const stroke = { ...words, event_id: uuid() };
    if (clip) {
      this.open.set(stroke.event_id, { clip, before: clip.label ?? null });
      clip.label = { event_id: stroke.event_id, ...corrected(words, {}) };
      this.onSaid(clip);
    }
    this.outbox.add(subject(stroke), stroke);
    return stroke;
  }

  /** Say once that this page alone holds what is on its way. */
  warn() {
    if (!this.passing) this.tell(PASSING);
    this.passing = true;
  }

  /** Take back what a stroke said.
   * @param {Stroke} stroke */
  undo(stroke) {
    const { actor, pair, event_id: undo } = stroke;
    this.outbox.add(subject(stroke), { event_id: uuid(), undo, actor, pair });
  }

  /** @param {Ack} ack @param {Stroke} stroke */
  acknowledge(ack, stroke) {
    const { clip, before } = this.open.get(stroke.event_id) ?? { clip: null, before: null };
    this.open.delete(stroke.event_id);
    if ("refused" in ack) {
      this.tell(refusal(stroke, ack.refused));
      if (clip?.label?.event_id === stroke.event_id) clip.label = before;
      for (const other of this.open.values())
        if (other.before?.event_id === stroke.event_id) other.before = before;
    } else if (clip && ack.episode) clip.id = ack.episode;
    this.onAck(ack, clip);
  }
}

/** What a stroke is about, by name.
 * @param {Record<string, any>} stroke @returns {string} */
const subject = ({ episode_id: episode, dream, left, right }) =>
  episode ?? (dream ? `dream ${dream.dream} ${dream.node}` : `${left} ${right}`);

/** What to do about a stroke that the studio will not store.
 * @param {Record<string, any>} stroke @param {string} reason */
const refusal = ({ undo, pair, dream, episode_id: episode }, reason) => {
  if (undo) return `Nothing was taken back: ${reason}.`;
  if (pair) return `Your comparison was not stored: ${reason}. Compare the two again.`;
  if (dream) return `Your label of a dream was not stored: ${reason}. Imagine it again and judge it there.`;
  return `Your label of ${episode} was not stored: ${reason}. Open the clip and judge it there.`;
};
