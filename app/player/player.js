// The player: a stage, a cursor, and time. A live dream appends frames; a stored clip brings all.
import { fill, html } from "../web/html.js";
import { images, smooth, Stage } from "./stage.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const FRAMES_PER_SECOND = 10;
const FAR_BEHIND = 40; // a live viewer this far behind jumps to the newest second
const JITTER = 3; // frames that a starved live viewer waits for before it goes on

const speeds = SPEEDS.map((speed) => html`<option value="${speed}">${speed}×</option>`);
const template = html`<div class="player"><div class="picture"></div>
  <div class="track"><i class="ticks"></i><i class="band" hidden></i>
    <input type="range" min="0" max="0" value="0" step="1" aria-label="Frame"></div>
  <div class="scrub">
    <button class="quiet" data-do="chunkBack" aria-label="Previous chunk" title="Previous chunk">«</button>
    <button class="quiet" data-do="back" aria-label="Previous frame" title="Previous frame">‹</button>
    <button class="quiet" data-do="play" aria-label="Play the recording">▶</button>
    <button class="quiet" data-do="forward" aria-label="Next frame" title="Next frame">›</button>
    <button class="quiet" data-do="chunkForward" aria-label="Next chunk" title="Next chunk">»</button>
    <output class="mono">– / –</output><span class="grow"></span>
    <button class="quiet looping" data-do="unloop" hidden></button>
    <button class="quiet" data-do="soften" aria-label="Smooth enlargement" title="Sharp pixels or smooth enlargement">▦</button>
    <select aria-label="Speed">${speeds}</select>
  </div></div>`;

export class Player {
  /** `onCursor(frame)` after every move; `onTap`, `onSwipe` replace what touches of the stage do. */
  constructor(root, { label = "Episode frame", onCursor = () => {}, onTap, onSwipe } = {}) {
    fill(root, template);
    this.root = root.firstElementChild;
    this.find = (selector) => this.root.querySelector(selector);
    this.stage = new Stage(this.find(".picture"), {
      label,
      onTap: onTap ?? (() => this.toggle()),
      onSwipe: onSwipe ?? ((way) => this.swipe(way)),
    });
    this.range = this.find("input");
    this.counter = this.find("output");
    this.select = this.find("select");
    this.playButton = this.find("[data-do=play]");
    this.onCursor = onCursor;
    this.onEdge = null; // called instead of stepping past the last frame
    this.clear();
    this.setSpeed(1);
    this.range.addEventListener("input", () => {
      const frame = Number(this.range.value); // pausing draws the slider anew
      this.pause();
      this.seek(frame);
    });
    this.select.addEventListener("change", () => this.setSpeed(Number(this.select.value)));
    const buttons = { ...this.actions(), play: () => this.toggle(), unloop: () => this.setLoop(null) };
    buttons.soften = () => {
      smooth.set(!smooth.get());
      this.refresh();
    };
    this.find(".scrub").addEventListener("click", (event) => {
      buttons[event.target.closest("[data-do]")?.dataset.do]?.();
    });
  }

  get note() {
    return this.stage.note;
  }
  get verdict() {
    return this.stage.verdict;
  }

  clear() {
    Object.assign(this, { frames: [], cursor: 0, total: null, chunk: 8, loop: null, peak: null });
    Object.assign(this, { live: false, running: false, playing: false, starved: false });
    this.stage.clear();
    this.refresh();
  }

  /** A whole clip at once; `loop` is [first, last] frame or null. */
  load(frames, { chunk = 8, loop = null, total = null, at = 0, peak = null, play = false } = {}) {
    this.clear();
    Object.assign(this, { chunk, loop, peak, total: total ?? frames.length - 1 });
    this.append(frames);
    this.seek(loop ? loop[0] : at);
    if (play) this.play();
  }

  append(frames) {
    this.frames.push(...images(frames));
    this.refresh();
  }

  /** Forget frames from a number on: a rewound dream goes on from there. */
  cut(length) {
    this.frames.length = Math.min(this.frames.length, length);
    this.seek(this.cursor);
    this.refresh();
  }

  get last() {
    return Math.max(0, this.frames.length - 1);
  }
  get atEnd() {
    return this.cursor >= this.last;
  }

