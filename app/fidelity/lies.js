// Where a world model lies: how many real failures it dreams as successes, those dreams as films in
// the order in which they part from reality, and when they do.

import { stacked } from "../player/chart.js";
import { ask } from "../web/calls.js";
import { integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const FIRST = 12; // films that are shown before somebody asks for all
const ASKED = 12; // films in one answer
const BIN = 2; // frames in a column of the histogram
const [WIDTH, FLOOR] = [420, 120];

/** @typedef {import("../web/wire.d.ts").PairRecord} PairRecord */

export const share = (/** @type {number} */ value) => `${(100 * value).toFixed(0)} %`;
export const range = (/** @type {number[]} */ [low, high]) =>
  `${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)} %`;

/** By onset, the earliest first; what was not measured or never parts comes last. */
const byOnset = (/** @type {PairRecord} */ one, /** @type {PairRecord} */ other) =>
  (one.onset ?? Infinity) - (other.onset ?? Infinity) || one.start_id - other.start_id;

const template = html`<div class="card answer"></div><div class="card onsets" hidden></div>
  <div class="card agreement" hidden></div><div class="card liars" hidden><div class="between"><h3></h3>
    <button class="quiet all" data-do="all"></button></div><div class="wall"></div></div>`;

export class Lies {
  /** `onOpen(pairs, index)` shows pairs from close up.
   * @param {Element} place
   * @param {{server: import("../web/types.d.ts").Server,
   *   onOpen: (pairs: PairRecord[], index: number) => void}} parts */
  constructor(place, { server, onOpen }) {
    fill(place, template);
    this.server = server;
    this.onOpen = onOpen;
    this.find = (/** @type {string} */ selector) => /** @type {any} */ (place.querySelector(selector));
    /** @type {PairRecord[]} */
    this.liars = [];
    /** @type {PairRecord[]} */
    this.failures = [];
    this.chunk = 8;
    place.addEventListener("click", (/** @type {any} */ event) => this.click(event));
  }

  /** Everything of a run; `pairs` are all of its model's, none where no videos are there.
   * @param {any} found
   * @param {PairRecord[]} pairs */
  show(found, pairs) {
    this.run = found.run;
    this.failures = pairs.filter(({ cell }) => ["false_success", "true_failure"].includes(cell ?? ""));
    this.liars = pairs.filter(({ cell }) => cell === "false_success").sort(byOnset);
    this.chunk = found.curves?.chunk_size ?? 8;
    this.answer(found);
    this.onsets();
    this.wall(FIRST);
  }

  answer(/** @type {any} */ { lies, models, curves, settings = {} }) {
    const place = this.find(".answer");
    place.hidden = !curves;
    const own = lies.imagined;
    if (!own) {
      fill(place, html`<p class="mute">No reward model judged these dreams: only pixels were compared.</p>`);
      return;
    }
    const { count, failures, interval } = own;
    const other = lies.baseline;
    const played = settings.pool ? html` Starts it has not learnt from, played in the simulator.` : "";
    fill(
      place,
      html`<h3>Can I believe this world model?</h3>
        <p class="first"><b class="mono">${count} of ${failures}</b> real failures are dreamt as successes</p>
        <p class="mute"><b class="${count ? "bad" : "ok"}">${failures ? share(count / failures) : "–"}</b>
          · 95 % interval ${range(interval)}${
            other ? ` · without alignment ${other.count} of ${other.failures}` : ""
          }</p>
        <p class="mute small">${name(models.world_model)}, judged by ${name(models.reward_model)}. A policy that
          trains in these dreams is rewarded for failing in just this way.${played}</p>
        ${
          this.liars.length
            ? html`<button class="primary" data-pair="0">▶ Watch the ${integer(this.liars.length)}, the first to part
            first</button>`
            : ""
        }`,
    );
  }

  /** When dreams of real failures part from reality: liars below, honest dreams above. */
  onsets() {
    const place = this.find(".onsets");
    const known = this.failures.filter(({ onset }) => onset !== null);
    place.hidden = !known.length;
    if (!known.length) return;
    const last = Math.max(...this.failures.map(({ onset, end_step }) => Math.max(onset ?? 0, end_step)));
    const bins = Math.ceil(last / BIN);
    const within = (pairs, bin) =>
      pairs.filter(({ onset }) => onset !== null && Math.floor(onset / BIN) === bin).length;
    const honest = known.filter(({ cell }) => cell === "true_failure");
    const lying = known.filter(({ cell }) => cell === "false_success");
    const never = this.failures.length - known.length;
    const columns = Array.from({ length: bins }, (_, bin) => {
      const counts = [within(lying, bin), within(honest, bin)];
      return {
        title: `frames ${bin * BIN} and ${bin * BIN + 1}: ${counts[0]} dreamt as success, ${counts[1]} as failure`,
        parts: /** @type {[number, string][]} */ ([
          [counts[0], "lie"],
          [counts[1], "honest"],
        ]),
      };
    });
    const label = (frame) => (frame / BIN) * (WIDTH / bins);
    const marks = Array.from({ length: Math.floor(last / this.chunk) + 1 }, (_, chunk) => chunk * this.chunk);
    const middle = known.map(({ onset }) => Number(onset)).sort((a, b) => a - b)[known.length >> 1];
    fill(
      place,
      html`<h3>When dreams of real failures part from reality</h3>
        <svg viewBox="0 0 ${WIDTH} ${FLOOR + 18}" role="img"
          aria-label="Onsets of divergence by frame, half of them by frame ${middle}">
          ${stacked(columns, { width: WIDTH, floor: FLOOR })}
          <line class="axis" x1="0" x2="${WIDTH}" y1="${FLOOR}" y2="${FLOOR}"/>
          ${marks.map(
            (frame) => html`<line class="axis" x1="${label(frame)}" x2="${label(frame)}" y1="${FLOOR}"
              y2="${FLOOR + 4}"/><text x="${label(frame) + 2}" y="${FLOOR + 15}">${frame}</text>`,
          )}</svg>
        <p class="mute small legend"><span><i class="lie"></i>dreamt as success</span><span><i
          class="honest"></i>as failure</span><span>half by frame ${middle}${
            never ? ` · ${never} never part` : ""
          }</span></p>
        <p class="mute small">Apart: the reward model sees one of them at least 25 points nearer to success.</p>`,
    );
  }

  wall(/** @type {number} */ count) {
    const place = this.find(".liars");
    place.hidden = !this.liars.length;
    const shown = this.liars.slice(0, count);
    place.querySelector("h3").textContent = "Real failures dreamt as successes, the first to part first";
    const all = place.querySelector(".all");
    all.hidden = shown.length === this.liars.length;
    all.textContent = `All ${integer(this.liars.length)}`;
    const tile = ({ imagined, start_id, onset, end_step }, index) => {
      const when = onset === null ? "never parts" : `parts at ${onset}`;
      return html`<button class="liar" data-pair="${index}"
        aria-label="Start ${integer(start_id)}: ${when}, dreamt success at ${end_step}. Open dream and reality">
        <span class="pair-film" data-film="${imagined}"></span>
        <span class="between sides"><b class="ok">dream ✓ ${end_step}</b><b class="bad">real ✕</b></span>
        <span class="mute small">${when}</span></button>`;
    };
    fill(place.querySelector(".wall"), html`${shown.map(tile)}`);
    this.fetch(shown.map(({ imagined }) => imagined));
  }

  async fetch(/** @type {string[]} */ names) {
    const { run } = this;
    for (let first = 0; first < names.length; first += ASKED) {
      const pairs = names.slice(first, first + ASKED);
      const answer = await ask(this.server, "films", { run, pairs }, true);
      if (!answer || run !== this.run) return;
      for (const [name, film] of Object.entries(answer.films)) {
        const place = this.find(`[data-film="${name}"]`);
        if (place) place.style.backgroundImage = `url(${film})`;
      }
    }
  }

  click(/** @type {any} */ event) {
    const { pair, do: action } = event.target.closest("button")?.dataset ?? {};
    if (pair !== undefined) this.onOpen(this.liars, Number(pair));
    if (action === "all") this.wall(this.liars.length);
  }
}

/** A checkpoint by its name. */
export const name = (/** @type {string | undefined} */ id) =>
  id
    ?.split("/")
    .slice(id.startsWith("demo/") ? 1 : 0)
    .join("/") ?? "none";
