// A/B: two clips of one start in step, one key says which is better, next pair. Nothing waits for the
// server and nothing is lost: pairs come from a supply and choices go through the door of the labels.
import { showComparisons, showModes, showOrderAgreement } from "../player/comparisons.js";
import { Player } from "../player/player.js";
import { Stage } from "../player/stage.js";
import { verdict } from "../player/verdicts.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { fixed } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { memory } from "../web/memory.js";
import { toast } from "../web/toast.js";
import { Strokes } from "./strokes.js";
import { Supply } from "./supply.js";

const AHEAD = 6; // pairs whose clips are fetched before they are needed
const MOST = 50; // pairs asked for at once
const SIDES = ["left", "right"];
const PAIRINGS = { "one policy": "two futures of one policy", "two policies": "two policies, one start" };

const template = html`<div class="wm judge-page compare"><div class="card">
  <div class="queues"><div class="row"><nav class="modes-of-label row" aria-label="Mode"></nav>
    <select aria-label="Which pairs" class="pairing">${Object.entries(PAIRINGS).map(
      ([value, text]) => html`<option value="${value}">${text}</option>`,
    )}</select><select aria-label="Run" class="run" hidden><option value="">every run</option></select>
    <button class="quiet who" data-do="who" title="Who judges"></button></div></div>
  <div class="between"><div class="question"><b>Which one does it better?</b> <span
    class="mute instruction"></span></div>
    <div class="row"><button data-do="blind" aria-pressed="true">Blind <kbd>h</kbd></button><span
      class="mono mute pace"></span></div></div>
  <div class="twins"><div class="screen"></div><div class="screen second"></div>
    <div class="caption left"></div><div class="caption right"></div></div>
  <div class="verdicts">
    <button data-do="left">◀ Left is better <kbd>a</kbd></button><button data-do="equal">= Same <kbd>s</kbd></button>
    <button data-do="broken" class="warn">✕ Both broken <kbd>w</kbd></button>
    <button data-do="right">Right is better ▶ <kbd>d</kbd></button></div>
  <div class="between foot"><span class="mono mute saved" role="status">&nbsp;</span>
    <span class="row"><button class="quiet" data-do="undo">Undo <kbd>z</kbd></button>
      <button class="quiet" data-do="redo">Redo <kbd>shift z</kbd></button>
      <button class="quiet" data-do="skip">Skip <kbd>k</kbd></button>
      <button class="quiet" data-do="decisive" aria-pressed="false">Decisive frames <kbd>shift
        space</kbd></button></span></div>
  </div><div class="card rail"><h3>Last comparisons</h3><ul class="history"></ul>
    <h3>Agreement with the reward model</h3><dl class="facts agreement"></dl>
    <p class="mute hint">The share of pairs, judged blind, in which the clip you prefer is also the one to
      which the model gave the larger probability.</p></div></div>`;

export class Compare {
  constructor(element, _props, server) {
    fill(element, template);
    this.element = element;
    this.server = server;
    this.seen = false; // whether both clips were on the screen
    this.started = 0;
    this.find = (selector) => element.querySelector(selector);
    this.blindfold = memory.get("blind", true);
    this.whole = true;
    this.offer();
    const touch = { onTap: () => this.player.clock.toggle(), onSwipe: (way) => this.swipe(way) };
    this.second = new Stage(this.find(".second"), { label: "Frame of the right clip", ...touch });
    this.player = new Player(this.find(".screen"), {
      label: "Frame of the left clip",
      onCursor: (frame) => this.cursor(frame),
      ...touch,
    });
    this.strokes = new Strokes(element, server, this);
    const source = { next: (count) => this.ask(Math.min(count, MOST)) };
    this.supply = new Supply(element, server, source, () => this.strokes.judging.waiting);
    element.addEventListener("click", (event) => this.onClick(event));
    keys.use(["compare", "player"], { ...this.player.clock.actions(), ...this.actions() });
    this.restart();
  }

  get actor() {
    return memory.get("actor", "local");
  }
  get item() {
    return this.supply.item;
  }

  question() {
    return { actor: this.actor, pairs: true };
  }

