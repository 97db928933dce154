// Train: attach to a run by its id (in the address), follow it by a cursor, look at what it imagined.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { clock, duration } from "../web/formats.js";
import { memory } from "../web/memory.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { draw, none, view } from "../web/view.js";
import { Charts } from "./chart.js";
import { Checkpoints } from "./checkpoints.js";
import { showMatrix } from "./matrix.js";
import { showReality } from "./reality.js";
import { Table } from "./table.js";
import { Wall } from "./wall.js";

/** @typedef {import("../web/types.d.ts").Ask} Ask */

const MOST_RUNS = 10;

/** The thresholds of the alarms belong to whoever looks, and stay in this browser. */
const layout = (thresholds) => view`<div class="wm runs"><div class="alarms"></div><div class="twins"></div>
  <div class="plots"></div><div class="seen-real"></div><div class="versus"></div>
  <div class="card wall"></div>
  <div class="halves"><div class="card kept-by" hidden></div>
  <div class="card"><h3>Events</h3><ul class="events mono"></ul>
    <details class="thresholds"><summary>When to warn</summary>
      ${thresholds.map(
        ({ name, value, help }) => view`<label class="between mute">${help}
        <input type="number" step="any" name="${name}" value="${memory.get("thresholds", {})[name] ?? value}"></label>`,
      )}</details></div></div></div>`;
const panel = view`<div class="wm runs over"><div class="card table"></div><div class="card now"></div></div>`;

class Runs {
  /** @type {any} */
  kept = null;

  /** @type {string | null} */
  run = null;
  /** @type {any} */
  status = null;
  /** @type {Map<string, number>} */
  others = new Map();
  compared = false;
  after = 0;
  epoch = 0;
  audits = "";
  /** @type {any} */
  panel = null;
  /** @type {any} */
  server = null;
  /** @type {any} */
  table = null;
  wake = () => {};

  constructor(element, props) {
    draw(element, layout(props.thresholds));
    this.element = element;
    this.find = (selector) => element.querySelector(selector);
    this.charts = new Charts(this.find(".plots"), props, {
      onPick: (step) => this.wall.pick(step),
      onAxis: () => this.again(),
    });
    this.wall = new Wall(this.find(".wall"), {
      ask: /** @type {Ask} */ ((name, question, quiet) => ask(this.server, name, question, quiet)),
      server: () => this.server,
      onIteration: (iteration) => this.charts.mark(iteration),
      onLabel: () => this.wake(),
    });
    this.find(".thresholds").addEventListener("change", (event) => this.onThreshold(event));
    this.forget(null);
  }

  connect(element, props, server) {
    draw(element, panel);
    Object.assign(this, { panel: element, server });
    this.table = new Table(element.querySelector(".table"), {
      open: (run) => this.attach(run),
      beside: (run) => this.beside(run),
      say: async (question) => {
        const answer = await ask(server, "describe", question);
        this.wake();
        return answer;
      },
    });
    element.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("wmpo-runs", () => this.wake());
    this.wall.judging.outbox.flush();
    this.kept = new Checkpoints(this.find(".kept-by"), {
      ask: /** @type {Ask} */ ((name, question) => ask(this.server, name, question)),
      server: () => this.server,
      open: !props.public,
    });
    this.kept.runs = () => [this.run ?? "", ...this.others.keys()];
    const attached = address.get("run");
    const beside = (address.get("with") ?? "").split(",").filter(Boolean);
    if (attached) this.forget(attached);
    this.others = new Map(beside.slice(0, MOST_RUNS - 1).map((run) => [run, 0]));
    this.wake = every(
      element,
      () => (this.status?.busy ? 2500 : 6000),
      () => this.pull(),
    );
  }

  onThreshold({ target }) {
    memory.set("thresholds", { ...memory.get("thresholds", {}), [target.name]: Number(target.value) });
    this.again();
  }

  forget(run) {
    Object.assign(this, { run, status: null, others: new Map(), compared: false });
    this.wall.forget(run);
    this.again();
    for (const place of [".alarms", ".versus"]) draw(this.find(place), none);
    for (const place of [".twins", ".seen-real"]) this.find(place).replaceChildren();
  }

