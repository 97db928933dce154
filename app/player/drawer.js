// The drawer: one episode from close up, over whatever page asked for it.
import { showFacts } from "../judging/rail.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { exportFrom, exportMenu } from "../web/exports.js";
import { fixed, integer, signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { Player, verdict } from "./player.js";
import { peakOf, Strips, stripsOf } from "./strips.js";
import { Twin } from "./twin.js";

const template = html`<aside class="wm drawer" role="dialog" aria-label="Episode">
  <div class="between"><b class="mono name"></b><span class="row">
    <button class="quiet" data-do="previous" aria-label="Previous episode">↑ <kbd>p</kbd></button>
    <button class="quiet" data-do="next" aria-label="Next episode">↓ <kbd>n</kbd></button>
    <button class="quiet" data-do="close" aria-label="Close">✕ <kbd>esc</kbd></button></span></div>
  <div class="screens"><div class="mine"><div class="screen"></div></div><div class="theirs" hidden></div></div>
  <div class="strip"></div>
  <div class="choices four">
    <button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
    <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
    <button data-do="unsure">? Unsure <kbd>u</kbd></button>
    <button data-do="broke" class="warn">Dream broke <kbd>w</kbd></button></div>
  <p class="mute said" role="status"></p>
  <div class="siblings"></div><dl class="facts"></dl>
  <div class="row links"></div></aside>`;
const NAMES = ["next", "previous", "close", "success", "fail", "unsure", "broke", "reality"];

export class Drawer {
  /** `clip(id)` fetches an episode; `move(by)` gives the id of a neighbour or null; `say(id, change)`
   * judges; `siblings(clip)` gives records; `onClose()`. All but `server` (for exports) and `clip` may be missing. */
  constructor({ server, clip, move = null, say = null, siblings = null, onClose = () => {} }) {
    Object.assign(this, { fetch: clip, neighbour: move, tell: say, family: siblings, onClose, clip: null });
    const place = document.createElement("div");
    fill(place, template);
    this.element = place.firstElementChild;
    document.body.append(this.element);
    this.find = (selector) => this.element.querySelector(selector);
    this.strips = new Strips(this.find(".strip"), { onSeek: (frame) => this.player.jump(frame) });
    this.player = new Player(this.find(".screen"), {
      label: "Episode frame",
      onCursor: (frame) => this.cursor(frame),
    });
    // Where its page can ask the simulator, an imagined episode is compared with reality.
    if (server.twin_episode)
      this.twin = new Twin(this.find(".theirs"), this.subject(server), this.player, () => this.lines());
    const handlers = Object.fromEntries(NAMES.map((name) => [name, () => this[name]()]));
    this.release = keys.over(["drawer", "player"], { ...this.player.actions(), ...handlers });
    this.element.addEventListener("click", (event) => {
      handlers[event.target.closest("[data-do]")?.dataset.do]?.();
      const sibling = event.target.closest("[data-sibling]");
      if (sibling) this.open(sibling.dataset.sibling);
    });
    this.element.addEventListener("change", ({ target }) => {
      if (target.matches(".export")) exportFrom(target, server, () => this.id);
    });
    for (const [selector, part] of [
      [".choices", this.tell],
      ["[data-do=next]", this.neighbour],
      ["[data-do=previous]", this.neighbour],
    ])
      this.find(selector).hidden = !part;
  }

  /** Show an episode, at a frame if one is given; true once it is there. */
  async open(id, { at = null } = {}) {
    this.id = id;
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
    if (at === null) this.player.play();
    this.show();
    const family = this.family ? await this.family(clip) : null;
    if (this.clip === clip) this.relatives(family ?? []);
    return true;
  }

  /** What the twin is of: the episode that is shown. */
  subject(server) {
    const drawer = this;
    return {
      server,
      state: "stored",
      nodes: ["stored"],
      busy: null,
      get id() {
        return drawer.clip?.id;
      },
      get after() {
        return drawer.clip?.frames.length ?? 0;
      },
      ask: (name) => ask(server, "twin_episode", { episode_id: drawer.clip.id }),
      tell() {
        drawer.player.note.textContent = this.busy ?? "";
      },
    };
  }

  lines() {
    const { clip } = this;
    const lines = [...(clip.lines ?? []), ...(this.twin?.lines() ?? [])];
    this.strips.show(stripsOf(clip, { window: clip.decisive, lines }));
  }

  cursor(frame) {
    this.strips.cursor(frame);
    this.twin?.cursor(frame);
    if (this.clip && !this.player.playing) address.set("t", frame || null);
  }

  show() {
    const { clip } = this;
    const label = clip.label ?? {};
    for (const [name, pressed] of [
      ["success", label.outcome === "success"],
      ["fail", label.outcome === "fail"],
      ["unsure", label.outcome === "unsure"],
      ["broke", Boolean(label.dream_broke)],
    ])
      this.find(`[data-do=${name}]`).setAttribute("aria-pressed", String(pressed));
    const of = clip.lineage;
    const rows = [
      ["kind", clip.imagined ? "imagined" : "real"],
      ["instruction", clip.instruction],
      ["start", clip.start_id < 0 ? "uploaded image" : integer(clip.start_id)],
      ["run", clip.run],
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

  async go(by) {
    const id = await this.neighbour?.(by);
    if (id) this.open(id);
  }
  next() {
    return this.go(1);
  }
  previous() {
    return this.go(-1);
  }
  success() {
    this.judge({ outcome: "success" });
  }
  fail() {
    this.judge({ outcome: "fail" });
  }
  unsure() {
    this.judge({ outcome: "unsure" });
  }
  broke() {
    this.judge({ dream_broke: !this.clip?.label?.dream_broke });
  }
  reality() {
    if (this.clip?.imagined) this.twin?.next();
  }
  judge(change) {
    if (!this.tell) return;
    if (this.clip?.id !== this.id) return this.said("not judged: this episode is still being fetched");
    this.clip.label = { ...this.clip.label, ...change };
    this.tell(this.clip, change);
    this.show();
  }
  said(text) {
    this.find(".said").textContent = text;
  }

  close() {
    this.release();
    this.player.pause();
    this.element.remove();
    address.set("ep", null);
    address.set("t", null);
    this.onClose();
  }
}