  actions() {
    const choices = ["left", "right", "equal", "broken"];
    const others = ["skip", "blind", "decisive", "who"];
    return {
      ...Object.fromEntries(choices.map((choice) => [choice, () => this.say(choice)])),
      ...Object.fromEntries(others.map((name) => [name, () => this[name]()])),
      ...this.strokes.actions(),
    };
  }

  /** The menus: what the address says, or everything. */
  offer() {
    const { get, set } = address;
    const [pairing, run] = [this.find(".pairing"), this.find(".run")];
    if (get("pairing") in PAIRINGS) pairing.value = get("pairing");
    this.addRuns(get("run") ? [[get("run"), get("run")]] : []);
    run.value = get("run") ?? "";
    for (const [name, menu] of Object.entries({ pairing, run }))
      menu.addEventListener("change", () => {
        set(name, menu.selectedIndex ? menu.value : null);
        this.restart();
      });
    ask(this.server, "runs", {}, true).then((answer) => this.addRuns(answer?.runs ?? []));
  }

  addRuns(runs) {
    const menu = this.find(".run");
    for (const [run, name] of runs) {
      const known = [...menu.options].find(({ value }) => value === run);
      (known ?? menu.appendChild(new Option("", run))).text = name;
    }
    menu.hidden = menu.length < 2;
  }

  async ask(count) {
    const [pairing, run] = [this.find(".pairing").value, this.find(".run").value];
    const answer = await ask(this.server, "pairs", { actor: this.actor, pairing, run, count }, true);
    this.nothing = answer?.nothing;
    return answer;
  }

  async restart() {
    this.ready = false;
    showModes(this.find(".modes-of-label"), "ab", this.find(".run").value);
    this.strokes.clear();
    this.supply.clear();
    this.rail();
    this.open();
    await this.supply.refill();
    this.ready = true;
    this.open();
    this.strokes.remember();
  }

  async open() {
    const { item } = this;
    /** @type {any} */
    this.clips = null;
    this.seen = false;
    this.player.clear();
    this.second.clear();
    this.show();
    this.supply.items.slice(0, AHEAD).forEach((next) => this.fetch(next));
    if (!item) return;
    const clips = await this.fetch(item);
    if (item !== this.item) return;
    if (!clips.every(Boolean)) {
      this.supply.done(item);
      toast("A pair cannot be shown: the next one follows.");
      this.open();
      return;
    }
    this.clips = clips;
    // The shorter of the two stands still at its end.
    const frames = [...clips[0].images];
    while (frames.length < clips[1].images.length) frames.push(frames.at(-1));
    this.player.load(frames, { loop: this.loop(), chunk: clips[0].chunk });
    this.player.clock.setSpeed(2);
    this.player.clock.play();
    this.show();
    await Promise.all([this.player.stage.drawn(), this.second.drawn()]);
    if (this.seen || clips !== this.clips) return;
    this.seen = true;
    this.started = performance.now();
    this.show();
  }

  fetch(item) {
    return Promise.all(SIDES.map((side) => this.supply.fetch(item[side])));
  }

  /** Both from their common start to the end of the longer one, or what decides either of them. */
  /** @returns {[number, number]} */
  loop() {
    const last = Math.max(...this.clips.map((clip) => clip.images.length)) - 1;
    if (this.whole) return [0, last];
    const windows = this.clips.map((clip) => clip.decisive);
    return [Math.min(...windows.map(([first]) => first)), Math.max(...windows.map(([, end]) => end))];
  }

  cursor(frame) {
    const [left, right] = this.clips ?? [];
    if (!left) return;
    this.second.paint(right.images[Math.min(frame, right.images.length - 1)], frame);
    this.clips.forEach((clip, side) =>
      this.find(`.caption.${SIDES[side]}`).classList.toggle("ended", frame >= clip.images.length),
    );
  }

  // What the keys and buttons do beside choosing.
  blind() {
    this.blindfold = !this.blindfold;
    memory.set("blind", this.blindfold);
    this.show();
  }
  decisive() {
    if (!this.clips) return;
    this.whole = !this.whole;
    this.player.clock.setLoop(this.loop());
    this.player.clock.play();
    this.show();
  }
  skip() {
    if (!this.item) return;
    this.supply.skip();
    this.open();
  }
  swipe(way) {
    const choice = { left: "left", right: "right", up: "equal" }[way];
    if (choice) this.say(choice);
  }
  who() {
    const name = window.prompt("Who judges?", this.actor)?.trim();
    if (!name || name === this.actor) return;
    memory.set("actor", name);
    this.restart();
  }

