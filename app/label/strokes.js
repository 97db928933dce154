// Strokes: what a person says, one key each. On its way at once, undone and given again without end,
// counted; the screen never waits for the server, and nothing is lost.
import { Outbox } from "../judging/outbox.js";
import { ask } from "../web/calls.js";
import { clock, integer } from "../web/formats.js";
import { toast } from "../web/toast.js";
import { uuid } from "../web/uuid.js";

const SETTLE = 3_000; // milliseconds; statistics are asked for at most this often
const KEPT = 20; // entries, of what was said last

export class Strokes {
  epoch = 0;
  back = -1;
  /** @type {any[]} */
  given = [];
  /** @type {any[]} */
  undone = [];
  /** @type {any[]} */
  entries = [];

  /** `page`: `question()` is who says something, and of what; `recall(entry)` gives {stroke, item}
   *  as they were; `again(entry)`, `bring(item)` and `open()` put something on screen; `supply`;
   *  `count(statistics)` takes what is asked for anew; `rail()` shows what stands beside it all. */
  constructor(element, server, send, page) {
    this.element = element;
    this.server = server;
    this.page = page;
    this.outbox = new Outbox(
      "unsent",
      (strokes) => send({ strokes, ...page.question() }),
      (ack) => this.onAck(ack),
    );
    element.addEventListener("click", ({ target }) => {
      const id = target.closest("[data-event]")?.dataset.event;
      if (id) page.again(this.entries.find((entry) => entry.event_id === id));
    });
    this.clear();
  }

  clear() {
    Object.assign(this, { given: [], undone: [], entries: [], back: -1, epoch: this.epoch + 1 });
  }

  /** How many there were in the last minute. */
  get recent() {
    return this.given.filter(({ at }) => Date.now() - at < 60_000).length;
  }

  actions() {
    return Object.fromEntries(["undo", "redo", "previous"].map((name) => [name, () => this[name]()]));
  }

  /** Something is said of an item; `seen` is what its entry shows beside it. */
  say(item, said, seen) {
    this.undone = [];
    this.put(item, said, seen);
  }

  put(item, said, seen) {
    const stroke = { ...said, event_id: uuid() };
    this.back = -1;
    this.given.push({ at: Date.now(), stroke, item, seen });
    this.page.supply.done(item);
    const others = this.entries.filter((entry) => entry.event_id !== stroke.supersedes);
    this.entries = [{ ...seen, ...stroke, pending: true }, ...others].slice(0, KEPT);
    this.outbox.add(stroke);
    this.page.rail();
    this.page.open();
  }

  undo() {
    const [newest] = this.entries;
    const last = this.given.pop() ?? (newest && { ...this.page.recall(newest), seen: newest });
    if (!last) {
      toast("There is nothing to undo.", "note");
      return;
    }
    const { event_id: undo, actor, pair } = last.stroke;
    this.outbox.add({ event_id: uuid(), undo, actor, pair });
    this.undone.push(last);
    this.entries = this.entries.filter((entry) => entry.event_id !== undo);
    this.page.bring(last.item);
    this.page.rail();
  }

  /** What was taken back last is said again: a new event of the same words. */
  redo() {
    const last = this.undone.pop();
    if (last) this.put(last.item, last.stroke, last.seen);
    else toast("There is nothing to redo.", "note");
  }

  previous() {
    if (this.back + 1 < this.entries.length) this.page.again(this.entries[++this.back]);
  }

  onAck(ack) {
    if (ack.refused) {
      toast(ack.refused);
      return;
    }
    this.element.querySelector(".saved").textContent = `saved #${integer(ack.seq)} at ${clock(ack.at)}`;
    this.count();
  }

  acknowledge(answer) {
    if (answer?.acks) this.outbox.acknowledge(answer.acks);
    if (answer?.history) this.take(answer);
  }

  /** What the server has, after what it does not know of yet. */
  take(answer) {
    const { waiting } = this.outbox;
    const ids = new Set(waiting.map((stroke) => stroke.event_id));
    const gone = new Set(waiting.flatMap((stroke) => [stroke.undo, stroke.supersedes]));
    const pending = this.entries.filter((entry) => entry.pending && ids.has(entry.event_id));
    const stored = answer.history.filter(({ event_id: id }) => !ids.has(id) && !gone.has(id));
    this.entries = [...pending, ...stored].slice(0, KEPT);
    this.counts = answer.counts;
    this.page.rail();
  }

  /** What was said before, and what is unsent goes on; after a stroke the rail comes with the answer. */
  async remember() {
    const { epoch } = this;
    this.outbox.flush();
    const answer = await ask(this.server, "rail", this.page.question(), true);
    if (answer && epoch === this.epoch) this.take(answer);
    this.count();
  }

  /** Statistics anew, once in a while: they may cost more the more was said. */
  async count() {
    this.stale = Boolean(this.counting);
    if (this.counting) return;
    this.counting = true;
    const { epoch } = this;
    const answer = await ask(this.server, "statistics", this.page.question(), true);
    if (answer && epoch === this.epoch) {
      this.page.count(answer);
      this.page.rail();
    }
    setTimeout(() => {
      this.counting = false;
      if (this.stale) this.count();
    }, SETTLE);
  }
}
