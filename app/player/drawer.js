// The drawer: one episode from close up, over whatever page asked for it.
import { answerButtons, answers, showAnswers } from "../judging/answers.js";
import { showSaid } from "../judging/history.js";
import { showFacts } from "../judging/rail.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { exportFrom, exportMenu } from "../web/errands/exports.js";
import { clock, fixed, integer, signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { Player } from "./player.js";
import { peakOf, Strips, stripsOf } from "./strips.js";
import { Twin } from "./twin.js";
import { verdict } from "./verdicts.js";

const template = html`<aside class="wm drawer" role="dialog" aria-label="Episode" tabindex="-1">
  <div class="between"><b class="mono name"></b><span class="row">
    <button class="quiet" data-do="previous" aria-label="Previous episode">↑ <kbd>p</kbd></button>
    <button class="quiet" data-do="next" aria-label="Next episode">↓ <kbd>n</kbd></button>
    <button class="quiet" data-do="close" aria-label="Close">✕ <kbd>esc</kbd></button></span></div>
  <div class="screens"><div class="mine"><div class="screen"></div></div><div class="theirs" hidden></div></div>
  <div class="strip"></div>
  <div class="choices four">
    ${answerButtons}</div>
  <p class="mute said" role="status"></p><div class="before"></div>
  <div class="siblings"></div><dl class="facts"></dl>
  <div class="row links"></div></aside>`;
const NAMES = ["next", "previous", "close", "reality"];

export class Drawer {
  /** `clip(id)` fetches an episode; `move(by)` gives the id of a neighbour or null; `judging` is
   * the page's door of labels; `siblings(clip)` gives records; `onClose()`. All but `server` and `clip` may be missing.
   * @param {{server: import("../web/types.d.ts").Server, clip: (id: string) => Promise<any>,
   *   move?: (by: number) => Promise<string | null>, judging?: import("../judging/judging.js").Judging,
   *   siblings?: (clip: any) => Promise<any[]>, onClose?: () => void}} parts */
  constructor({ server, clip, move, judging, siblings, onClose = () => {} }) {
    this.server = server;
    this.fetch = clip;
    this.neighbour = move;
    this.judging = judging;
    this.family = siblings;
    this.onClose = onClose;
    /** @type {any} */
    this.clip = null;
    this.moved = Promise.resolve();
    const place = document.createElement("div");
    fill(place, template);
    /** @type {any} */
    this.element = place.firstElementChild;
    document.body.append(this.element);
    this.find = (selector) => this.element.querySelector(selector);
    this.strips = new Strips(this.find(".strip"), { onSeek: (frame) => this.player.clock.jump(frame) });
    this.player = new Player(this.find(".screen"), {
      label: "Episode frame",
      onCursor: (frame) => this.cursor(frame),
    });
    // Where its page can ask the simulator, an imagined episode is compared with reality.
    this.twin = "twin_episode" in server ? this.compare(server) : null;
    const handlers = {
      ...Object.fromEntries(NAMES.map((name) => [name, () => this[name]()])),
      ...answers(
        (change) => this.judge(change),
        () => this.clip,
      ),
    };
    this.release = keys.over(["drawer", "player"], { ...this.player.clock.actions(), ...handlers });
    this.element.addEventListener("click", (event) => {
      handlers[event.target.closest("[data-do]")?.dataset.do]?.();
      const sibling = event.target.closest("[data-sibling]");
      if (sibling) this.open(sibling.dataset.sibling);
    });
    this.element.addEventListener("change", ({ target }) => {
      if (target.matches(".export")) exportFrom(target, server, () => this.id);
    });
    for (const [selector, part] of [
      [".choices", this.judging],
      ["[data-do=next]", this.neighbour],
      ["[data-do=previous]", this.neighbour],
    ])
      this.find(selector).hidden = !part;
  }

  /** Show an episode, at a frame if one is given; true once it is there. */
  async open(id, { at = /** @type {number | null} */ (null) } = {}) {
    this.id = id;
    // Keys are the drawer's now: Space must not press what had the focus below it.
    if (!this.element.contains(document.activeElement)) this.element.focus({ preventScroll: true });
    this.find(".name").textContent = id;
    this.player.note.textContent = "fetching the episode…";
    const clip = await this.fetch(id);
    if (this.id !== id || !this.element.isConnected) return false;
    this.player.note.textContent = clip ? "" : "this episode cannot be shown";
    this.said("");
    if (!clip) return false;
    this.clip = clip;
    address.set("ep", id);
    const loop = at === null && clip.decisive[1] > clip.decisive[0] ? clip.decisive : null;
    this.player.load(clip.frames, { chunk: clip.chunk, loop, peak: peakOf(clip), at: at ?? 0 });
    this.twin?.forget();
    this.lines();
    fill(this.player.verdict, verdict(clip));
    if (at === null) this.player.clock.play();
    this.show();
    this.remember();
    const family = this.family ? await this.family(clip) : null;
    if (this.clip === clip) this.relatives(family ?? []);
    return true;
  }

  /** Reality beside the episode that is shown. */
  compare(server) {
    return new Twin(this.find(".theirs"), this.player, {
      server,
      path: () => (this.clip?.frames.length > 1 ? this.clip.id : null),
      ask: () => ask(server, "twin_episode", { episode_id: this.clip.id }),
      say: (text) => {
        this.player.note.textContent = text ?? "";
      },
      onChange: () => this.lines(),
    });
  }

  lines() {
    const { clip } = this;
    const beside = this.twin?.current ? this.twin.strips() : {};
    const lines = [...(clip.lines ?? []), ...(beside.lines ?? [])];
    this.strips.show(stripsOf(clip, { window: clip.decisive, ...beside, lines }));
  }

  cursor(frame) {
    this.strips.cursor(frame);
    this.twin?.cursor(frame);
    if (this.clip && !this.player.clock.playing) address.set("t", frame || null);
  }

  show() {
    const { clip } = this;
    showAnswers(this.find, clip.label);
    const of = clip.lineage;
    const rows = [
      ["kind", clip.imagined ? "imagined" : "real"],
      ["instruction", clip.instruction],
      ["start", clip.start_id < 0 ? "uploaded image" : integer(clip.start_id)],
      ["run", clip.run_name],
      ["iteration · member", of.iteration === undefined ? null : `${of.iteration} · ${of.member ?? "–"}`],
      ["reward", of.reward],
      ["advantage", of.advantage === undefined || of.advantage === null ? null : signed(of.advantage)],
      ["policy", of.policy?.slice(0, 8)],
      ["world model", of.world_model?.slice(0, 8)],
      ["reward model", of.reward_model?.slice(0, 8)],
      ["seed", clip.replay.seed],
    ];
    showFacts(
      this.find(".facts"),
      rows.filter(([, value]) => value !== null && value !== undefined && value !== ""),
    );
    fill(
      this.find(".links"),
      html`<a class="button" href="label?episode=${clip.id}">Judge blind</a>
        ${this.twin && clip.imagined ? html`<button data-do="reality">Compare with reality <kbd>v</kbd></button>` : ""}
        <a class="button" href="imagine?episode=${clip.id}">Dream from a frame of it</a>
        ${exportMenu}`,
    );
  }

  relatives(records) {
    const tile = (record) => html`<button class="quiet sibling" data-sibling="${record.id}"
      aria-pressed="${String(record.id === this.id)}" aria-label="Sibling ${record.id}">
      <b class="${record.success ? "ok" : "bad"}">${record.success ? "✓" : "✕"}</b>
      <span class="mono">${fixed(record.probability)}</span></button>`;
    fill(
      this.find(".siblings"),
      records.length > 1 ? html`<span class="cap">its group</span>${records.map(tile)}` : html``,
    );
  }

  /** To a neighbour of what the step before led to, however fast the keys come. */
  go(by) {
    const step = async () => {
      const id = await this.neighbour?.(by);
      if (id) this.open(id);
    };
    this.moved = this.moved.then(step, step);
    return this.moved;
  }
  next() {
    return this.go(1);
  }
  previous() {
    return this.go(-1);
  }
  reality() {
    if (this.clip?.imagined) this.twin?.next();
  }
  judge(change) {
    if (!this.judging) return;
    if (this.clip?.id !== this.id) return this.said("not judged: this episode is still being fetched");
    this.said("saving…");
    this.judging.say(this.clip, change);
    this.show();
  }

  /** The studio stored a label of the clip, or refused it: then another one stands. */
  acknowledge(ack, clip) {
    if (!clip || clip !== this.clip) return;
    this.said(ack.refused ? "" : `saved #${integer(ack.seq)} at ${clock(ack.at)}`);
    this.show();
    this.remember();
  }

  /** What was said of the clip before. */
  async remember() {
    const { clip, server } = this;
    const answer = "said" in server && (await ask(server, "said", { episode: clip.id }, true));
    if (answer && clip === this.clip) showSaid(this.find(".before"), answer.labels);
  }

  said(text) {
    this.find(".said").textContent = text;
  }

  close() {
    this.release();
    this.player.clock.pause();
    this.element.remove();
    address.set("ep", null);
    address.set("t", null);
    this.onClose();
  }
}