  say(choice) {
    const { item, clips } = this;
    if (!item) return;
    if (!clips || !this.seen) {
      toast("That was before the pair was on the screen: nothing is said of it.", "note");
      return;
    }
    const model = SIDES.flatMap((side, index) => {
      const { probabilities, threshold, lineage } = clips[index];
      return [
        [`${side}_probability`, probabilities?.length ? Math.max(...probabilities) : null],
        [`${side}_threshold`, threshold ?? null],
        [`${side}_checkpoint`, lineage?.reward_model ?? null],
      ];
    });
    const said = {
      pair: true,
      left: item.left.id,
      right: item.right.id,
      choice,
      mode: this.blindfold ? "blind" : "review",
      ...Object.fromEntries(model),
      latency_ms: Math.round(performance.now() - this.started),
      supersedes: item.said ?? null,
      actor: this.actor,
    };
    this.strokes.say({ ...item, said: null }, said);
    if (this.supply.low) this.supply.refill().then(() => void (!this.clips && this.open()));
  }

  recall(entry) {
    const { agrees, pending, seq, at, hash, ...stroke } = entry;
    return { stroke: { ...stroke, pair: true }, item: this.pairOf(entry) };
  }

  pairOf({ left, right }) {
    return { id: `${left} ${right}`, left: { id: left }, right: { id: right } };
  }

  bring(item) {
    this.supply.bring(item);
    this.open();
  }

  /** Back at a compared pair; a choice now corrects the one that stands. */
  again(entry) {
    if (entry) this.bring({ ...this.pairOf(entry), said: entry.event_id });
  }

  onClick(event) {
    const action = event.target.closest("button[data-do]")?.dataset.do;
    if (action && !event.target.closest(".scrub")) this.actions()[action]?.();
  }

  count(agreement) {
    this.agreement = agreement;
  }

  show() {
    const { item, clips } = this;
    const page = this.element.firstElementChild;
    page.classList.toggle("blindfold", this.blindfold);
    page.classList.toggle("nothing-left", this.ready && !item);
    this.find(".who").textContent = `you: ${this.actor}`;
    this.find(".instruction").textContent = clips?.[0].instruction ?? "";
    this.find("[data-do=blind]").setAttribute("aria-pressed", String(this.blindfold));
    this.find("[data-do=decisive]").setAttribute("aria-pressed", String(!this.whole));
    for (const button of page.querySelectorAll(".verdicts button, [data-do=skip], [data-do=decisive]"))
      button.disabled = button.dataset.do === "skip" ? !item : !clips;
    this.player.note.textContent = item && !this.seen ? "fetching the pair…" : "";
    SIDES.forEach((side, index) => fill(this.find(`.caption.${side}`), this.caption(side, clips?.[index])));
  }

  caption(side, clip) {
    if (this.ready && !this.item)
      return side === "right"
        ? html``
        : html`<p class="empty"><b>${this.nothing || "Every pair here is compared."}</b>
            <a href="train">Train</a> imagines several futures of each start.</p>`;
    const name = html`<b>${side === "left" ? "Left" : "Right"}</b>`;
    if (!clip) return name;
    const end = html`<span class="mute end">ended at ${clip.images.length - 1}</span>`;
    if (this.blindfold) return html`${name}${end}`;
    const best = clip.probabilities?.length ? Math.max(...clip.probabilities) : null;
    return html`${name}${end}<span class="grow"></span>${verdict(clip)}
      <span class="mono">p ${fixed(best)}</span><a class="mono"
        href="episodes?ep=${encodeURIComponent(clip.id)}">${clip.id}</a>`;
  }

  rail() {
    const { entries, recent } = this.strokes;
    showComparisons(this.find(".history"), entries);
    this.find(".pace").textContent = recent > 1 ? `${recent} in the last minute` : "";
    if (this.agreement) showOrderAgreement(this.find(".agreement"), this.agreement);
  }
}
