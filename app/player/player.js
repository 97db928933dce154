// The player: a stage over a transport, and one clock for both. A live dream appends frames; a stored
// clip brings all.
import { Clock } from "./clock.js";
import { images, Stage } from "./stage.js";
import { Transport } from "./transport.js";

/** @typedef {import("./stage.js").Way} Way */

export class Player {
  /** @type {HTMLImageElement[]} */
  frames = [];

  /** `onCursor(frame)` after every move; `onTap`, `onSwipe` replace what touches of the stage do;
   * `picture` is where the stage stands, if not over the transport, `bar` the parts of that.
   * @param {Element} place
   * @param {{label?: string, onCursor?: (frame: number) => void, onTap?: () => void,
   *   onSwipe?: (way: Way) => void, picture?: Element,
   *   bar?: ConstructorParameters<typeof Transport>[2]}} options */
  constructor(place, { label = "Episode frame", onCursor = () => {}, onTap, onSwipe, picture, bar } = {}) {
    this.clock = new Clock();
    this.transport = new Transport(place, this.clock, bar);
    this.root = this.transport.root;
    if (!picture) {
      picture = document.createElement("div");
      picture.className = "picture";
      this.root.prepend(picture);
    }
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
    this.transport.mark(null);
    this.clock.clear();
  }

  /** A whole clip at once; `clip` as `Clock.load` has it.
   * @param {(string | HTMLImageElement)[]} frames
   * @param {Parameters<Clock["load"]>[1]} [clip] */
  load(frames, clip) {
    this.frames = images(frames);
    this.stage.clear();
    this.transport.mark(null);
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
