// The strips under a video, one cursor for all: success probability of each window, every action
// dimension (the policy's and a person's), and whatever else was measured along the episode.
import { measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { linePath } from "./chart.js";

const NAMES = { 4: ["x", "y", "z", "grip"], 7: ["x", "y", "z", "roll", "pitch", "yaw", "grip"] };
const TOP = 12;
const CURVE = 66;
const ROW = 12;
const LINE = 34;
const GUTTER = 46;
const RIGHT = 6;

export const dimensionNames = (count) =>
  NAMES[count] ?? Array.from({ length: count }, (_, index) => `a${index + 1}`);

/** What strips show of a clip as the studio sends it; `extra` adds or replaces parts. */
export const stripsOf = (clip, extra = {}) => ({
  total: Math.max(1, clip.actions?.length ?? 1),
  chunk: clip.chunk ?? 8,
  ends: clip.ends ?? [],
  probabilities: clip.probabilities ?? [],
  threshold: clip.threshold ?? null,
  actions: clip.actions ?? [],
  human: clip.human ?? [],
  ghost: null,
  lines: clip.lines ?? [],
  real: clip.real_probabilities?.length ? clip.real_probabilities : null,
  onset: clip.lineage?.onset ?? null,
  outcome: clip.success === undefined ? null : { success: clip.success, end_step: clip.end_step },
  window: null,
  ...extra,
});

/** The frame at which the most likely window ends, or null where nothing was judged. */
export const peakOf = (
  /** @type {{ends?: number[], probabilities?: number[]}} */ { ends = [], probabilities = [] },
) => (ends.length ? ends[probabilities.indexOf(Math.max(...probabilities))] - 1 : null);

/** How close a dream is to reality, as a curve, and where the two part.
 * @param {number[]} psnr from frame 1 on */
export const qualityLine = (psnr) => ({
  name: "psnr",
  frames: psnr.map((_, index) => index + 1),
  values: psnr.map((value) => (value === null || value > 60 ? 60 : value)),
  tone: "real",
});

const HANDLE = `<button class="tau-handle mono" role="slider" hidden aria-label="Success threshold" aria-valuemin="0"
  aria-valuemax="1" title="Drag: what would be a success at another threshold"></button>`;

export class Strips {
  /** `onThreshold(value)` while the threshold is dragged; without it, it stands still.
   * @param {any} root
   * @param {{onSeek?: (frame: number) => void, onThreshold?: ((value: number) => void) | null}} listeners */
  constructor(root, { onSeek = () => {}, onThreshold = null } = {}) {
    this.root = root;
    this.data = null;
    this.at = 0;
    root.classList.add("strips");
    root.innerHTML = `<div class="drawing"></div><i class="cursor" hidden></i><b class="reading mono"></b>${HANDLE}`;
    this.handle = root.querySelector(".tau-handle");
    this.onThreshold = onThreshold;
    if (onThreshold) this.grip(onThreshold);
    this.drawing = root.querySelector(".drawing");
    this.line = root.querySelector(".cursor");
    this.reading = root.querySelector(".reading");
    const seek = (event) => {
      if (!this.data) return;
      const x = event.clientX - root.getBoundingClientRect().left - GUTTER;
      onSeek((x / (root.clientWidth - GUTTER - RIGHT)) * this.data.total);
    };
    root.addEventListener("pointerdown", (event) => {
      if (event.target === this.handle) return;
      root.setPointerCapture(event.pointerId);
      seek(event);
    });
    root.addEventListener("pointermove", (event) => {
      if (event.buttons && event.target !== this.handle) seek(event);
    });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** The threshold follows a finger, a mouse, and the keys ↑ and ↓. */
  grip(/** @type {(value: number) => void} */ onThreshold) {
    const { handle } = this;
    const told = (/** @type {number} */ value) =>
      onThreshold(Math.min(0.999, Math.max(0.001, Math.round(value * 1000) / 1000)));
    const drag = (/** @type {PointerEvent} */ event) =>
      told(1 - (event.clientY - this.root.getBoundingClientRect().top - TOP) / CURVE);
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (event.buttons) drag(event);
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowUp: 0.01, ArrowDown: -0.01 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      told(this.data.threshold + by);
    });
  }

  /** Data as `stripsOf` gives it. */
  show(data) {
    this.data = data;
    this.draw();
  }

  x(frame) {
    return GUTTER + (frame / this.data.total) * (this.width - GUTTER - RIGHT);
  }

  /** Only moves what lies over the drawing: this happens with every frame. */
  cursor(frame) {
    this.at = frame;
    if (!this.data || !this.width) return;
    const x = this.x(frame);
    this.line.style.transform = `translateX(${x.toFixed(1)}px)`;
    const index = this.data.ends.findLastIndex((end) => end - 1 <= frame);
    this.reading.textContent = index < 0 ? "" : `p ${this.data.probabilities[index].toFixed(2)}`;
    const left = x > this.width - 64 ? x - 52 : x + 5;
    this.reading.style.transform = `translateX(${left.toFixed(1)}px)`;
  }

  draw() {
    this.width = this.root.clientWidth;
    this.line.hidden = !this.data || !this.width;
    if (this.line.hidden) {
      this.drawing.innerHTML = "";
      return;
    }
    const { total, actions, ghost, lines } = this.data;
    const dimensions = actions[0]?.length ?? ghost?.actions[0]?.length ?? 4;
    const rows = TOP + CURVE + 12;
    const below = rows + dimensions * ROW + 6;
    const bottom = below + lines.length * LINE;
    const names = ["success probability per window", `${dimensions} action dimensions`];
    const words = [...names, ...lines.map((line) => line.name)].join(", ");
    fill(
      this.drawing,
      html`<svg width="${this.width}" height="${bottom + 16}" role="img" aria-label="${words}, over ${total} frames">
      ${this.ticks(bottom)}${this.probability()}${this.parting(bottom)}${this.actionRows(rows, dimensions)}
      ${lines.map((line, index) => this.measured(line, below + index * LINE))}</svg>`,
    );
    this.line.style.height = `${bottom}px`;
    const { threshold } = this.data;
    this.handle.hidden = !this.onThreshold || threshold === null || threshold === undefined;
    if (!this.handle.hidden) {
      this.handle.style.top = `${TOP + CURVE * (1 - threshold)}px`;
      this.handle.textContent = `τ ${threshold.toFixed(2)} ↕`;
      this.handle.setAttribute("aria-valuenow", threshold.toFixed(3));
    }
    this.cursor(this.at);
  }

  ticks(bottom) {
    const { total, chunk } = this.data;
    const count = Math.floor(total / chunk);
    const skip = Math.ceil(count / Math.max(1, Math.floor(this.width / 46)));
    return Array.from({ length: count + 1 }, (_, index) => {
      const x = this.x(index * chunk);
      const number = html`<text x="${x}" y="${bottom + 12}" text-anchor="middle">${index * chunk}</text>`;
      return html`<line x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}" class="tick"/>${index % skip ? "" : number}`;
    });
  }

  path(frames, values, y) {
    return linePath(frames.map((frame, index) => [this.x(frame), y(values[index])]));
  }

  probability() {
    const { ends, probabilities, threshold, outcome, window, real } = this.data;
    const y = (value) => TOP + CURVE * (1 - value);
    const end = this.width - RIGHT;
    const shade = window
      ? html`<rect x="${this.x(window[0])}" y="${TOP}" width="${this.x(window[1]) - this.x(window[0])}"
          height="${CURVE}" class="window"/>`
      : "";
    const known = threshold !== null && threshold !== undefined;
    const tau = known
      ? html`<line x1="${GUTTER}" x2="${end}" y1="${y(threshold)}" y2="${y(threshold)}" class="tau"/>
        ${
          this.onThreshold
            ? ""
            : html`<text x="${GUTTER + 5}" y="${y(threshold) - 4}" class="tau">τ ${threshold.toFixed(2)}</text>`
        }`
      : "";
    const x = outcome?.success ? this.x(outcome.end_step) : null;
    const hit =
      x === null
        ? ""
        : html`<line x1="${x}" x2="${x}" y1="${TOP}" y2="${TOP + CURVE}" class="hit"/>
          <circle cx="${x}" cy="${TOP}" r="3.5" class="hit"/>`;
    const frames = ends.map((value) => value - 1);
    const beside = real
      ? html`<path d="${this.path(frames.slice(0, real.length), real.slice(0, frames.length), y)}"
          class="measured real"/>`
      : "";
    return html`${shade}<text x="0" y="${y(1) + 8}">p 1</text><text x="0" y="${y(0)}">0</text>
      <line x1="${GUTTER}" x2="${end}" y1="${y(0)}" y2="${y(0)}" class="axis"/>${tau}${beside}
      <path d="${this.path(frames, probabilities, y)}" class="curve"/>${hit}`;
  }

  /** From where the clip and its real twin are apart. */
  parting(bottom) {
    const { onset } = this.data;
    if (onset === null || onset === undefined) return "";
    const x = this.x(onset);
    const [anchor, side] = x > this.width - 130 ? ["end", -4] : ["start", 4];
    return html`<line x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${bottom}" class="onset"/>
      <text x="${x + side}" y="${TOP + CURVE - 6}" text-anchor="${anchor}" class="onset">apart from ${onset}</text>`;
  }

  /** A person's actions carry a frame and a line above them, the policy's proposal only a frame. */
  actionRows(top, dimensions) {
    const { actions, human, ghost } = this.data;
    const proposed = ghost?.actions ?? [];
    const scale = Math.max(1, ...actions.flat().map(Math.abs), ...proposed.flat().map(Math.abs));
    const cell = (value, frame, y, kind) => {
      const left = this.x(frame) + 0.4;
      const width = Math.max(1, this.x(frame + 1) - left - 0.4);
      return html`<rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="9" rx="1.5"
        class="${value < 0 ? "minus" : "plus"} ${kind}"
          style="--size:${Math.min(1, Math.abs(value / scale)).toFixed(2)}"/>`;
    };
    const rows = dimensionNames(dimensions).map((name, row) => {
      const y = top + row * ROW;
      const cells = actions.map((action, at) => cell(action[row], at, y, human[at] ? "human" : ""));
      const ghosts = proposed.map((action, index) => cell(action[row], ghost.from + index, y, "ghost"));
      return html`<text x="0" y="${y + 8}">${name}</text>${cells}${ghosts}`;
    });
    const spans = human.map((yes, at) =>
      yes
        ? html`<rect x="${this.x(at)}" y="${top - 4}" width="${this.x(at + 1) - this.x(at)}" height="2.5" class="you"/>`
        : "",
    );
    const first = human.indexOf(true);
    const you = first < 0 ? "" : html`<text x="${this.x(first)}" y="${top - 6}" class="you">you</text>`;
    return html`${rows}${spans}${you}`;
  }

  /** {name, frames, values, low?, high?}: a curve with a scale of its own.
   * @param {any} line
   * @param {number} top */
  measured({ name, frames, values, low = null, high = null, tone = "" }, top) {
    const least = low ?? Math.min(...values, 0);
    const most = high ?? Math.max(...values, least + 1e-6);
    const y = (value) => top + 10 + (LINE - 14) * (1 - (value - least) / (most - least || 1));
    return html`<text x="0" y="${top + 20}">${name}</text>
      <text x="${GUTTER + 4}" y="${top + 12}" class="scale">${values.length ? measure(most) : ""}</text>
      <path d="${this.path(frames, values, y)}" class="measured ${tone}"/>`;
  }
}
