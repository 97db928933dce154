// A group of siblings in one player: eight films under one cursor, what the update did to each chunk,
// what if a verdict was wrong, and the same start at every checkpoint beside them.
import { Clock } from "../player/clock.js";
import { Transport } from "../player/transport.js";
import { integer, measure, signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const template = html`<div class="between heading"><p class="row"><span class="mono start"></span>
    <span class="tag fate"></span><span class="mute what"></span></p>
    <div class="row flips" hidden><span class="mute count"></span>
    <button data-flip="keep">Keep as my labels</button><button data-flip="back" class="quiet">Put
      back</button></div></div>
  <div class="members"></div><div class="clockwork"></div>
  <p class="mute key-line"><i class="scale"></i> chunk less likely … more likely after the update
    <i class="clip"></i> clipped <span class="grow"></span><span>⇄ flips a verdict: nothing is stored</span></p>`;
const SAID = { success: "✓", fail: "✕", unsure: "?" };
const label = ({ label }) =>
  label?.outcome
    ? html`<span class="you" title="Judged by a person: ${label.outcome}">${SAID[label.outcome]} you</span>`
    : html``;

const member = (record) => html`<div class="member" data-member="${record.id}">
  <a href="episodes?ep=${record.id}" data-episode="${record.id}"><canvas width="64" height="64"></canvas></a>
  <div class="credit"></div><span class="between"><b class="reward"></b><span class="said"></span><span
    class="mono advantage"></span>
    <button class="quiet" data-flip="${record.id}" aria-label="Flip the verdict of member ${record.member}"
      title="What if the verdict was wrong?">⇄</button></span></div>`;

/** One picture of frames side by side, painted frame by frame. */
class Film {
  probe = false;

  constructor(canvas, { film, frames, stride }) {
    this.canvas = canvas;
    this.frames = frames;
    this.stride = stride;
    this.pen = canvas.getContext("2d");
    this.at = 0;
    this.image = new Image();
    this.image.onload = () => {
      this.side = this.image.naturalHeight;
      Object.assign(canvas, { width: this.side, height: this.side });
      this.paint(this.at);
    };
    this.image.src = film;
  }

  paint(frame) {
    this.at = frame;
    if (!this.side) return;
    const index = Math.floor(Math.min(frame, this.frames - 1) / this.stride);
    this.pen.drawImage(this.image, index * this.side, 0, this.side, this.side, 0, 0, this.side, this.side);
    this.canvas.dataset.frame = String(Math.min(frame, this.frames - 1));
  }
}

export class Group {
  ids = "";
  /** @type {any} */
  where = null;

  /** `ask(name, question)` reaches the server; `judging` is the door of labels. */
  constructor(root, { ask, judging }) {
    fill(root, template);
    this.root = root;
    this.ask = ask;
    this.judging = judging;
    this.films = new Map();
    /** @type {any} */
    this.group = null;
    this.flipped = new Set();
    this.epoch = 0;
    this.find = (selector) => root.querySelector(selector);
    this.clock = new Clock();
    new Transport(this.find(".clockwork"), this.clock);
    this.clock.watch(() => this.cursor(this.clock.cursor));
    root.addEventListener("click", (event) => {
      const flip = event.target.closest("[data-flip]")?.dataset.flip;
      if (!flip) return;
      if (flip === "keep") this.keep();
      else if (flip === "back") this.flip(null);
      else this.flip(flip);
    });
  }

  /** Show a group of `strip`; the same one again only refreshes its words. */
  async show(where, group) {
    const ids = group.members.map((record) => record.id).join();
    if (ids === this.ids) {
      this.group = group;
      if (!this.flipped.size) this.words(group);
      return;
    }
    Object.assign(this, { where, group, ids, flipped: new Set() });
    const epoch = ++this.epoch;
    const at = this.clock.playing;
    fill(this.find(".members"), html`${group.members.map(member)}`);
    this.films = new Map([...this.films].filter(([, film]) => film.probe));
    this.words(group);
    const found = await this.ask("films", { episodes: group.members.map((record) => record.id) });
    if (!found || epoch !== this.epoch) return;
    for (const record of group.members) {
      const place = this.find(`[data-member="${CSS.escape(record.id)}"]`);
      this.films.set(record.id, new Film(place.querySelector("canvas"), found[record.id]));
    }
    this.credit(found);
    this.wind(at || !this.seen);
    this.seen = true;
  }

  clear() {
    this.epoch++;
    Object.assign(this, { ids: "", group: null, films: new Map(), flipped: new Set() });
    this.clock.clear();
  }

  /** One clock for all films, as long as the longest of them. */
  wind(play) {
    const longest = Math.max(1, ...[...this.films.values()].map((film) => film.frames));
    const at = Math.min(this.clock.cursor, longest - 1);
    this.clock.load(longest, { chunk: this.chunk ?? 8, at, play });
  }

  cursor(frame) {
    for (const film of this.films.values()) film.paint(frame);
    this.root.style.setProperty("--at", String(frame / Math.max(1, this.clock.last)));
  }

  /** Strips: each chunk's log-ratio in colour, on one scale for the group, and its clipped share. */
  credit(found) {
    const all = Object.values(found);
    this.chunk = all[0]?.chunk ?? 8;
    const most = Math.max(1e-9, ...all.flatMap((film) => film.log_ratio ?? []).map(Math.abs));
    const longest = Math.max(...all.map((film) => film.frames - 1));
    this.find(".scale").title = `up to ±${measure(most)}`;
    for (const [id, film] of Object.entries(found)) {
      const place = this.find(`[data-member="${CSS.escape(id)}"] .credit`);
      if (!film.log_ratio) {
        fill(place, html`<span class="mute none">no update followed</span>`);
        continue;
      }
      const cells = film.log_ratio.map((value, index) => {
        const counts = index * film.chunk < film.end_step;
        const share = film.clipped[index];
        const words = counts
          ? `chunk ${index + 1}: log-ratio ${
              value >= 0 ? "+" : "−"
            }${measure(Math.abs(value))}, ${Math.round(100 * share)} % clipped`
          : `chunk ${index + 1}: after the success, not learnt from`;
        return html`<i class="${counts ? (value < 0 ? "minus" : "plus") : "after"}" title="${words}"
          style="--size:${(Math.abs(value) / most).toFixed(3)};--clip:${share.toFixed(3)}"></i>`;
      });
      place.style.width = `${(100 * (film.frames - 1)) / longest}%`;
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", `Log-ratio of ${film.log_ratio.length} chunks`);
      fill(place, html`${cells}<u></u>`);
    }
  }

  /** Verdicts, rewards and advantages: as stored, or as they would be. */
  words({ kept, reason, start_id, members }, supposed = null) {
    this.find(".start").textContent = `start ${integer(start_id)}`;
    const tag = this.find(".fate");
    tag.textContent = reason;
    tag.className = `tag fate ${kept ? "ok" : ""}`;
    this.root.classList.toggle("dropped", !kept);
    this.root.classList.toggle("supposed", Boolean(supposed));
    this.find(".what").textContent = supposed ? "if your verdicts stood" : "";
    this.find(".flips").hidden = !supposed;
    this.find(".count").textContent = `${this.flipped.size} flipped`;
    for (const record of members) {
      const place = this.find(`[data-member="${CSS.escape(record.id)}"]`);
      if (!place) continue;
      const { success, reward, advantage } = supposed?.[record.id] ?? record;
      const tone = advantage > 0 ? "ok" : advantage < 0 ? "bad" : "mute";
      const value = signed(advantage ?? 0);
      const verdict = place.querySelector(".reward");
      verdict.className = `reward ${success ? "ok" : "bad"}`;
      verdict.textContent = `${success ? "✓" : "✕"} ${measure(reward)}`;
      const worth = place.querySelector(".advantage");
      worth.className = `mono advantage ${tone}`;
      worth.textContent = value;
      fill(place.querySelector(".said"), label(record));
      const flipped = this.flipped.has(record.id);
      place.classList.toggle("flipped", flipped);
      place.querySelector("[data-flip]").setAttribute("aria-pressed", String(flipped));
      const words = `Episode ${record.id}, ${success ? "success" : "fail"}, advantage ${value}`;
      place.querySelector("a").setAttribute("aria-label", words);
    }
  }

  /** Suppose that a verdict is the other way, or the way it was again; null puts all of them back. */
  async flip(id) {
    if (id === null) this.flipped.clear();
    else if (!this.flipped.delete(id)) this.flipped.add(id);
    if (!this.flipped.size) {
      this.words(this.group);
      return;
    }
    const question = { ...this.where, group: this.group.group, flipped: [...this.flipped] };
    const asked = this.ids;
    const answer = await this.ask("flip", question);
    if (!answer || asked !== this.ids) return;
    this.words({ ...this.group, kept: answer.kept, reason: answer.reason }, answer.members);
  }

  /** What was supposed becomes what a person said: ordinary labels. */
  keep() {
    const flipped = this.group.members.filter((record) => this.flipped.has(record.id));
    this.flip(null);
    for (const record of flipped)
      this.judging.say(record, { outcome: record.success ? "fail" : "success" }, { mode: "group" });
  }

  /** A further film under the same cursor: the same start at one of the checkpoints. */
  async beside(canvas, id, place = "probe") {
    const found = await this.ask("films", { episodes: [id] }, true);
    if (!found) return;
    const film = new Film(canvas, found[id]);
    film.probe = true;
    this.films.set(place, film);
    film.paint(this.clock.cursor);
    if (film.frames - 1 > this.clock.last) this.wind(this.clock.playing);
  }
}