  /** Ask for all points anew: another axis, another threshold, another run. */
  again() {
    Object.assign(this, { after: 0, audits: "", epoch: this.epoch + 1 });
    for (const run of this.others.keys()) this.others.set(run, 0);
    this.charts.reset(this.run ?? "none", this.status?.job);
    this.wake();
  }

  attach(run) {
    address.set("run", run);
    address.set("with", null);
    this.forget(run);
  }

  async pull() {
    const { run, after, epoch } = this;
    const others = Object.fromEntries(this.others);
    const { axis } = this.charts;
    const thresholds = memory.get("thresholds", {});
    const question = { run, after, axis, others, thresholds };
    const answer = await ask(this.server, "follow", question, after > 0);
    if (!answer || epoch !== this.epoch) return;
    if (!run && answer.runs.length) {
      this.list(answer.runs);
      const drawn = new Set(this.charts.charts.map((chart) => chart.job));
      this.attach((answer.runs.find((one) => drawn.has(one.job)) ?? answer.runs[0]).id);
      return;
    }
    if (run && !answer.status) {
      toast(`There is no run “${run}” here: it may lie in another data directory.`);
      this.attach(null);
      return;
    }
    if (!answer.status) {
      this.list(answer.runs);
      this.now();
      return;
    }
    this.take(answer);
    this.list(answer.runs);
    this.compare(epoch);
  }

  take(answer) {
    if (this.status?.job !== answer.status.job && !this.after) this.charts.reset(this.run, answer.status.job);
    Object.assign(this, { status: answer.status, after: answer.next });
    if (Object.keys(answer.series).length) this.charts.add(this.run, answer.series);
    for (const [run, found] of Object.entries(answer.others)) {
      this.others.set(run, found.next);
      if (Object.keys(found.series).length) this.charts.add(run, found.series);
    }
    this.audited(answer.audits);
    this.events(answer.events);
    if (answer.alarms) {
      this.alarms(answer.alarms);
      showReality(this.find(".seen-real"), answer.reality);
    }
    this.now();
    const saved = answer.events.filter((event) => event.kind === "checkpoint").length;
    this.find(".kept-by").hidden = false;
    this.kept.show(this.run, `${saved} ${answer.status.state}`);
    const { busy, state } = answer.status;
    this.wall.arrive(answer.iterations, saved, busy || state === "paused");
  }

  /** What people saw in the groups of an iteration, as points of the chart of success. */
  audited(audits) {
    const text = JSON.stringify(audits);
    if (text === this.audits || this.charts.axis !== "iteration") return;
    this.audits = text;
    const points = audits.map(({ iteration, judged, succeeded }) => [
      iteration,
      succeeded / judged,
      iteration,
    ]);
    if (points.length) this.charts.add(this.run, { "audit/success_rate": points });
  }

  /** A finished fidelity run is a comparison with reality: shown once. */
  async compare(epoch) {
    const { id, job, state } = this.status;
    if (this.compared || job !== "fidelity" || state !== "done") return;
    this.compared = true;
    const found = await ask(this.server, "twin_matrix", { run: id });
    if (found && epoch === this.epoch) showMatrix(this.find(".twins"), found);
  }

  now() {
    const place = this.panel.querySelector(".now");
    const run = this.status;
    place.hidden = !run;
    if (!run) return;
    const share = run.total ? Math.min(100, (100 * run.done) / run.total) : 0;
    const paused = run.state === "paused";
    const alive = run.busy || paused;
    const unit = run.job === "optimise" ? "iteration " : "";
    const left = alive && run.seconds_left ? `${duration(run.seconds_left)} left` : "";
    draw(
      place,
      view`<div class="between"><b class="name" title="${run.id}">${run.name}</b>
        <span class="tag ${run.state === "failed" ? "bad" : run.state === "done" ? "ok" : ""}">
        <i class="dot ${run.state}"></i> ${run.state}</span>
        <span class="mute">${run.state === "queued" ? `waits ${run.waits_for}` : run.phase}</span>
        <span class="grow"></span>
        <span class="mono">${run.total ? `${unit}${run.done} of ${run.total}` : ""}</span>
        <span class="mono">${left}</span>
        ${
          alive
            ? view`<span class="row">
        <button data-control="${paused ? "run" : "pause"}">${paused ? "▶ Resume" : "❚❚ Pause"}</button>
        <button data-control="stop">■ Stop and save</button></span>`
            : none
        }</div>
      <div class="bar" role="progressbar" aria-label="Iterations done" aria-valuenow="${Math.round(share)}">
        <i style="width:${share}%"></i></div>
      ${run.error ? view`<p class="bad">${run.error}</p>` : ""}
      ${run.note ? view`<p class="mute">${run.note}</p>` : ""}`,
    );
  }

