// Imagine's screen: stage and transport, meter and facts, judging, strips; around it the pad, the
// branches and reality.
import { answers, showAnswers } from "../judging/answers.js";
import { Judging } from "../judging/judging.js";
import { showFacts } from "../judging/rail.js";
import { Player } from "../player/player.js";
import { Strips, stripsOf } from "../player/strips.js";
import { Twin } from "../player/twin.js";
import { verdict } from "../player/verdicts.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { exportFrom } from "../web/errands/exports.js";
import { clock, fixed, integer, measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { memory } from "../web/memory.js";
import { every } from "../web/polling.js";
import { Branches } from "./branches.js";
import { Dream } from "./dream.js";
import { row, template, under } from "./dream_layout.js";
import { LieFinder } from "./lie_finder.js";
import { Pad } from "./pad.js";
import { settings } from "./settings.js";

const WORDS = {
  idle: "ready",
  stale: "settings changed",
  running: "imagining",
  paused: "paused",
  done: "finished",
  failed: "failed",
};
const OWN = ["takeOver", "branch", "view", "difference"];
const ASKED = ["frame", "chunk", "reset", "undo"];
const ALWAYS = [
  "toggle",
  "takeOver",
  "branch",
  "back",
  "forward",
  "chunkBack",
  "soften",
  "unloop",
  "more",
  "find",
];
const PHONE = matchMedia("(max-width: 900px)");

class DreamView {
  /** `beside`: whether reality stands beside dreams here until the studio says otherwise. */
  constructor(element, server, beside) {
    fill(element, template);
    this.element = element;
    this.beside = beside;
    this.find = (selector) => element.querySelector(selector);
    this.strips = new Strips(this.find(".strip"), {
      onSeek: (frame) => this.player.clock.jump(frame),
      onThreshold: (value) => this.dream.attempt(value),
    });
    this.handlers = {};
    this.player = new Player(this.find(".controls"), {
      label: "Imagined frame",
      onCursor: (frame) => this.cursor(frame),
      onTap: () => this.dream.toggle(),
      picture: this.find(".screen"),
      bar: { row, under, act: (name) => this.act(name) },
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
      ask: (quiet) => this.dream.askReality(quiet),
      say: (text) => {
        this.dream.busy = text;
        this.show();
      },
      onChange: () => this.show(),
      bar: this.find(".compared"),
    });
    this.finder = new LieFinder(this.find(".finder"), {
      server,
      onFound: (dream, chosen) => this.open(dream, chosen),
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
    const { dream } = this;
    const handlers = {
      ...this.player.clock.actions(),
      ...this.pad.actions(),
      ...answers(
        (change) => dream.judge(change),
        () => dream.clip,
      ),
      toggle: () => dream.toggle(),
    };
    for (const name of [...OWN, ...ASKED]) handlers[name] = () => this[name]();
    keys.use(["takeover", "imagine", "player"], handlers, this.pad.released());
    const own = { save: () => dream.save(), link: () => dream.link(), more: () => this.unfold() };
    const tau = { saveThreshold: () => dream.saveThreshold(), dropThreshold: () => dream.attempt(null) };
    this.handlers = { ...handlers, ...own, ...tau };
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (button && !button.closest(".player")) this.act(button.dataset.do);
    });
    PHONE.addEventListener("change", () => this.place());
    this.place();
    this.element.addEventListener("change", ({ target }) => {
      if (target.matches(".export")) exportFrom(target, this.dream.server, () => this.dream.save(true));
    });
    document.addEventListener("wmpo-settings", () => this.dream.changed());
    document.addEventListener("wmpo-start", () => this.preview());
  }

  /** Do what a button asks for; false where the page knows no such thing. */
  act(name) {
    if (name !== "more") this.unfold(false);
    this.handlers[name]?.();
    return name in this.handlers;
  }

  /** On a phone some buttons of the row stand in a menu. */
  unfold(open = !this.find(".extra").classList.contains("open")) {
    this.find(".extra").classList.toggle("open", open);
    this.find(".more").setAttribute("aria-expanded", String(open));
  }

  /** On a phone the pad lies over the video, where the thumbs are. */
  place() {
    const home = PHONE.matches ? this.find(".mine") : this.find(".dream-side");
    if (this.pad.element.parentElement === home) return;
    if (PHONE.matches) home.append(this.pad.element);
    else home.insertBefore(this.pad.element, home.lastElementChild);
    if (this.twin.found) this.twin.show(PHONE.matches ? "dream" : "side by side");
  }

  /** A dream that is over already, from its start. */
  async open(id, chosen) {
    memory.set("dream", { id, settings: chosen });
    this.dream.attach(id, chosen);
    await this.dream.pull();
    this.player.clock.jump(0);
    this.player.clock.play();
  }

  /** Reality stands beside every dream that is over, until somebody prefers the dream alone; where it
   * is limited, only once somebody asked to see it. */
  async compare() {
    const { dream, twin } = this;
    const wanted = this.real && memory.get("reality", this.unasked);
    twin.reserve(wanted && !PHONE.matches);
    if (!wanted || dream.state !== "done") return;
    if (twin.asked === dream.path || twin.current || dream.busy) return;
    twin.asked = dream.path;
    await (PHONE.matches ? twin.learn(true) : twin.show("side by side", true)); // a phone keeps the picture large
  }

  begin() {
    this.real = memory.get("simulator", true); // as it was here before, so that nothing jumps
    this.unasked = memory.get("unasked", this.beside);
    ask(this.dream.server, "reality", {}, true).then((answer) => {
      if (!answer) return;
      this.real = answer.missing === "";
      this.unasked = answer.unasked;
      memory.set("simulator", this.real);
      memory.set("unasked", this.unasked);
      this.show();
    });
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
    if (PHONE.matches && this.twin.view === "side by side") this.twin.show("dream"); // room for the pad
    return this.pad.toggle();
  }
  branch() {
    return this.branches.grow();
  }
  async view() {
    await this.twin.next();
    memory.set("reality", this.twin.view !== "dream");
  }
  difference() {
    return this.twin.difference();
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
    meter.classList.toggle("over", value !== null && value >= (this.dream.threshold ?? 2));
  }

  show() {
    const { dream } = this;
    const { state, status, busy } = dream;
    const { outcome } = dream;
    const done = state === "done";
    const working = Boolean(busy) && busy !== "acting";
    fill(this.player.verdict, outcome ? verdict(outcome) : html``);
    this.player.note.textContent = this.note(state);
    this.find("[data-do=toggle] span").textContent =
      state === "running" ? "❚❚ Pause" : done ? "▶ Replay" : "▶ Run";
    const begun = dream.id && !dream.stale && dream.after > 1;
    for (const button of this.element.querySelectorAll(".controls button, .judge button")) {
      const name = button.dataset.do;
      if (name === "chunk") button.disabled = working || (done && !dream.stale);
      else if (name === "reset") button.disabled = working;
      else if (name && !ALWAYS.includes(name)) button.disabled = !begun;
    }
    this.find(".export").disabled = !begun;
    this.find(".tried").hidden = dream.tried === null;
    this.find("[data-do=saveThreshold]").textContent = `Save τ ${fixed(dream.threshold)}`;
    const replayed = this.find(".replayed");
    replayed.hidden = dream.exact === null;
    replayed.textContent = dream.exact
      ? "Imagined again from the link: every pixel is the same."
      : "Imagined again from the link, but not the same: this machine or its checkpoints differ.";
    const tau = dream.threshold === null ? "" : `τ ${fixed(dream.threshold)}`;
    this.find(".threshold").textContent =
      dream.tried === null ? tau : `${tau}, tried; the dream ran at ${fixed(status.threshold)}`;
    this.find("[data-do=takeOver]").setAttribute("aria-pressed", String(dream.human));
    this.facts(state);
    this.pressed();
    this.pad.show();
    this.branches.show();
    this.strips.show(this.data(outcome));
    this.cursor(this.player.clock.cursor);
    this.compare();
  }

  note(state) {
    if (this.dream.busy && this.dream.busy !== "acting") return this.dream.busy;
    if (state === "stale") return "settings changed: the next run starts a new dream";
    if (state === "failed") return "the dream stopped";
    if (state !== "idle") return "";
    const press = PHONE.matches ? "press Run" : "press space";
    if (settings.preview) return `${press}: the policy acts from here`;
    const { start_id: start, from } = settings.values;
    return start === undefined && from === undefined
      ? "choose a start, or upload an image"
      : `${press}: the simulator draws this start, then the policy acts`;
  }

  data(outcome) {
    const { dream } = this;
    const chunk = dream.chunkSize;
    const middle = (_, index) => (index + 0.5) * chunk;
    const lines = [
      { name: "entropy", frames: dream.entropy.map(middle), values: dream.entropy },
      { name: "drift", frames: dream.drift.map((_, index) => index), values: dream.drift },
    ];
    const { lines: beside, ...compared } = this.twin.strips();
    const ghost = dream.proposal && { from: dream.after - 1, actions: dream.proposal.actions };
    return stripsOf(dream, {
      total: dream.status?.horizon ?? this.length(),
      chunk,
      threshold: dream.threshold,
      human: dream.overridden.map((step) => step.some(Boolean)),
      outcome,
      window: this.window(outcome),
      ghost,
      lines: [...beside, ...lines],
      ...compared,
    });
  }

  window(outcome) {
    if (!outcome?.success) return null;
    const end = this.dream.ends.find((value) => value - 1 >= outcome.end_step);
    return end ? [Math.max(0, end - 8), end - 1] : null;
  }

  facts(state) {
    const { status, after, entropy, id } = this.dream;
    const { outcome } = this.dream;
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
    const { label } = this.dream.clip ?? {};
    showAnswers(this.find, label);
    if (!label) this.find(".said").textContent = "";
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
  return new DreamView(element, server, props.beside);
};
