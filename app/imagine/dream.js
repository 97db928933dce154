// Imagine: one live dream at a time. This is the session: what is asked of the studio and what came
// back; what it looks like is in dream_view.js, branches in branches.js, reality in twin.js.
import { dimensionNames, peakOf } from "../player/strips.js";
import { verdictAt } from "../player/verdicts.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { copy } from "../web/copy.js";
import { memory } from "../web/memory.js";
import { toast } from "../web/toast.js";
import { settings } from "./settings.js";

const HEARD = 2_000; // milliseconds that a label waits to hear what was said of its dream before
const TOLD = "ends probabilities actions overridden entropy drift nodes drivers".split(" ");
const ALIVE = ["instruction", "seed", "denoising_steps", "temperature"]; // may change on the way

export class Dream {
  /** How many frames came, and of which telling. */
  after = 0;
  /** @type {number | null} */
  epoch = null;
  /** @type {any} */
  status = null;
  /** @type {any} */
  judged = null;
  /** @type {number[]} */
  ends = [];
  /** @type {number[]} */
  probabilities = [];
  /** @type {any[]} */
  overridden = [];
  /** @type {number[]} */
  entropy = [];
  /** @type {number[]} */
  drift = [];
  /** @type {number[]} */
  nodes = [];
  /** @type {any} */
  proposal = null;
  /** @type {boolean | null} */
  exact = null;
  /** A threshold that is only tried out; null: the dream's own.
   * @type {number | null} */
  tried = null;
  wake = () => {};

  /** `view` shows it (`show()`, `cleared()`, `taken(answer)`); `player` plays it; `judging` is
   * the door of labels. */
  constructor(server, player, judging) {
    this.server = server;
    this.player = player;
    this.judging = judging;
    this.id = null;
    this.stale = false;
    /** @type {string | null} */
    this.busy = null;
    /** @type {any} */
    this.opened = null;
    /** @type {any} */
    this.next = null;
    this.turn = 0;
    /** @type {((kind: string) => void)[]} */
    this.watchers = [];
    this.forget();
  }

  /** Call after every change; `kind` is cleared, taken or shown. */
  watch(callback) {
    this.watchers.push(callback);
  }
  tell(kind) {
    this.watchers.forEach((callback) => callback(kind));
  }

  forget() {
    Object.assign(this, { after: 0, epoch: null, status: null, judged: null });
    Object.assign(this, {
      ends: [],
      probabilities: [],
      actions: [],
      overridden: [],
      entropy: [],
      drift: [],
    });
    Object.assign(this, { nodes: [], drivers: [], proposal: null, exact: null, tried: null });
    this.turn += 1;
    this.player.clear();
    this.player.clock.live = true;
    this.tell("cleared");
  }

  get state() {
    return this.stale ? "stale" : (this.status?.state ?? "idle");
  }
  get human() {
    return this.status?.steering?.mode === "human";
  }
  get dims() {
    return this.status?.dims ?? dimensionNames(4);
  }
  /** The threshold that everything on the screen is judged by. */
  get threshold() {
    return this.tried ?? this.status?.threshold ?? null;
  }

  /** Try another threshold: badges, leaves and verdict follow; nothing is saved. */
  attempt(/** @type {number | null} */ threshold) {
    this.tried = threshold === this.status?.threshold ? null : threshold;
    this.tell("shown");
  }

  /** The tried threshold counts from now on, in Imagine and in new runs. */
  async saveThreshold() {
    const answer = await this.ask("save_threshold", { threshold: this.tried ?? undefined });
    if (answer) toast(`τ ${answer.threshold.toFixed(2)} counts from the next dream on`, "note");
  }

  /** The verdict of what is shown, null while it is open: the dream's own, or that of a tried threshold. */
  get outcome() {
    const { status } = this;
    if (!status || this.stale) return null;
    if (this.tried === null) return status.outcome;
    return this.verdictOf(this);
  }

  /** The verdict of a path at the threshold of the screen; null where it may still come. */
  verdictOf({ ends, probabilities, after, status = this.status }) {
    const { horizon, last_window_counts: lastCounts } = status;
    const frames = after ?? this.after;
    const found = verdictAt({ ends, probabilities, frames, horizon, lastCounts }, Number(this.threshold));
    return found.open && status.state !== "done" ? null : found;
  }

  get chunkSize() {
    return this.status?.chunk_size ?? 8;
  }

