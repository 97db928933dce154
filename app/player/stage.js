// The stage: one canvas that shows frames as they are, sharp or smoothed, and hears taps and swipes.
import { fill, html } from "../web/html.js";
import { memory } from "../web/memory.js";

const SWIPE = 40; // pixels from which a touch is a swipe and no longer a tap

/** @typedef {"left" | "right" | "up" | "down"} Way */

/** @type {Set<Stage>} */
const stages = new Set();
/** How frames are enlarged, for every stage of this browser: true interpolates, false shows pixels. */
export const smooth = {
  get: () => memory.get("smooth", false),
  set: (/** @type {boolean} */ value) => {
    memory.set("smooth", value);
    stages.forEach((stage) => stage.soften());
  },
};

export class Stage {
  /** `onTap()` and `onSwipe(way)`; without them touches only scroll.
   * @param {any} root
   * @param {{label: string, onTap?: () => void, onSwipe?: (way: Way) => void}} options */
  constructor(root, { label, onTap, onSwipe }) {
    fill(
      root,
      html`<div class="stage"><canvas width="64" height="64" role="img" aria-label="${label}"></canvas>
        <div class="note"></div><div class="verdict"></div></div>`,
    );
    this.root = root.firstElementChild;
    this.canvas = root.querySelector("canvas");
    this.pen = this.canvas.getContext("2d");
    this.note = root.querySelector(".note");
    this.verdict = root.querySelector(".verdict");
    /** @type {HTMLImageElement | null} */
    this.image = null;
    /** Draws something over each frame.
     * @type {((pen: CanvasRenderingContext2D, number: number) => void) | null} */
    this.after = null;
    stages.forEach((stage) => stage.root.isConnected || stages.delete(stage));
    stages.add(this);
    this.soften();
    if (onTap || onSwipe) this.listen(onTap, onSwipe);
  }

  /** @param {(() => void) | undefined} onTap
   * @param {((way: Way) => void) | undefined} onSwipe */
  listen(onTap, onSwipe) {
    /** @type {number[] | null} */
    let begin = null;
    this.canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      begin = event.isPrimary ? [event.clientX, event.clientY] : null;
    });
    this.canvas.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      if (!begin) return;
      const [dx, dy] = [event.clientX - begin[0], event.clientY - begin[1]];
      begin = null;
      if (Math.hypot(dx, dy) < 10) onTap?.();
      else if (event.pointerType !== "mouse" && Math.max(Math.abs(dx), Math.abs(dy)) > SWIPE)
        onSwipe?.(Math.abs(dx) > Math.abs(dy) ? (dx < 0 ? "left" : "right") : dy < 0 ? "up" : "down");
    });
    this.canvas.addEventListener("pointercancel", () => {
      begin = null;
    });
    this.root.classList.add("touch");
  }

  soften() {
    this.root.classList.toggle("smooth", smooth.get());
  }

  clear() {
    this.image = null;
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    delete this.canvas.dataset.frame;
  }

  /** Show an image, now or when it has arrived; `number` is the frame it stands for.
   * @param {HTMLImageElement | undefined} image
   * @param {number} number */
  paint(image, number) {
    this.image = image ?? null;
    if (!image) return;
    if (!image.complete || !image.naturalWidth) {
      image.addEventListener("load", () => this.image === image && this.paint(image, number), {
        once: true,
      });
      return;
    }
    const { naturalWidth: width, naturalHeight: height } = image;
    if (this.canvas.width !== width || this.canvas.height !== height)
      Object.assign(this.canvas, { width, height });
    this.pen.drawImage(image, 0, 0);
    this.after?.(this.pen, number);
    this.canvas.dataset.frame = String(number);
  }

  /** Until a frame is on the screen: drawn, and the screen refreshed since. */
  async drawn() {
    const refresh = () => new Promise(requestAnimationFrame);
    do await refresh();
    while (!this.canvas.dataset.frame && this.root.isConnected);
    await refresh();
  }
}

/** Frames as images: data URIs are decoded once, before they are shown.
 * @type {(frames: (string | HTMLImageElement)[]) => HTMLImageElement[]} */
export const images = (frames) =>
  frames.map((source) => {
    if (source instanceof HTMLImageElement) return source;
    const image = new Image();
    image.decoding = "async";
    image.src = source;
    return image;
  });
