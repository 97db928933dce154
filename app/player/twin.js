// Reality beside the dream: the same actions in the simulator, frame by frame, side by side, wiped
// over each other, or as their difference.
import { ask } from "../web/calls.js";
import { fill, html } from "../web/html.js";
import { images, Stage } from "./stage.js";
import { qualityLine } from "./strips.js";
import { verdict } from "./verdicts.js";

const VIEWS = ["dream", "side by side", "wipe", "difference"];

export class Twin {
  /** `path()` names what is compared, null where nothing is; `ask(quiet)` lets the simulator play it;
   * `say(text)` tells what is waited for, null when it is over; `onChange()` after another view;
   * `bar` is where the views are chosen, if not under the transport. */
  constructor(element, player, { server, path, ask, say, onChange, bar = null }) {
    this.element = element;
    this.player = player;
    this.server = server;
    this.path = path;
    this.ask = ask;
    this.say = say;
    this.onChange = onChange;
    /** @type {HTMLImageElement[]} */
    this.images = [];
    /** @type {any} */
    this.found = null;
    /** @type {string | null} */
    this.key = null;
    /** What was asked of the simulator by itself.
     * @type {string | null} */
    this.asked = null;
    this.view = "dream";
    this.wipe = 0.5;
    this.reserved = false;
    fill(element, html`<div class="real-stage"></div><span class="side-name tag real">reality</span>`);
    this.stage = new Stage(element.querySelector(".real-stage"), { label: "Real frame" });
    this.words = this.stage.verdict;
    /** @type {any} */
    this.bar = bar ?? document.createElement("div");
    this.bar.classList.add("views", "row");
    fill(
      this.bar,
      html`${VIEWS.map((view) => html`<button class="quiet" data-view="${view}">${view}</button>`)}
        <input type="range" min="0" max="1" step="0.01" value="0.5" aria-label="Where the wipe is" hidden>
        <span class="mute small" role="status"></span>`,
    );
    if (!bar) player.root.append(this.bar);
    this.bar.addEventListener("click", (event) => {
      const view = event.target.closest("[data-view]")?.dataset.view;
      if (view) this.show(view);
    });
    this.slider = this.bar.querySelector("input");
    this.slider.addEventListener("input", () => {
      this.wipe = Number(this.slider.value);
      this.repaint();
    });
    player.stage.after = (pen, number) => this.blend(pen, number);
    this.forget();
  }

  forget() {
    Object.assign(this, { images: [], found: null, key: null, asked: null });
    this.stage.clear();
    fill(this.words, html``);
    this.set("dream");
  }

  /** Keep the place of reality beside the dream, for what it will show. */
  reserve(yes) {
    if (this.reserved === yes) return;
    this.reserved = yes;
    this.set(this.view);
  }

  /** Whether reality is that of the path that is shown. */
  get current() {
    return this.key !== null && this.key === this.path();
  }

  next() {
    return this.show(VIEWS[(VIEWS.indexOf(this.view) + 1) % VIEWS.length]);
  }
  difference() {
    return this.show(this.view === "difference" ? "dream" : "difference");
  }

  async show(view, quiet = false) {
    if (view !== "dream" && !this.current && !(await this.fetch(quiet))) return;
    this.set(view);
    this.onChange();
  }

  /** Let reality be known, whatever is shown. */
  async learn(quiet = false) {
    if (!this.current && !(await this.fetch(quiet))) return;
    this.set(this.view);
    this.onChange();
  }

  set(view) {
    this.view = view;
    const waiting = this.reserved && this.found === null;
    this.element.hidden = view !== "side by side" && !waiting;
    this.element.classList.toggle("waiting", waiting);
    this.stage.note.textContent = waiting ? "reality plays the same actions when the dream is over" : "";
    this.bar.classList.toggle("empty-bar", this.found === null);
    this.player.transport.mark(this.current ? this.found.onset : null);
    this.slider.hidden = view !== "wipe";
    this.bar.querySelectorAll("[data-view]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    });
    this.repaint();
  }

  /** `quiet`: nobody asked for it, so nothing waits for it and it comes too late once one goes on. */
  async fetch(quiet = false) {
    const path = this.path();
    if (path === null) return false;
    const words = "the simulator plays the same actions…";
    if (quiet) this.stage.note.textContent = words;
    else this.say(words);
    const found = await this.ask(quiet);
    const clip = found && (await ask(this.server, "clip", { episode: found.twin }, quiet));
    if (quiet) this.stage.note.textContent = "";
    else this.say(null);
    if (!clip || path !== this.path()) return false;
    Object.assign(this, {
      found,
      key: path,
      images: images(clip.frames.slice(found.first_frame)),
    });
    this.describe();
    return true;
  }

  describe() {
    const { imagined, real, onset } = this.found;
    fill(this.words, verdict(real));
    const status = this.bar.querySelector("[role=status]");
    const lies = imagined.success && !real.success;
    const word = ({ success }) => (success ? "success" : "failed");
    status.classList.toggle("bad", lies);
    status.textContent = `dreamt: ${word(imagined)} · reality: ${word(real)}`;
    status.title = onset === null || onset === undefined ? "never apart" : `apart from frame ${onset}`;
  }

  cursor(frame) {
    if (this.element.classList.contains("waiting") && this.player.frames.length)
      this.stage.paint(this.player.frames[0], 0);
    const image = this.images[Math.min(frame, this.images.length - 1)];
    if (image && this.view === "side by side") this.stage.paint(image, frame);
  }

  repaint() {
    if (!this.player.frames.length) return;
    this.player.stage.paint(this.player.frames[this.player.clock.cursor], this.player.clock.cursor);
    this.cursor(this.player.clock.cursor);
  }

  /** Draws reality into the dream's picture. */
  blend(pen, number) {
    const image = this.images[Math.min(number, this.images.length - 1)];
    if (!image?.complete || this.view === "dream" || this.view === "side by side") return;
    const { width, height } = pen.canvas;
    pen.save();
    if (this.view === "difference") pen.globalCompositeOperation = "difference";
    else {
      pen.beginPath();
      pen.rect(width * this.wipe, 0, width, height);
      pen.clip();
    }
    pen.drawImage(image, 0, 0, width, height);
    pen.restore();
  }

  /** What strips show of the comparison: {lines, real, onset}. */
  strips() {
    if (!this.found || !this.current) return { lines: [], real: null, onset: null };
    const { psnr, ssim, onset, judged_real: judged } = this.found;
    const ssims = { name: "ssim", frames: ssim.map((_, index) => index), values: ssim, low: 0, high: 1 };
    return {
      lines: [qualityLine(psnr.slice(1)), { ...ssims, tone: "real" }],
      real: judged?.probabilities ?? null,
      onset: onset ?? null,
    };
  }
}