  /**
   * @template {keyof import("../web/wire.d.ts").Wire} Name
   * @param {Name} name
   * @param {Partial<import("../web/wire.d.ts").Wire[Name]["question"]>} [question]
   */
  ask(name, question = {}, quiet = false) {
    return ask(this.server, name, /** @type {any} */ ({ dream: this.id, ...question }), quiet);
  }

  /** What changed beside the screen: some settings apply at the next chunk, others to a new dream. */
  async changed() {
    if (!this.id || !this.opened) return;
    const now = settings.values;
    const before = this.opened;
    const fixed = Object.keys({ ...now, ...before }).filter((name) => !ALIVE.includes(name));
    this.stale = fixed.some((name) => JSON.stringify(now[name]) !== JSON.stringify(before[name]));
    const moved = ALIVE.filter((name) => now[name] !== before[name]);
    if (!this.stale && moved.length) {
      const change = Object.fromEntries(moved.map((name) => [name, now[name]]));
      Object.assign(before, change);
      const answer = await this.ask("set_dream", change);
      if (answer) {
        this.status = { ...this.status, ...answer };
        this.propose();
      }
    }
    this.tell("shown");
  }

  /** @type {(id: string, settings?: any) => void} */
  attach(id, settings = null) {
    Object.assign(this, { id, stale: false, opened: settings });
    address.set("dream", id);
    this.forget();
  }

  leave() {
    Object.assign(this, { id: null, stale: false });
    address.set("dream", null);
    this.forget();
  }

  /** The dream to act on: the open one, or a new one with the settings of now. */
  async ready() {
    if (this.id && !this.stale) return true;
    this.busy = "waking the models…";
    this.tell("shown");
    await settings.begun;
    const chosen = /** @type {import("../web/wire.d.ts").OpenDream} */ ({ ...settings.values });
    const answer = await ask(this.server, "open_dream", chosen);
    this.busy = null;
    if (answer) {
      memory.set("dream", { id: answer.dream, settings: chosen });
      this.attach(answer.dream, chosen);
    }
    this.tell("shown");
    return answer !== null;
  }

  /** What reality is compared with: the frames up to the newest node. */
  get path() {
    return this.id && this.after > 1 ? `${this.id}/${this.nodes.at(-1)}` : null;
  }

  /** Let the simulator play the same actions; a refusal of what nobody asked for is not told. */
  async askReality(quiet = false) {
    if (this.state === "running") await this.act("pause");
    return this.ask("twin_dream", {}, quiet);
  }

  /** The node whose chunk ends at the cursor or before it: from there one goes on. */
  nodeAt(frame) {
    const chunks = Math.floor(frame / this.chunkSize);
    return chunks > 0 ? this.nodes[Math.min(chunks, this.nodes.length) - 1] : 0;
  }

  /** Whether somebody stopped at an earlier frame; while it plays, the player only lags behind. */
  get rewound() {
    return !this.stale && !this.player.clock.playing && this.player.clock.cursor < this.after - 1;
  }

  /** Acting in the past begins there: the dream goes back to the cursor's chunk. */
  async rewind() {
    if (!this.rewound) return true;
    return this.select(this.nodeAt(this.player.clock.cursor));
  }

  async select(node) {
    const answer = await this.ask("select_dream", { node });
    if (answer) {
      this.take(answer);
      this.player.clock.jump(this.player.clock.last);
      this.propose();
    }
    return answer !== null;
  }

  /** One of run, pause, frame, chunk, reset, undo; the answer brings the frames. */
  async act(action, extra = /** @type {any} */ (null)) {
    if (this.busy === "acting") {
      this.next = { dream: this.id, action, extra }; // a fast key waits for the one before it
      return;
    }
    await this.perform(action, extra);
    const { next } = this;
    this.next = null;
    if (next?.dream === this.id) await this.act(next.action, next.extra);
  }

  async perform(action, extra) {
    if (!(await this.ready())) return;
    if (["run", "frame", "chunk"].includes(action) && !(await this.rewind())) return;
    const [{ after, epoch }, turn] = [this, this.turn];
    const cursor = { after, ...(epoch === null ? {} : { epoch }) };
    const held = action !== "pause";
    if (held) this.busy = "acting";
    const answer = extra
      ? await this.ask("steer_dream", { ...extra, ...cursor })
      : await this.ask("act_dream", { action, ...cursor });
    if (held) this.busy = null;
    if (!answer || turn !== this.turn) return;
    if (answer.frames) this.take(answer);
    else this.status = { ...this.status, ...answer };
    if (action === "reset" || action === "undo") this.player.clock.jump(this.player.clock.last);
    else if (action === "pause") this.player.clock.pause();
    else this.player.clock.play();
    this.tell("shown");
    if (answer.state !== "running") this.propose();
    this.wake();
  }

