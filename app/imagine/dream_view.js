// Imagine's screen: stage and transport, meter and facts, judging, strips; around it the pad, the
// branches and reality.
import { Judging } from "../judging/judging.js";
import { showFacts } from "../judging/rail.js";
import { Player, verdict } from "../player/player.js";
import { Strips, stripsOf } from "../player/strips.js";
import { Twin } from "../player/twin.js";
import { address } from "../web/address.js";
import { exportFrom, exportMenu } from "../web/errands/exports.js";
import { clock, fixed, integer, measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { memory } from "../web/memory.js";
import { every } from "../web/polling.js";
import { Branches } from "./branches.js";
import { Dream } from "./dream.js";
import { Pad } from "./pad.js";
import { settings } from "./settings.js";

const template = html`<div class="wm dream">
  <div class="dream-main"><div class="card">
    <div class="screens"><div class="mine"><div class="screen"></div></div><div class="theirs" hidden></div></div>
    <div class="row transport">
      <button class="primary" data-do="toggle"><span>▶ Run</span> <kbd>space</kbd></button>
      <button data-do="frame">Frame <kbd>→</kbd></button><button data-do="chunk">Chunk <kbd>e</kbd></button>
      <button data-do="undo">Undo <kbd>⌫</kbd></button><button data-do="reset">Reset <kbd>r</kbd></button>
      <button data-do="takeOver" aria-pressed="false">Take over <kbd>m</kbd></button>
      <button data-do="branch">Branch <kbd>b</kbd></button>
      <button data-do="view" title="Compare with reality" aria-label="Compare with reality">Reality
        <kbd>v</kbd></button><span class="grow"></span>
      <button data-do="save">Save</button><button data-do="link"
        aria-label="Copy link">Link</button>${exportMenu}</div></div>
    <div class="banner replayed" role="status" hidden></div>
    <div class="card"><div class="between"><h3>Success probability by window · actions</h3>
      <span class="mute legend"><i class="plus"></i>positive <i class="minus"></i>negative <i class="ghost"></i>the
        policy's next
        <i class="you"></i>you</span></div><div class="strip"></div></div>
    <div class="card futures" hidden></div></div>
  <div class="dream-side">
    <div class="card meter"><h3>Success probability</h3><b class="mono value">–</b><span
      class="mute threshold"></span></div>
    <div class="card branches"></div><div class="card pad"></div>
    <div class="card judge"><h3>Judge</h3><div class="choices">
      <button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
      <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
      <button data-do="unsure">? Unsure <kbd>u</kbd></button>
      <button data-do="broke" class="warn">Dream broke <kbd>w</kbd></button></div>
      <p class="mute said" role="status"></p></div>
    <div class="card"><dl class="facts plain"></dl></div></div></div>`;
const WORDS = {
  idle: "ready",
  stale: "settings changed",
  running: "imagining",
  paused: "paused",
  done: "finished",
  failed: "failed",
};
const OWN = ["success", "fail", "unsure", "broke", "takeOver", "branch", "view", "difference"];
const ASKED = ["frame", "chunk", "reset", "undo"];

class DreamView {
  constructor(element, server) {
    fill(element, template);
    this.element = element;
    this.find = (selector) => element.querySelector(selector);
    this.strips = new Strips(this.find(".strip"), { onSeek: (frame) => this.player.clock.jump(frame) });
    this.player = new Player(this.find(".screen"), {
      label: "Imagined frame",
      onCursor: (frame) => this.cursor(frame),
      onTap: () => this.dream.toggle(),
    });
    const judging = new Judging(server, {
      mode: "imagine",
      onSaid: () => this.told("saving…"),
      onAck: (ack, clip) => this.acknowledge(ack, clip),
    });
    this.dream = new Dream(server, this.player, judging);
    this.player.clock.onEdge = () => this.frame();
    this.twin = new Twin(this.find(".theirs"), this.player, {
      server,
      path: () => this.dream.path,
      ask: () => this.dream.askReality(),
      say: (text) => {
        this.dream.busy = text;
        this.show();
      },
      onChange: () => this.show(),
    });
    this.pad = new Pad(this.find(".pad"), this.dream);
    this.branches = new Branches(this.find(".branches"), this.find(".futures"), this.dream);
    this.dream.watch((kind) => {
      if (kind === "cleared") this.twin.forget();
      this.show();
    });
    this.dream.wake = every(
      element,
      () => (!this.dream.id ? Infinity : this.dream.state === "running" ? 220 : 4000),
      () => this.dream.pull(),
    );
    this.bind();
    this.begin();
  }

  bind() {
    const handlers = {
      ...this.player.clock.actions(),
      ...this.pad.actions(),
      toggle: () => this.dream.toggle(),
    };
    for (const name of [...OWN, ...ASKED]) handlers[name] = () => this[name]();
    keys.use(["takeover", "imagine", "player"], handlers, this.pad.released());
    const buttons = { ...handlers, save: () => this.dream.save(), link: () => this.dream.link() };
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (button && !button.closest(".player")) buttons[button.dataset.do]?.();
    });
    this.element.addEventListener("change", ({ target }) => {
      if (target.matches(".export")) exportFrom(target, this.dream.server, () => this.dream.save(true));
    });
    document.addEventListener("wmpo-settings", () => this.dream.changed());
    document.addEventListener("wmpo-start", () => this.preview());
  }

  begin() {
    const token = address.get("replay");
    const id = address.get("dream");
    if (token) this.dream.replay(token);
    else if (id) {
      const { id: known, settings } = memory.get("dream", {});
      this.dream.attach(id, known === id ? settings : null);
    }
    if (token || id) this.dream.wake();
    this.show();
  }

  /** Before a dream: the chosen start frame, if there is a picture of it. */
  preview() {
    const { dream, player } = this;
    if (dream.busy || (dream.id && !dream.stale)) return;
    if (dream.stale) dream.leave();
    const image = settings.preview;
    if (image) player.load([image], { total: this.length() });
    else player.clear();
    player.clock.live = true;
    this.show();
  }

  length() {
    return Number(settings.values.horizon) || 48;
  }

  frame() {
    return this.dream.state === "done" ? null : this.dream.act("frame");
  }
  chunk() {
    return this.dream.state === "done" && !this.dream.rewound ? null : this.dream.act("chunk");
  }
  reset() {
    return this.dream.act("reset");
  }
  undo() {
    return this.dream.after > 1 ? this.dream.act("undo") : null;
  }
  takeOver() {
    return this.pad.toggle();
  }
  branch() {
    return this.branches.grow();
  }
  view() {
    return this.twin.next();
  }
  difference() {
    return this.twin.difference();
  }
  success() {
    return this.dream.judge({ outcome: "success" });
  }
  fail() {
    return this.dream.judge({ outcome: "fail" });
  }
  unsure() {
    return this.dream.judge({ outcome: "unsure" });
  }
  broke() {
    return this.dream.judge({ dream_broke: !this.dream.clip?.label?.dream_broke });
  }

  cursor(frame) {
    if (!this.dream) return;
    this.strips.cursor(frame);
    this.twin.cursor(frame);
    this.branches.cursor(frame);
    const index = this.dream.ends.findLastIndex((end) => end - 1 <= frame);
    const value = index >= 0 ? this.dream.probabilities[index] : null;
    const meter = this.find(".meter");
    meter.querySelector(".value").textContent = fixed(value);
    meter.classList.toggle("none", value === null);
    meter.classList.toggle("over", value !== null && value >= (this.dream.status?.threshold ?? 2));
  }

  show() {
    const { dream } = this;
    const { state, status, busy } = dream;
    const outcome = dream.stale ? null : status?.outcome;
    const done = state === "done";
    const working = Boolean(busy) && busy !== "acting";
    fill(this.player.verdict, outcome ? verdict(outcome) : html``);
    this.player.note.textContent = this.note(state);
    this.find("[data-do=toggle] span").textContent =
      state === "running" ? "❚❚ Pause" : done ? "▶ Replay" : "▶ Run";
    const begun = dream.id && !dream.stale && dream.after > 1;
    for (const button of this.element.querySelectorAll(".transport button, .judge button")) {
      const name = button.dataset.do;
      if (["frame", "chunk"].includes(name)) button.disabled = working || (done && !dream.stale);
      else if (name === "reset") button.disabled = working;
      else if (!["toggle", "takeOver", "branch"].includes(name)) button.disabled = !begun;
    }
    this.find(".export").disabled = !begun;
    const replayed = this.find(".replayed");
    replayed.hidden = dream.exact === null;
    replayed.textContent = dream.exact
      ? "Imagined again from the link: every pixel is the same."
      : "Imagined again from the link, but not the same: this machine or its checkpoints differ.";
    this.find(".threshold").textContent = status?.threshold ? `τ ${status.threshold.toFixed(2)}` : "";
    this.find("[data-do=takeOver]").setAttribute("aria-pressed", String(dream.human));
    this.facts(state);
    this.pressed();
    this.pad.show();
    this.branches.show();
    this.strips.show(this.data(outcome));
    this.cursor(this.player.clock.cursor);
  }

  note(state) {
    if (this.dream.busy && this.dream.busy !== "acting") return this.dream.busy;
    if (state === "stale") return "settings changed: the next run starts a new dream";
    if (state === "failed") return "the dream stopped";
    if (state !== "idle") return "";
    if (settings.preview) return "press space: the policy acts from here";
    const { start_id: start, from } = settings.values;
    return start === undefined && from === undefined
      ? "choose a start, or upload an image"
      : "press space: the simulator draws this start, then the policy acts";
  }

  data(outcome) {
    const { dream } = this;
    const chunk = dream.chunkSize;
    const middle = (_, index) => (index + 0.5) * chunk;
    const lines = [
      { name: "entropy", frames: dream.entropy.map(middle), values: dream.entropy },
      { name: "drift", frames: dream.drift.map((_, index) => index), values: dream.drift },
      ...this.twin.lines(),
    ];
    const ghost = dream.proposal && { from: dream.after - 1, actions: dream.proposal.actions };
    return stripsOf(dream, {
      total: dream.status?.horizon ?? this.length(),
      chunk,
      threshold: dream.status?.threshold,
      human: dream.overridden.map((step) => step.some(Boolean)),
      outcome,
      window: this.window(outcome),
      ghost,
      lines,
    });
  }

  window(outcome) {
    if (!outcome?.success) return null;
    const end = this.dream.ends.find((value) => value - 1 >= outcome.end_step);
    return end ? [Math.max(0, end - 8), end - 1] : null;
  }

  facts(state) {
    const { status, after, entropy, id } = this.dream;
    const { outcome } = status ?? {};
    const { id: known, settings = {} } = memory.get("dream", {});
    const start = settings.from
      ? "a stored frame"
      : settings.start_id < 0
        ? "uploaded image"
        : settings.start_id;
    const knobs = status?.settings ?? {};
    const pace = status?.frames_per_second;
    showFacts(
      this.find(".facts"),
      [
        ["state", WORDS[state] ?? state],
        ["imagined", after ? `${after - 1} of ${status.horizon} frames` : "–"],
        ["pace", pace ? `${measure(pace)} frames/s` : "–"],
        [
          "verdict",
          outcome ? (outcome.success ? `success at frame ${outcome.end_step}` : "no window above τ") : "–",
        ],
        ["policy entropy", entropy.length ? `${measure(entropy.at(-1))} nats` : "–"],
        ["start", known === id && id ? (Number.isInteger(start) ? integer(start) : start) : null],
        ["seed", knobs.seed],
        ["denoising steps", knobs.denoising_steps],
        ["temperature", knobs.temperature],
      ].filter(([, value]) => value !== null && value !== undefined),
    );
  }

  pressed() {
    const { outcome, dream_broke: broke } = this.dream.clip?.label ?? {};
    for (const name of ["success", "fail", "unsure"])
      this.find(`[data-do=${name}]`).setAttribute("aria-pressed", String(outcome === name));
    this.find("[data-do=broke]").setAttribute("aria-pressed", String(Boolean(broke)));
    if (!this.dream.clip?.label) this.find(".said").textContent = "";
  }

  told(text) {
    this.find(".said").textContent = text;
    this.show();
  }

  acknowledge(ack, clip) {
    if (clip && clip === this.dream.clip)
      this.told(ack.refused ? "" : `saved #${integer(ack.seq)} at ${clock(ack.at)}`);
  }
}

export const mountDream = ({ element, props, server }) => {
  settings.values = { ...props.defaults, ...settings.values };
  return new DreamView(element, server);
};