  seek(frame) {
    this.cursor = Math.min(Math.max(0, Math.round(frame)), this.last);
    this.moved();
  }

  step(frames) {
    this.pause();
    if (frames > 0 && this.atEnd && this.onEdge) this.onEdge();
    else this.seek(this.cursor + frames);
  }

  swipe(way) {
    if (way === "left") this.actions().chunkForward();
    if (way === "right") this.actions().chunkBack();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.select.value = String(speed);
  }

  faster(direction) {
    const index = SPEEDS.indexOf(this.speed) + direction;
    this.setSpeed(SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)]);
  }

  setLoop(loop) {
    this.loop = loop;
    if (loop && (this.cursor < loop[0] || this.cursor > loop[1])) this.cursor = loop[0];
    this.refresh();
  }

  /** The loop begins (edge 0) or ends (edge 1) here; the same key again there lets it go. */
  loopHere(edge) {
    const loop = this.loop ?? [0, this.last];
    if (this.loop && loop[edge] === this.cursor) {
      this.setLoop(null);
      return;
    }
    const next = edge === 0 ? [this.cursor, loop[1]] : [loop[0], this.cursor];
    if (next[0] >= next[1]) next[1 - edge] = edge === 0 ? this.last : 0;
    this.setLoop(next[0] < next[1] ? next : null);
  }

  toggle() {
    this.playing ? this.pause() : this.play();
  }

  pause() {
    this.playing = false;
    this.refresh();
  }

  play() {
    if (this.playing || (!this.frames.length && !this.live)) return;
    const end = this.loop ? this.loop[1] : this.last;
    if (this.frames.length && this.cursor >= end && !this.live) this.seek(this.loop ? this.loop[0] : 0);
    this.playing = true;
    this.due = performance.now() + this.period();
    this.refresh();
    requestAnimationFrame((now) => this.tick(now));
  }

  period() {
    const behind = this.live ? this.last - this.cursor : 0;
    const hurry = behind > 16 ? 2 : behind > 8 ? 1.4 : 1;
    return 1000 / (FRAMES_PER_SECOND * this.speed * hurry);
  }

  tick(now) {
    if (!this.playing || !this.root.isConnected) return;
    // Half a refresh early is nearer to the due time than a whole one late.
    if (now + 8 >= this.due) {
      const period = this.period();
      const late = Math.min(3, Math.max(0, Math.floor((now - this.due) / period)));
      this.due = Math.max(this.due + (1 + late) * period, now - 200);
      this.advance(1 + late);
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  advance(frames) {
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

  /** Everything that changes with the clip or the buttons; what changes with each frame: `moved`. */
  refresh() {
    const total = Math.max(1, this.total ?? this.last);
    this.range.max = String(this.last);
    const style = this.find(".track").style;
    style.setProperty("--filled", this.last / total);
    style.setProperty("--tick", (100 * this.chunk) / Math.max(1, this.last) + "%");
    const [first, last] = this.loop ?? [0, 0];
    style.setProperty("--from", first / Math.max(1, this.last));
    style.setProperty("--to", last / Math.max(1, this.last));
    this.find(".band").hidden = !this.loop;
    const looping = this.find(".looping");
    looping.hidden = !this.loop;
    looping.textContent = this.loop ? `⟲ ${first}–${last} ✕` : "";
    looping.setAttribute("aria-label", `Looping frames ${first} to ${last}. Stop looping`);
    this.find("[data-do=soften]").setAttribute("aria-pressed", String(smooth.get()));
    this.playButton.textContent = this.playing ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", this.playing ? "Pause the recording" : "Play the recording");
    this.moved();
  }

  moved() {
    this.range.value = String(this.cursor);
    this.counter.textContent = this.frames.length ? `${this.cursor} / ${this.total ?? this.last}` : "– / –";
    this.stage.paint(this.frames[this.cursor], this.cursor);
    this.onCursor(this.cursor);
  }

  jump(frame) {
    this.pause();
    this.seek(frame);
  }

  /** What the shared keys do to this player. */
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
      peak: () => this.peak !== null && this.jump(this.peak),
    };
  }
}
export const verdict = (outcome) =>
  outcome.success
    ? html`<span class="tag ok">✓ success at ${outcome.end_step}</span>`
    : html`<span class="tag bad">✕ fail</span>`;
