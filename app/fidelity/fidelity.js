// Fidelity: can this world model be believed? Where it lies first, then how far it is from reality.
import { showPairs } from "../player/pair.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { ago, duration, integer, measure, reached } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { draw, view } from "../web/view.js";
import { Depths } from "./depths.js";
import { fidelityForm } from "./fidelity_form.js";
import { showGates } from "./gates.js";
import { Lies } from "./lies.js";

const layout = html`<div class="wm evaluate fidelity loading"><div class="stack main">
    <div class="card chosen"></div><div class="lies"></div>
    <div class="card gates" hidden></div><div class="depths"></div><div class="notes"></div></div>
  <div class="stack side"><div class="card new"></div></div></div>`;

class Fidelity {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.found = null;
    this.run = address.get("run");
    fill(element, layout);
    this.find = (selector) => element.querySelector(selector);
    this.lies = new Lies(this.find(".lies"), {
      server,
      onOpen: (pairs, index) => this.open(pairs, index),
    });
    const onPairs = (question) => this.pairs(question);
    this.depths = new Depths(this.find(".depths"), this.find(".agreement"), onPairs);
    element.addEventListener("change", ({ target }) => {
      if (target.dataset.name === "run") this.attach(target.value);
    });
    fidelityForm(this.find(".new"), server, (run) => this.attach(run));
    this.wake = every(
      element,
      () => (this.busy ? 3000 : 15_000),
      () => this.pull(),
    );
  }

  attach(run) {
    this.run = run;
    this.found = null;
    address.set("run", run);
    this.wake?.();
  }

  async pull() {
    const answer = await ask(this.server, "runs", {}, Boolean(this.runs));
    if (!answer) return;
    this.runs = answer.runs;
    const known = this.runs.find((run) => run.id === this.run);
    const run = known ?? this.runs.find((one) => one.state === "done") ?? this.runs[0];
    this.busy = this.runs.some((one) => one.busy || one.state === "paused");
    this.run = run?.id ?? null;
    this.head(run);
    if (!run || !["done", "sample"].includes(run.state)) this.loaded();
    if (!run) this.nothing();
    else if (!["done", "sample"].includes(run.state)) this.waiting(run);
    else if (this.found?.run !== run.id) {
      const found = await ask(this.server, "results", { run: run.id });
      if (found && this.run === run.id) this.show(found);
    }
  }

  head(run) {
    const option = (one) => view`<option value="${one.id}" .selected=${one.id === this.run}>
      ${one.title}${one.started ? ` · ${ago(one.started)}` : ""}${
        ["done", "sample"].includes(one.state) ? "" : ` · ${one.state}`
      }</option>`;
    this.find(".chosen").hidden = !run;
    draw(
      this.find(".chosen"),
      view`<label class="row mute">measured <select data-name="run" aria-label="Fidelity run">
        ${this.runs.map(option)}</select></label>`,
    );
  }

  /** What the page says is known: it appears at once. */
  loaded() {
    this.element.querySelector(".loading")?.classList.remove("loading");
  }

  clear() {
    this.found = null;
    for (const place of [".lies", ".gates", ".depths"]) this.find(place).hidden = true;
    fill(this.find(".notes"), html``);
  }

  nothing() {
    this.clear();
    fill(
      this.find(".notes"),
      html`<p class="empty card"><b>Nothing was compared with reality yet</b> Press “Compare with reality”: the
          policy plays held-out starts in the simulator, the world model dreams them under the same actions, and
          both are laid side by side.</p>`,
    );
  }

  waiting(run) {
    this.clear();
    const { state, error, seconds_left: left } = run;
    const told = [reached(run, "episodes"), left ? `${duration(left)} left` : ""].filter(Boolean);
    fill(
      this.find(".notes"),
      html`<div class="card"><h3>${state}</h3><p>${told.join(" · ")}</p>
        ${error ? html`<p class="bad">${error}</p>` : ""}<p class="mute small">Its numbers come when it is
          done.</p></div>`,
    );
  }

  async show(found) {
    const answer = found.videos ? await ask(this.server, "pairs", { run: found.run }) : null;
    if (this.run !== found.run) return;
    this.found = found;
    const { curves, metrics } = found;
    this.find(".lies").hidden = this.find(".depths").hidden = !curves;
    this.loaded();
    this.lies.show(found, answer?.pairs ?? []);
    showGates(this.find(".gates"), found.gates);
    if (curves) this.depths.show(found);
    const older = html`<p class="empty card"><b>An older run</b> It measured means only
      (${measure(metrics["fidelity/mean_imagined_psnr"])} dB): run it again for curves with intervals.
      <a href="train?run=${found.run}">Its matrix is on Train.</a></p>`;
    fill(
      this.find(".notes"),
      html`${curves ? "" : older}${found.notes.map((note) => html`<p class="mute small">${note}.</p>`)}`,
    );
  }

  async pairs(question) {
    const found = await ask(this.server, "pairs", { run: this.found.run, ...question });
    if (!found) return;
    if (found.pairs.length) this.open(found.pairs, 0);
    else toast("No pair of this kind was stored.", "note");
  }

  open(pairs, index) {
    const items = pairs.map(({ imagined, real, start_id, frame, text }) => ({
      title: `start ${integer(start_id)}`,
      left: imagined,
      right: real,
      frame,
      text,
    }));
    showPairs(this.server, ["Dream", "Reality"], items, index);
  }
}
export const mountFidelity = ({ element, server }) => new Fidelity(element, server);