  list(runs) {
    this.table.show(runs, this.run, this.others, (run) => this.charts.colour(run));
    this.charts.call((run) => this.table.name(run));
    if (this.others.size && !this.find(".versus").childElementCount) this.differences();
  }

  /** Take a run into the comparison, or out of it. */
  beside(run) {
    if (this.others.has(run)) {
      this.others.delete(run);
      this.charts.drop(run);
    } else if (this.others.size < MOST_RUNS - 1) this.others.set(run, 0);
    else toast(`at most ${MOST_RUNS} runs can be compared at once`);
    address.set("with", [...this.others.keys()].join(","));
    this.differences();
    this.wake();
  }

  async differences() {
    const place = this.find(".versus");
    const runs = [this.run ?? "", ...this.others.keys()];
    if (runs.length < 2) {
      draw(place, none);
      return;
    }
    const found = await ask(this.server, "differences", { runs });
    if (!found) return;
    const head = found.runs.map(
      (run, index) =>
        view`<th scope="col"><i class="key" style="background:${this.charts.colour(run)}"></i>
          ${found.names[index]}</th>`,
    );
    const rows = found.rows.map(
      ({ name, values }) =>
        view`<tr><th scope="row">${name.replace(/_/g, " ")}</th>${values.map(
          (value) => view`<td>${value}</td>`,
        )}</tr>`,
    );
    draw(
      place,
      view`<div class="card"><h3>What differs</h3><div class="scroll"><table class="differences mono"
        aria-label="Options in which the runs differ"><tr><th></th>${head}</tr>${rows}</table></div>
        ${rows.length ? "" : view`<p class="mute">Their options are the same.</p>`}</div>`,
    );
  }

  alarms(alarms) {
    draw(
      this.find(".alarms"),
      view`${alarms.map(
        (alarm) => view`<div class="banner warn" role="alert"><b class="warn">${alarm.name}</b>
        ${alarm.text} · <a href="episodes?run=${this.run}${alarm.step === null ? "" : `&iteration=${alarm.step}`}">see
        the clips</a> · <a href="label">judge some</a></div>`,
      )}`,
    );
  }

  events(events) {
    draw(
      this.find(".events"),
      events.length
        ? view`${events.map(
            (event) => view`<li>
          <time>${clock(event.at)}</time> <span class="${event.kind === "alarm" ? "warn" : ""}">${event.text}</span>
          </li>`,
          )}`
        : view`<li class="mute">None yet.</li>`,
    );
  }

  async onClick(event) {
    const button = event.target.closest("[data-control]");
    if (!button) return;
    button.disabled = true;
    await ask(this.server, "control", { run: this.run ?? "", control: button.dataset.control });
    button.disabled = false;
    document.dispatchEvent(new CustomEvent("wmpo-runs"));
  }
}

// The panel may be there before the board, whose scripts are larger: it waits for it.
/** @type {(runs: Runs) => void} */
let found;
/** @type {Promise<Runs>} */
const board = new Promise((resolve) => {
  found = resolve;
});
export const mountRunBoard = ({ element, props }) => found(new Runs(element, props));
export const mountRunPanel = ({ element, props, server, watch }) => {
  board.then((runs) => runs.connect(element, props, server));
  watch("value", () =>
    board.then((runs) => {
      if (props.value?.run) runs.attach(props.value.run);
    }),
  );
};
