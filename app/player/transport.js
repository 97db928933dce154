// The transport: a slider and buttons that show a clock and turn it.
import { fill, html } from "../web/html.js";
import { SPEEDS } from "./clock.js";
import { smooth } from "./stage.js";

const speeds = SPEEDS.map((speed) => html`<option value="${speed}">${speed}×</option>`);
export const softener = html`<button class="quiet" data-do="soften" aria-label="Smooth enlargement"
    title="Sharp pixels or smooth enlargement">▦</button>`;
export const speedMenu = html`<select class="speed" aria-label="Speed">${speeds}</select>`;
const standard = html`
    <button class="quiet" data-do="chunkBack" aria-label="Previous chunk" title="Previous chunk">«</button>
    <button class="quiet" data-do="back" aria-label="Previous frame" title="Previous frame">‹</button>
    <button class="quiet" data-do="play" aria-label="Play the recording">▶</button>
    <button class="quiet" data-do="forward" aria-label="Next frame" title="Next frame">›</button>
    <button class="quiet" data-do="chunkForward" aria-label="Next chunk" title="Next chunk">»</button>
    <output class="mono">– / –</output><span class="grow"></span>
    <button class="quiet looping" data-do="unloop" hidden></button>
    ${softener}${speedMenu}`;
const template = (/** @type {any} */ row, /** @type {any} */ under) => html`<div class="player"><div
    class="track"><i class="ticks"></i><i class="band" hidden></i><i class="onset" hidden></i>
    <input type="range" min="0" max="0" value="0" step="1" aria-label="Frame"></div>
  <div class="scrub">${row}</div>${under}</div>`;

export class Transport {
  /** `row` replaces the buttons, `under` comes below them; `act(name)` is true where it did what a
   * button of the row asks for.
   * @param {Element} place
   * @param {import("./clock.js").Clock} clock
   * @param {{row?: any, under?: any, act?: (name: string) => boolean}} [parts] */
  constructor(place, clock, { row = standard, under = "", act = () => false } = {}) {
    fill(place, template(row, under));
    /** @type {any} */
    this.root = place.firstElementChild;
    this.clock = clock;
    this.find = (/** @type {string} */ selector) => this.root.querySelector(selector);
    this.range = this.find("input");
    clock.seen = () => this.root.isConnected;
    clock.watch((changed) => (changed ? this.show() : this.move()));
    this.range.addEventListener("input", () => clock.jump(Number(this.range.value)));
    const speed = this.find(".speed");
    speed.addEventListener("change", () => clock.setSpeed(Number(speed.value)));
    /** @type {Record<string, () => void>} */
    const buttons = { ...clock.actions(), play: () => clock.toggle(), unloop: () => clock.setLoop(null) };
    buttons.soften = () => {
      smooth.set(!smooth.get());
      this.show();
    };
    this.root.addEventListener("click", (/** @type {any} */ event) => {
      const name = event.target.closest("[data-do]")?.dataset.do;
      if (name && !act(name)) buttons[name]?.();
    });
    this.show();
  }

  /** Everything that changes with the clip or the buttons; what changes with each frame: `move`. */
  show() {
    const { last, loop, playing, speed, chunk } = this.clock;
    const end = Math.max(1, last);
    this.range.max = String(last);
    const style = this.find(".track").style;
    style.setProperty("--filled", last / Math.max(1, this.clock.total ?? last));
    style.setProperty("--tick", `${(100 * chunk) / end}%`);
    style.setProperty("--from", (loop?.[0] ?? 0) / end);
    style.setProperty("--to", (loop?.[1] ?? 0) / end);
    this.find(".band").hidden = !loop;
    const looping = this.find(".looping");
    looping.hidden = !loop;
    looping.textContent = loop ? `⟲ ${loop[0]}–${loop[1]} ✕` : "";
    if (loop) looping.setAttribute("aria-label", `Looping frames ${loop[0]} to ${loop[1]}. Stop looping`);
    this.find(".speed").value = String(speed);
    this.find("[data-do=soften]").setAttribute("aria-pressed", String(smooth.get()));
    const button = this.find("[data-do=play]");
    if (button) {
      button.textContent = playing ? "❚❚" : "▶";
      button.setAttribute("aria-label", playing ? "Pause the recording" : "Play the recording");
    }
    this.move();
  }

  /** Mark the frame from which the clip and what it is compared with are apart; null: nothing. */
  mark(/** @type {number | null} */ frame) {
    const place = this.find(".onset");
    place.hidden = frame === null;
    place.style.setProperty("--at", (frame ?? 0) / Math.max(1, this.clock.total ?? this.clock.last));
    place.title = frame === null ? "" : `apart from frame ${frame}`;
  }

  move() {
    const { cursor, length, total, last } = this.clock;
    this.range.value = String(cursor);
    this.find("output").textContent = length ? `${cursor} / ${total ?? last}` : "– / –";
  }
}
