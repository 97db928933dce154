// Two videos in step: an episode beside what it is compared with, the same frame of both at once.
import { ask } from "../web/calls.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { Player } from "./player.js";
import { images, Stage } from "./stage.js";
import { peakOf, qualityLine, Strips, stripsOf } from "./strips.js";
import { verdict } from "./verdicts.js";

const template = html`<aside class="wm drawer pair" role="dialog" aria-label="Two videos in step">
  <div class="between"><b class="title"></b><span class="row">
    <button class="quiet" data-do="previous" aria-label="Previous pair">↑ <kbd>p</kbd></button>
    <output class="mono mute"></output>
    <button class="quiet" data-do="next" aria-label="Next pair">↓ <kbd>n</kbd></button>
    <button class="quiet" data-do="close" aria-label="Close">✕ <kbd>esc</kbd></button></span></div>
  <p class="mute text"></p>
  <div class="both"><div><div class="screen"></div><div class="between caption left"></div></div>
    <div class="second"><div class="other"></div><div class="between caption right"></div></div></div>
  <div class="controls"></div><div class="strip"></div></aside>`;

/** An item: {left, right (episode ids, the second may be null), title, text, frame}. */
class Pair {
  constructor({ server, names, onClose = () => {} }) {
    this.server = server;
    this.names = names;
    this.onClose = onClose;
    this.items = [];
    this.index = 0;
    this.second = [];
    const place = document.createElement("div");
    fill(place, template);
    /** @type {any} */
    this.element = place.firstElementChild;
    document.body.append(this.element);
    this.find = (selector) => this.element.querySelector(selector);
    this.stage = new Stage(this.find(".other"), { label: `${names[1]} frame` });
    this.strips = new Strips(this.find(".strip"), { onSeek: (frame) => this.player.clock.jump(frame) });
    this.player = new Player(this.find(".controls"), {
      picture: this.find(".screen"),
      label: `${names[0]} frame`,
      onCursor: (frame) => this.cursor(frame),
    });
    const handlers = { next: () => this.go(1), previous: () => this.go(-1), close: () => this.close() };
    this.release = keys.over(["drawer", "player"], { ...this.player.clock.actions(), ...handlers });
    this.element.addEventListener("click", (event) => {
      handlers[event.target.closest("[data-do]")?.dataset.do]?.();
    });
  }

  /** Show the pairs, from the one at `index`. */
  open(items, index = 0) {
    Object.assign(this, { items, index });
    return this.show();
  }

  go(by) {
    const index = this.index + by;
    if (index < 0 || index >= this.items.length) return null;
    this.index = index;
    return this.show();
  }

  async show() {
    const item = this.items[this.index];
    this.find(".title").textContent = item.title;
    this.find(".text").textContent = item.text ?? "";
    this.find("output").textContent = `${this.index + 1} of ${this.items.length}`;
    this.player.note.textContent = "fetching the videos…";
    const clip = (id) => (id ? ask(this.server, "clip", { episode: id }) : null);
    const [left, right] = await Promise.all([clip(item.left), clip(item.right)]);
    if (this.items[this.index] !== item || !this.element.isConnected) return;
    this.player.note.textContent = left ? "" : "this episode cannot be shown";
    this.find(".second").hidden = !right;
    this.second = right ? images(right.frames) : [];
    if (!left) return;
    // The shorter of the two stands still at its end.
    const frames = [...left.frames];
    while (frames.length < this.second.length) frames.push(frames[frames.length - 1]);
    this.player.load(frames, { chunk: left.chunk, at: item.frame ?? 0, peak: peakOf(left) });
    const { psnr, onset = null } = left.lineage ?? {};
    this.player.transport.mark(onset);
    const quality = psnr?.length ? [qualityLine(psnr)] : [];
    this.strips.show(stripsOf(left, { lines: [...(left.lines ?? []), ...quality] }));
    [left, right].forEach((one, side) => this.caption(one, side));
    this.cursor(this.player.clock.cursor);
    if (!item.frame) this.player.clock.play();
  }

  caption(clip, side) {
    if (!clip) return;
    fill(
      this.find(side ? ".right" : ".left"),
      html`<span><b>${this.names[side]}</b></span><span class="row">${verdict(clip)}
        ${clip.shipped ? "" : html`<a href="episodes?ep=${encodeURIComponent(clip.id)}">open</a>`}</span>`,
    );
  }

  cursor(frame) {
    this.strips.cursor(frame);
    const image = this.second[Math.min(frame, this.second.length - 1)];
    if (image) this.stage.paint(image, frame);
  }

  close() {
    this.player.clock.pause();
    this.release();
    this.element.remove();
    this.onClose();
  }
}

/** One drawer at a time.
 * @type {Pair | null} */
let open = null;
/** Show pairs in a drawer of their own. */
export const showPairs = (server, names, items, index = 0) => {
  open?.close();
  open = new Pair({ server, names, onClose: () => (open = null) });
  return open.open(items, index);
};
