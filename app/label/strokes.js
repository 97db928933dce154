// Strokes: what a person says, one key each. On its way at once, undone and given again without end,
// counted; the screen never waits for the server, and nothing is lost.
import { Judging } from "../judging/judging.js";
import { ask } from "../web/calls.js";
import { clock, integer } from "../web/formats.js";
import { toast } from "../web/toast.js";

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
  constructor(element, server, page) {
    this.element = element;
    this.server = server;
    this.page = page;
    this.judging = new Judging(server, { mode: "label", onAck: (ack) => this.onAck(ack) });
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
    const stroke = this.judging.send(said);
    this.back = -1;
    this.given.push({ at: Date.now(), stroke, item, seen });
    this.page.supply.done(item);
    const others = this.entries.filter((entry) => entry.event_id !== stroke.supersedes);
    this.entries = [{ ...seen, ...stroke, pending: true }, ...others].slice(0, KEPT);
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
    this.judging.undo(last.stroke);
    this.undone.push(last);
    this.forget(last.stroke.event_id);
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

  /** What does not stand is no way back. */
  forget(event_id) {
    this.entries = this.entries.filter((entry) => entry.event_id !== event_id);
  }

  onAck(ack) {
    if (ack.refused) {
      this.given = this.given.filter(({ stroke }) => stroke.event_id !== ack.event_id);
      this.forget(ack.event_id);
    } else {
      const { seq, at, saved } = ack;
      const entry = this.entries.find(({ event_id: id }) => id === saved);
      if (entry) Object.assign(entry, { seq, at, pending: false });
      this.element.querySelector(".saved").textContent = `saved #${integer(seq)} at ${clock(at)}`;
    }
    this.page.rail();
    this.count();
  }

  /** What the server has, after what it does not know of yet. */
  take(answer) {
    const { waiting } = this.judging;
    const ids = new Set(waiting.map((stroke) => stroke.event_id));
    const gone = new Set(waiting.flatMap((stroke) => [stroke.undo, stroke.supersedes]));
    const newest = Math.max(0, ...answer.history.map(({ seq }) => seq)); // when it was asked for
    const pending = this.entries.filter(({ event_id: id, seq }) => ids.has(id) || seq > newest);
    const stored = answer.history.filter(({ event_id: id }) => !ids.has(id) && !gone.has(id));
    this.entries = [...pending, ...stored].slice(0, KEPT);
    this.counts = answer.counts;
    this.page.rail();
  }

  /** What was said before, and statistics of it. */
  async remember() {
    const { epoch } = this;
    const question = this.page.question();
    const [rail, statistics] = await Promise.all([
      ask(this.server, "rail", question, true),
      ask(this.server, "statistics", question, true),
    ]);
    if (epoch !== this.epoch) return;
    if (statistics) this.page.count(statistics);
    if (rail) this.take(rail);
    else this.page.rail();
  }

  /** The same anew, once in a while: it may cost more the more was said. */
  async count() {
    this.stale = Boolean(this.counting);
    if (this.counting) return;
    this.counting = true;
    await this.remember();
    setTimeout(() => {
      this.counting = false;
      if (this.stale) this.count();
    }, SETTLE);
  }
}
