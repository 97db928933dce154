// The wall of an iteration: its groups, one of them in a player, and the same start at every checkpoint.
import { Judging } from "../judging/judging.js";
import { compareLink } from "../player/comparisons.js";
import { Drawer } from "../player/drawer.js";
import { fixed, integer } from "../web/formats.js";
import { keys } from "../web/keys.js";
import { toast } from "../web/toast.js";
import { draw, none, view } from "../web/view.js";
import { Group } from "./group.js";

const layout = view`<div class="between"><h3 class="title">Imagined</h3>
    <div class="row"><span class="ab"></span>
      <button data-do="earlier" aria-label="Earlier iteration" disabled>‹</button>
      <label class="row mute">iteration <input type="range" min="0" max="0" step="1" aria-label="Iteration" disabled>
      </label><output class="mono">–</output><button
        data-do="later" aria-label="Later iteration" disabled>›</button>
      </div></div>
    <div class="row chips" role="tablist" aria-label="Siblings by start"></div><div class="group" hidden></div>
    <div class="probe" hidden><figure><canvas class="before" width="64" height="64"></canvas>
      <figcaption class="mute">before</figcaption></figure><figure>
      <canvas class="after" width="64" height="64"></canvas>
      <figcaption class="mute"></figcaption></figure><div><p class="cap">the same dream at every
      checkpoint</p><div class="row marks"></div><p class="mute told"></p></div></div>
    <p class="empty"><b>No videos yet</b> Every iteration of a run leaves its imagined episodes here, with reward
      and advantage.</p>`;

/** Whether a reward model looked at a dream: those of a world model's training are for people alone. */
const judged = (probe) => probe.probability !== null;
const said = (probe) =>
  judged(probe) ? `${probe.success ? "success" : "fail"}, p ${fixed(probe.probability)}` : "not judged";

export class Wall {
  /** @type {string | null} */
  run = null;
  /** @type {any} */
  iteration = null;
  /** @type {number[]} */
  iterations = [];
  /** @type {any[]} */
  groups = [];
  /** @type {any[]} */
  probes = [];
  chosen = 0;
  members = -1;
  checkpoints = -1;
  following = true;
  /** How often in a row the same members were found. */
  seen = 0;
  alive = false;

  /**
   * `ask(name, question, quiet)`, `server()` for the drawer and for labels.
   *
   * @param {any} element
   * @param {{ask: import("../web/types.d.ts").Ask, [name: string]: any}} settings
   */
  constructor(element, { ask, server, onIteration, onLabel }) {
    draw(element, layout);
    this.element = element;
    this.ask = ask;
    this.server = server;
    this.onIteration = onIteration;
    this.onLabel = onLabel;
    this.asked = 0;
    this.answered = 0;
    this.find = (selector) => element.querySelector(selector);
    const door = { judge: async (question) => server().judge(question) };
    this.judging = new Judging(door, { mode: "train", onAck: (ack, clip) => this.onAck(ack, clip) });
    this.group = new Group(this.find(".group"), { ask, judging: this.judging });
    this.slider = this.find("input[type=range][aria-label=Iteration]");
    this.slider.addEventListener("input", () => this.pick(this.iterations[Number(this.slider.value)]));
    element.addEventListener("click", (event) => this.onClick(event));
    const beside = (by) => () => this.sibling(by);
    keys.use(["train", "player"], {
      ...this.group.clock.actions(),
      earlier: () => this.earlier(),
      later: () => this.later(),
      groupBefore: beside(-1),
      groupAfter: beside(1),
    });
  }

  onClick(event) {
    const button = event.target.closest("button[data-do=earlier], button[data-do=later]");
    if (button) this[button.dataset.do]();
    const chip = event.target.closest("[data-group]");
    if (chip) this.open(chip.dataset.group);
    const mark = event.target.closest("[data-probe]");
    if (mark) this.probe(mark.dataset.probe);
    this.closer(event);
  }

  forget(run) {
    Object.assign(this, { run, iterations: [], iteration: null, following: true, seen: 0 });
    Object.assign(this, { groups: [], chosen: 0, probes: [], probed: null, checkpoints: -1 });
    this.group.clear();
    this.chips([]);
    this.mark();
    this.find(".probe").hidden = true;
  }

  /** Iterations with videos, and how many checkpoints the run has told of. */
  arrive(iterations, checkpoints, alive = false) {
    this.alive = alive;
    if (checkpoints !== this.checkpoints) this.lookAtProbes();
    this.checkpoints = checkpoints;
    this.iterations = iterations;
    this.slider.max = String(Math.max(0, iterations.length - 1));
    this.slider.disabled = iterations.length < 2;
    const follow = this.following && !this.group.flipped.size; // not away from what somebody supposes
    if (iterations.length && (follow || this.iteration === null)) this.choose(iterations.at(-1));
    else this.mark();
    if (this.iteration === iterations.at(-1) && !this.settled) this.look(this.iteration);
  }

  /** Whether all members of the iteration are there: while a run lives, one more may be on its way. */
  get settled() {
    return this.seen > 0 && !this.alive;
  }

  mark() {
    const place = this.iterations.indexOf(this.iteration);
    this.slider.value = String(Math.max(0, place));
    this.find("[data-do=earlier]").disabled = place <= 0;
    this.find("[data-do=later]").disabled = place < 0 || place === this.iterations.length - 1;
    this.find("output").textContent =
      this.iteration === null ? "–" : `${this.iteration} of ${this.iterations.at(-1)}`;
    this.onIteration(this.iteration);
  }

