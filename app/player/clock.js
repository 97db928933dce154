// Time over numbered frames: it plays, loops, steps, and waits for a live dream; pictures are not its own.
export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const FRAMES_PER_SECOND = 10;
const FAR_BEHIND = 40; // a live viewer this far behind jumps to the newest second
const JITTER = 3; // frames that a starved live viewer waits for before it goes on

/** @typedef {[first: number, last: number]} Loop */

export class Clock {
  /** Called instead of stepping past the last frame.
   * @type {(() => void) | null} */
  onEdge = null;
  /** Whether anybody still looks; an unseen clock stops. */
  seen = () => true;
  speed = 1;
  /** @type {((changed: boolean) => void)[]} */
  watchers = [];
  due = 0;
  turn = 0;
  // What `clear` brings back.
  length = 0;
  cursor = 0;
  chunk = 8;
  /** @type {number | null} */
  total = null;
  /** @type {Loop | null} */
  loop = null;
  /** @type {number | null} */
  peak = null;
  live = false;
  running = false;
  playing = false;
  starved = false;

  /** `soon(tick)` is the next refresh of the screen, `now()` the time of it in milliseconds. */
  constructor({
    soon = (/** @type {(now: number) => void} */ tick) => void requestAnimationFrame(tick),
    now = () => performance.now(),
  } = {}) {
    this.soon = soon;
    this.now = now;
  }

  /** Call after every move; with `true` also when something else than the cursor changed.
   * @param {(changed: boolean) => void} callback */
  watch(callback) {
    this.watchers.push(callback);
  }
  tell(changed = true) {
    for (const callback of this.watchers) callback(changed);
  }

  clear() {
    Object.assign(this, { length: 0, cursor: 0, total: null, chunk: 8, loop: null, peak: null });
    Object.assign(this, { live: false, running: false, playing: false, starved: false });
    this.tell();
  }

  /** A whole clip at once; `loop` is [first, last] frame or null.
   * @param {number} length
   * @param {{chunk?: number, loop?: Loop | null, total?: number | null, at?: number, peak?: number | null,
   *   play?: boolean}} clip */
  load(length, { chunk = 8, loop = null, total = null, at = 0, peak = null, play = false } = {}) {
    Object.assign(this, { live: false, running: false, playing: false, starved: false });
    Object.assign(this, { length, chunk, loop, peak, total: total ?? length - 1 });
    this.cursor = this.within(loop ? loop[0] : at);
    this.tell();
    if (play) this.play();
  }

  /** Frames were appended. */
  grow(/** @type {number} */ frames) {
    this.length += frames;
    this.tell();
  }

  /** Forget frames from a number on: a rewound dream goes on from there. */
  cut(/** @type {number} */ length) {
    this.length = Math.min(this.length, length);
    this.cursor = this.within(this.cursor);
    this.tell();
  }

  get last() {
    return Math.max(0, this.length - 1);
  }
  get atEnd() {
    return this.cursor >= this.last;
  }

  within(/** @type {number} */ frame) {
    return Math.min(Math.max(0, Math.round(frame)), this.last);
  }

  seek(/** @type {number} */ frame) {
    this.cursor = this.within(frame);
    this.tell(false);
  }

  jump(/** @type {number} */ frame) {
    this.pause();
    this.seek(frame);
  }

  step(/** @type {number} */ frames) {
    this.pause();
    if (frames > 0 && this.atEnd && this.onEdge) this.onEdge();
    else this.seek(this.cursor + frames);
  }

  setSpeed(/** @type {number} */ speed) {
    this.speed = speed;
    this.tell();
  }

  faster(/** @type {number} */ direction) {
    const index = SPEEDS.indexOf(this.speed) + direction;
    this.setSpeed(SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)]);
  }

  setLoop(/** @type {Loop | null} */ loop) {
    this.loop = loop;
    if (loop && (this.cursor < loop[0] || this.cursor > loop[1])) this.cursor = loop[0];
    this.tell();
  }

  /** The loop begins (edge 0) or ends (edge 1) here; the same key again there lets it go. */
  loopHere(/** @type {0 | 1} */ edge) {
    const loop = this.loop ?? [0, this.last];
    if (this.loop && loop[edge] === this.cursor) {
      this.setLoop(null);
      return;
    }
    /** @type {Loop} */
    const next = edge === 0 ? [this.cursor, loop[1]] : [loop[0], this.cursor];
    if (next[0] >= next[1]) next[1 - edge] = edge === 0 ? this.last : 0;
    this.setLoop(next[0] < next[1] ? next : null);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  pause() {
    this.playing = false;
    this.tell();
  }

  play() {
    if (this.playing || (!this.length && !this.live)) return;
    const [first, last] = this.loop ?? [0, this.last];
    if (this.length && this.cursor >= last && !this.live) this.seek(first);
    this.playing = true;
    this.due = this.now() + this.period();
    this.tell();
    const turn = ++this.turn;
    this.soon((now) => this.tick(now, turn));
  }

  period() {
    const behind = this.live ? this.last - this.cursor : 0;
    const hurry = behind > 16 ? 2 : behind > 8 ? 1.4 : 1;
    return 1000 / (FRAMES_PER_SECOND * this.speed * hurry);
  }

  /** @param {number} now @param {number} turn of playing; what an earlier one asked for is late */
  tick(now, turn) {
    if (turn !== this.turn || !this.playing || !this.seen()) return;
    // Half a refresh early is nearer to the due time than a whole one late.
    if (now + 8 >= this.due) {
      const period = this.period();
      const late = Math.min(3, Math.max(0, Math.floor((now - this.due) / period)));
      this.due = Math.max(this.due + (1 + late) * period, now - 200);
      this.advance(1 + late);
    }
    this.soon((next) => this.tick(next, turn));
  }

  advance(/** @type {number} */ frames) {
    const [first, last] = this.loop ?? [0, this.last];
    const ahead = this.last - this.cursor;
    if (this.live && ahead > FAR_BEHIND) this.cursor = this.last - FRAMES_PER_SECOND;
    if (this.starved && this.running && ahead < JITTER) return;
    this.starved = false;
    if (this.cursor < last) this.seek(Math.min(this.cursor + frames, last));
    else if (this.loop) {
      this.seek(first);
      this.due += 350;
    } else if (this.live) this.starved = true;
    else this.pause();
  }

  /** What the shared keys do to it. */
  actions() {
    return {
      toggle: () => this.toggle(),
      back: () => this.step(-1),
      forward: () => this.step(1),
      chunkBack: () => this.step(-(this.cursor % this.chunk || this.chunk)),
      chunkForward: () => this.step(this.chunk - (this.cursor % this.chunk)),
      first: () => this.jump(0),
      last: () => this.jump(this.last),
      slower: () => this.faster(-1),
      faster: () => this.faster(1),
      loopIn: () => this.loopHere(0),
      loopOut: () => this.loopHere(1),
      peak: () => {
        if (this.peak !== null) this.jump(this.peak);
      },
    };
  }
}
