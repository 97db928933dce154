// Reality beside the dream: the same actions in the simulator, frame by frame, side by side, wiped
// over each other, or as their difference.
import { ask } from "../web/calls.js";
import { fill, html } from "../web/html.js";
import { verdict } from "./player.js";
import { images, Stage } from "./stage.js";

const VIEWS = ["dream", "side by side", "wipe", "difference"];

export class Twin {
  /** `path()` names what is compared, null where nothing is; `ask()` lets the simulator play it;
   * `say(text)` tells what is waited for, null when it is over; `onChange()` after another view. */
  constructor(element, player, { server, path, ask, say, onChange }) {
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
    this.view = "dream";
    this.wipe = 0.5;
    fill(
      element,
      html`<div class="real-stage"></div><div class="between caption"><span><b class="real">Real</b> · same
        actions</span>
        <span class="words"></span></div>`,
    );
    this.stage = new Stage(element.querySelector(".real-stage"), { label: "Real frame" });
    this.words = element.querySelector(".words");
    /** @type {any} */
    this.bar = document.createElement("div");
    this.bar.className = "views row";
    fill(
      this.bar,
      html`${VIEWS.map((view) => html`<button class="quiet" data-view="${view}">${view}</button>`)}
        <input type="range" min="0" max="1" step="0.01" value="0.5" aria-label="Where the wipe is" hidden>
        <span class="mute small" role="status"></span>`,
    );
    player.root.append(this.bar);
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
    Object.assign(this, { images: [], found: null, key: null });
    this.stage?.clear();
    this.set("dream");
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

  async show(view) {
    if (view !== "dream" && !this.current && !(await this.fetch())) return;
    this.set(view);
    this.onChange();
  }

  set(view) {
    this.view = view;
    this.element.hidden = view !== "side by side";
    this.bar.hidden = this.found === null;
    this.slider.hidden = view !== "wipe";
    this.bar.querySelectorAll("[data-view]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    });
    this.repaint();
  }

  async fetch() {
    if (this.path() === null) return false;
    this.say("the simulator plays the same actions…");
    const found = await this.ask();
    const clip = found && (await ask(this.server, "clip", { episode: found.twin }));
    this.say(null);
    if (!clip) return false;
    Object.assign(this, {
      found,
      key: this.path(),
      images: images(clip.frames.slice(found.first_frame)),
    });
    this.describe();
    return true;
  }

  describe() {
    const { imagined, real, onset } = this.found;
    fill(this.words, verdict(real));
    const agree = imagined.success === real.success ? "the verdicts agree" : "the verdicts differ";
    const when = onset === null || onset === undefined ? "no divergence" : `diverges at frame ${onset}`;
    this.bar.querySelector("[role=status]").textContent = `${agree} · ${when}`;
  }

  cursor(frame) {
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

  lines() {
    if (!this.found || !this.current) return [];
    const { psnr, ssim, onset } = this.found;
    const frames = (values) => values.map((_, index) => index);
    // The first frame is the same: its infinite ratio would flatten all others.
    const finite = psnr.map((value) => (value === null || value > 60 ? 60 : value)).slice(1);
    const mark =
      onset === null || onset === undefined ? null : { frame: onset, text: `diverges at ${onset}` };
    return [
      {
        name: "psnr",
        frames: frames(finite).map((frame) => frame + 1),
        values: finite,
        tone: "real",
        mark,
      },
      { name: "ssim", frames: frames(ssim), values: ssim, low: 0, high: 1, tone: "real" },
    ];
  }
}