  async toggle() {
    if (this.state === "running") await this.act("pause");
    else if (this.state === "done" || this.player.clock.playing || (this.rewound && this.state === "paused"))
      this.player.clock.toggle();
    else await this.act("run");
  }

  /** What the policy would do next, while nothing moves. */
  async propose() {
    this.proposal = null;
    if (!this.id || this.stale || this.state !== "paused") return;
    const turn = this.turn;
    const answer = await this.ask("propose_dream", {}, true);
    if (!answer || turn !== this.turn || this.state !== "paused") return;
    this.proposal = answer;
    this.tell("shown");
  }

  async pull() {
    if (!this.id || this.stale || this.busy === "acting") return;
    const { turn, after, epoch } = this;
    const cursor = epoch === null ? { after } : { after, epoch };
    const answer = await this.ask("pull_dream", cursor, after > 0);
    if (turn !== this.turn || this.busy === "acting") return;
    if (!answer) {
      if (after === 0) this.leave();
      return;
    }
    const before = this.state;
    this.take(answer);
    if (before === "running" && answer.state === "paused") this.propose();
  }

  take(answer) {
    const first = this.epoch === null;
    const elsewhere = this.epoch !== answer.epoch;
    if (!elsewhere && answer.next < this.after) return; // an older answer that came late
    Object.assign(this, { after: answer.next, epoch: answer.epoch, status: answer });
    for (const name of TOLD) this[name] = answer[name] ?? [];
    Object.assign(this.player.clock, {
      total: answer.horizon,
      chunk: answer.chunk_size,
      live: answer.state !== "done",
      running: answer.state === "running",
      peak: peakOf(this),
    });
    if (elsewhere || answer.first < this.player.frames.length) this.player.cut(answer.first);
    this.player.append(answer.frames);
    if (first && answer.state !== "running") this.player.clock.seek(this.player.clock.last);
    if (first && answer.state === "running") this.player.clock.play();
    if (elsewhere) this.judged = null;
    if (answer.state === "failed" && answer.error) toast(answer.error);
    this.tell("taken");
  }

  /** What was imagined so far as a clip, which has no id until it is saved; null before a frame of it. */
  get clip() {
    if (!this.id || this.stale || this.after < 2) return null;
    if (this.judged?.after !== this.after) {
      const { node, threshold } = this.status;
      const probability = this.probabilities.length ? Math.max(...this.probabilities) : null;
      const clip = { id: null, label: null, dream: { dream: this.id, node }, probability, threshold };
      this.judged = { after: this.after, clip, saving: null };
    }
    return this.judged.clip;
  }

  async save(quiet = false) {
    const clip = await this.rested();
    if (!clip || clip.id !== null) return clip?.id ?? null;
    await this.keep(quiet === true);
    if (clip.id !== null && quiet !== true) toast(`Saved as ${clip.id}`, "note");
    return clip.id;
  }

  /** The clip of a dream that does not move on. */
  async rested() {
    if (this.clip && this.state === "running") await this.act("pause");
    return this.clip;
  }

  /** The clip becomes an episode, which may have been judged before. */
  keep(quiet) {
    const { judged, clip } = this;
    judged.saving ??= ask(this.server, "save_dream", clip.dream, quiet).then((answer) => {
      judged.saving = null;
      if (!answer || clip.id !== null) return;
      clip.id = answer.episode;
      clip.label ??= answer.label;
      this.tell("shown");
    });
    return judged.saving;
  }

  /** Say something of the dream; while the studio is away it is said of a path that is not saved yet. */
  async judge(change) {
    const clip = await this.rested();
    if (!clip) return;
    if (clip.id === null && clip.label === null)
      await Promise.race([this.keep(true), new Promise((resolve) => setTimeout(resolve, HEARD))]);
    this.judging.say(clip, change);
  }

  /** The address that imagines this path again, exactly. */
  async link() {
    const answer = await this.ask("permalink");
    if (!answer) return;
    const url = new URL("imagine", location.href.split("?")[0]);
    url.searchParams.set("replay", answer.token);
    this.linked = url.href;
    await copy(url.href, "Link copied: it imagines this path again, bit for bit");
  }

  async replay(token) {
    this.busy = "imagining it again…";
    this.tell("shown");
    const answer = await ask(this.server, "replay", { token });
    this.busy = null;
    address.set("replay", null);
    if (!answer) return this.leave();
    this.attach(answer.dream);
    this.exact = answer.exact;
    return this.pull();
  }
}