  /** The iteration with videos that is nearest to a step of a curve. */
  pick(step) {
    if (step === undefined || !this.iterations.length) return;
    const near = this.iterations.reduce((a, b) => (Math.abs(b - step) < Math.abs(a - step) ? b : a));
    this.following = near === this.iterations.at(-1);
    this.choose(near);
  }

  choose(iteration) {
    if (iteration === undefined || iteration === this.iteration) return;
    Object.assign(this, { iteration, members: -1, seen: 0 });
    this.mark();
    this.showProbe();
    this.look(iteration);
  }

  /** Episodes of the newest iteration come in one by one: look again until none is added. */
  async look(iteration) {
    const { run } = this;
    this.asked += 1;
    const { asked } = this;
    const answer = await this.ask("strip", { run: this.run ?? "", iteration });
    if (!answer || iteration !== this.iteration || run !== this.run) return;
    if (asked < this.answered) return; // overtaken: it would take back a label that is shown
    this.answered = asked;
    const members = answer.groups.reduce((sum, group) => sum + group.members.length, 0);
    this.seen = members === this.members && members > 0 ? this.seen + 1 : 0;
    this.members = members;
    if (this.seen > 1) return;
    this.groups = answer.groups;
    this.chips(answer.groups);
    if (answer.groups.length) this.open(this.groups[this.chosen]?.group ?? this.groups[0].group);
  }

  chips(groups) {
    const known = groups.map(
      (group, index) => view`<button class="chip ${group.kept ? "kept" : ""}" role="tab"
        data-group="${group.group}" aria-selected="${String(index === this.chosen)}">
        ${integer(group.start_id)} <b>${group.members.filter((each) => each.success).length}/${group.members.length}</b>
        ${group.kept ? "" : "dropped"}</button>`,
    );
    draw(this.find(".chips"), known);
    const compare = view`<a class="button quiet" href="${compareLink(this.run)}"
      title="Two futures of one start side by side">Compare A/B</a>`;
    draw(this.find(".ab"), groups.length ? compare : none);
    this.find(".empty").hidden = groups.length > 0;
    this.find(".group").hidden = !groups.length;
  }

  open(name) {
    this.chosen = Math.max(
      0,
      this.groups.findIndex((group) => group.group === name),
    );
    this.chips(this.groups);
    const { run, iteration } = this;
    this.group.show({ run, iteration }, this.groups[this.chosen]);
  }

  sibling(by) {
    const next = this.groups[this.chosen + by];
    if (next) this.open(next.group);
  }

  earlier() {
    this.pick(this.iterations[this.iterations.indexOf(this.iteration) - 1]);
  }
  later() {
    this.pick(this.iterations[this.iterations.indexOf(this.iteration) + 1]);
  }

  async lookAtProbes() {
    const { run } = this;
    const answer = await this.ask("probes", { run: this.run ?? "" }, true);
    if (!answer || run !== this.run) return;
    this.probes = answer.probes.filter((probe) => probe.start_id === answer.probes[0].start_id);
    this.find(".probe").hidden = !this.probes.length;
    this.showProbe();
  }

  /** Of the probed start, the dream of the last checkpoint before the iteration looked at. */
  showProbe() {
    const reached = this.probes.filter((probe) => probe.iteration <= (this.iteration ?? Infinity));
    const probe = reached.at(-1) ?? this.probes[0];
    if (probe) this.probe(probe.id);
  }

  probe(id) {
    const shown = this.probes.find((probe) => probe.id === id);
    draw(
      this.find(".marks"),
      view`${this.probes.map(
        (probe) => view`<button class="mark ${judged(probe) ? (probe.success ? "ok" : "bad") : ""}"
        data-probe="${probe.id}" aria-pressed="${String(probe.id === id)}"
        aria-label="After ${probe.iteration}: ${said(probe)}"></button>`,
      )}`,
    );
    this.find(".told").textContent = judged(shown)
      ? `Start ${integer(shown.start_id)}, always the likeliest action: ${said(shown)}.`
      : "The same real actions, dreamt by the world model as it was then.";
    this.find(".probe figure:nth-child(2) figcaption").textContent = `after ${shown.iteration}`;
    if (id === this.probed) return;
    this.probed = id;
    this.group.beside(this.find(".probe .before"), this.probes[0].id, "before");
    this.group.beside(this.find(".probe .after"), id, "after");
  }

  /** A click on a member opens it here; with Ctrl the link leads to its page, as links do. */
  closer(event) {
    const episode = event.target.closest("[data-episode]")?.dataset.episode;
    if (!episode || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.group.clock.pause();
    this.drawer ??= new Drawer({
      server: this.server(),
      clip: (id) => this.ask("clip", { episode: id }),
      judging: this.judging,
      siblings: async (clip) => (await this.ask("siblings", { episode: clip.id }, true))?.members ?? [],
      onClose: () => (this.drawer = null),
    });
    this.drawer.open(episode);
  }

  onAck(ack, clip) {
    if (clip && !ack.refused) toast("saved as your label", "note");
    this.drawer?.acknowledge(ack, clip);
    Object.assign(this, { members: -1, seen: 0 });
    this.look(this.iteration);
    this.onLabel();
  }
}
