// The player: a stage over a transport, and one clock for both. A live dream appends frames; a stored
// clip brings all.
import { html } from "../web/html.js";
import { Clock } from "./clock.js";
import { images, Stage } from "./stage.js";
import { Transport } from "./transport.js";

/** @typedef {import("./stage.js").Way} Way */

export class Player {
  /** @type {HTMLImageElement[]} */
  frames = [];

  /** `onCursor(frame)` after every move; `onTap`, `onSwipe` replace what touches of the stage do.
   * @param {Element} place
   * @param {{label?: string, onCursor?: (frame: number) => void, onTap?: () => void,
   *   onSwipe?: (way: Way) => void}} options */
  constructor(place, { label = "Episode frame", onCursor = () => {}, onTap, onSwipe } = {}) {
    this.clock = new Clock();
    this.root = new Transport(place, this.clock).root;
    const picture = document.createElement("div");
    picture.className = "picture";
    this.root.prepend(picture);
    this.stage = new Stage(picture, {
      label,
      onTap: onTap ?? (() => this.clock.toggle()),
      onSwipe: onSwipe ?? ((way) => this.swipe(way)),
    });
    this.clock.watch(() => {
      this.stage.paint(this.frames[this.clock.cursor], this.clock.cursor);
      onCursor(this.clock.cursor);
    });
  }

  get note() {
    return this.stage.note;
  }
  get verdict() {
    return this.stage.verdict;
  }

  clear() {
    this.frames = [];
    this.stage.clear();
    this.clock.clear();
  }

  /** A whole clip at once; `clip` as `Clock.load` has it.
   * @param {(string | HTMLImageElement)[]} frames
   * @param {Parameters<Clock["load"]>[1]} [clip] */
  load(frames, clip) {
    this.frames = images(frames);
    this.stage.clear();
    this.clock.load(frames.length, clip);
  }

  append(/** @type {string[]} */ frames) {
    this.frames.push(...images(frames));
    this.clock.grow(frames.length);
  }

  cut(/** @type {number} */ length) {
    this.frames.length = Math.min(this.frames.length, length);
    this.clock.cut(length);
  }

  swipe(/** @type {Way} */ way) {
    if (way === "left") this.clock.actions().chunkForward();
    if (way === "right") this.clock.actions().chunkBack();
  }
}

/** The outcome of an episode as a tag.
 * @param {{success: boolean, end_step: number}} outcome */
export const verdict = (outcome) =>
  outcome.success
    ? html`<span class="tag ok">✓ success at ${outcome.end_step}</span>`
    : html`<span class="tag bad">✕ fail</span>`;
