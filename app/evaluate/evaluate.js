// Evaluate: policies on common starts in the simulator. Every cell opens its videos, beside those of
// the reference from the same start; only what is significant is bold.
import { showPairs } from "../player/pair.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { handOver } from "../web/errands/exports.js";
import { integer } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";
import { every } from "../web/polling.js";
import { evaluationForm, PowerCalculator } from "./evaluate_form.js";
import { Studies, showLedger } from "./evaluate_side.js";

const layout = html`<div class="wm evaluate loading"><div class="stack main">
    <div class="card bar-card"><div class="between"><div class="row chosen"></div>
      <div class="row downloads"></div></div></div>
    <div class="results"></div><div class="starts"></div><div class="study"></div></div>
  <div class="stack side"><div class="card new"></div><div class="card studies"></div>
    <div class="card power"></div><div class="card ledger"></div></div></div>`;

const percent = (share) => (100 * share).toFixed(1);
const points = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
const p = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));
const strong = (text, yes) => (yes ? html`<b>${text}</b>` : html`${text}`);

/** An interval on a scale from 0 to 100 %. */
const interval = ([mean, low, high]) => html`<span class="interval" aria-hidden="true">
  <i style="left:${100 * low}%;width:${100 * (high - low)}%"></i><b style="left:${100 * mean}%"></b></span>`;

const cell = (cell, words) => {
  if (!cell) return html`<td class="mute">not run</td>`;
  if (cell.rate === undefined)
    return html`<td class="mute"><a href="train?run=${cell.run}" title="${cell.error ?? ""}">
      <i class="dot ${cell.state}"></i> ${cell.state} · ${cell.done} of ${cell.total}</a></td>`;
  const text = `${words}: ${percent(cell.rate)} %, ${cell.successes} of ${cell.total}. Show its starts`;
  return html`<td><button class="quiet figure" data-run="${cell.run}" aria-label="${text}">
    <span class="mono">${percent(cell.rate)}</span>
    <span class="mono mute small">${percent(cell.low)}–${percent(cell.high)}</span></button></td>`;
};

class Evaluate {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.suites = [];
    this.found = null;
    fill(element, layout);
    this.find = (selector) => element.querySelector(selector);
    this.suite = address.get("suite");
    this.reference = address.get("reference");
    element.addEventListener("change", ({ target }) => this.change(target));
    element.addEventListener("click", (event) => this.click(event));
    evaluationForm(this.find(".new"), server, () => this.wake());
    new PowerCalculator(this.find(".power"), server);
    this.studies = new Studies(this.find(".studies"), this.find(".study"), server);
    this.wake = every(
      element,
      () => (this.busy ? 3000 : 15_000),
      () => this.pull(),
    );
  }

  async pull() {
    const answer = await ask(this.server, "overview", {}, Boolean(this.found));
    if (!answer) return;
    this.suites = answer.suites;
    this.studies.show(answer.studies);
    showLedger(this.find(".ledger"), answer.ledger);
    if (!this.suites.some((suite) => suite.id === this.suite)) {
      this.suite = this.suites[0]?.id ?? null;
      this.reference = null;
    }
    await this.look();
    this.element.querySelector(".loading")?.classList.remove("loading");
  }

  async look() {
    if (!this.suite) {
      this.busy = false;
      this.nothing();
      return;
    }
    const question = { suite: this.suite, ...(this.reference ? { reference: this.reference } : {}) };
    const found = await ask(this.server, "results", question);
    if (!found) {
      this.reference = null;
      return;
    }
    this.busy = found.tasks.some(({ cells }) =>
      Object.values(cells).some((row) => row.some((one) => one?.busy)),
    );
    const fresh = JSON.stringify(found);
    if (fresh === this.shown) return;
    Object.assign(this, { found, shown: fresh });
    this.draw();
  }

  nothing() {
    this.find(".bar-card").hidden = true;
    fill(
      this.find(".results"),
      html`<p class="empty card"><b>Nothing was evaluated yet</b> Choose policies under “New evaluation” and start:
        each plays the same starts in the simulator, and what the numbers can show is said here.</p>`,
    );
    this.studies.offer();
  }

  draw() {
    const { found } = this;
    this.find(".bar-card").hidden = false;
    const option =
      (chosen) =>
      ([value, text]) =>
        html`<option value="${value}"
      ${raw(value === chosen ? "selected" : "")}>${text}</option>`;
    fill(
      this.find(".chosen"),
      html`<label class="row mute">starts <select data-name="suite">
        ${this.suites.map((suite) => option(found.suite)([suite.id, suite.title]))}</select></label>
      <label class="row mute">compared with <select data-name="reference">
        ${found.arms.map((arm) => option(found.reference)([arm.name, arm.title]))}</select></label>`,
    );
    fill(
      this.find(".downloads"),
      html`<button data-report="html">Report (HTML)</button>
        <button data-report="markdown">Report (Markdown)</button>`,
    );
    fill(
      this.find(".results"),
      html`${found.tasks.map((task) => this.table(task))}${this.overall()}${this.paired()}`,
    );
  }

  table({ task, cells, means, power }) {
    const { arms, columns, reference } = this.found;
    const differences = new Map(this.found.differences.filter((d) => d.task === task).map((d) => [d.arm, d]));
    const seeds = Array.from({ length: columns }, (_, seed) => seed);
    const row = ({ name, title }) => {
      const difference = differences.get(name);
      const mean = means[name];
      return html`<tr><th scope="row">${title}${
        name === reference ? html` <span class="tag">reference</span>` : ""
      }</th>
        ${seeds.map((seed) => cell(cells[name][seed], `${title}, ${columns > 1 ? `seed ${seed}` : task}`))}
        ${
          columns > 1
            ? html`<td class="mono">${
                mean
                  ? percent(mean[0])
                  : html`<span class="mute">not
          run</span>`
              }</td>`
            : ""
        }
        <td class="scale">${mean ? interval(mean) : ""}</td>
        <td class="mono">${difference ? strong(points(difference.mean), difference.strong) : ""}
          <span class="mute small">${
            difference ? `${points(difference.low)} to ${points(difference.high)}` : ""
          }</span></td>
        <td class="mono">${difference ? strong(p(difference.adjusted), difference.strong) : ""}</td></tr>`;
    };
    return html`<div class="card"><h3>${task} · success in %</h3><div class="wide"><table class="figures">
      <thead><tr><th></th>${seeds.map((seed) => html`<th>${columns > 1 ? `seed ${seed}` : "success"}</th>`)}
        ${columns > 1 ? html`<th>mean</th>` : ""}
        <th class="scale"><span class="ends"><span>0</span><span>100</span></span></th><th>difference</th><th>p
          (Holm)</th></tr></thead>
      <tbody>${arms.map(row)}</tbody></table></div>
      <p class="mute small">${power}</p></div>`;
  }

  overall() {
    const { overall, arms } = this.found;
    if (!overall.length) return html``;
    const title = (name) => arms.find((arm) => arm.name === name).title;
    return html`<div class="card"><h3>all tasks together</h3><table class="figures"><tbody>
      ${overall.map(
        (d) => html`<tr><th scope="row">${title(d.arm)}</th>
        <td class="mono">${strong(points(d.mean), d.strong)} <span class="mute small">${points(d.low)} to
          ${points(d.high)}</span></td>
        <td class="mono">p (Holm) ${strong(p(d.adjusted), d.strong)}</td></tr>`,
      )}</tbody></table></div>`;
  }

  paired() {
    const { paired, arms, columns, reference, about } = this.found;
    const title = (name) => arms.find((arm) => arm.name === name).title;
    const many = this.found.tasks.length > 1;
    const count = (test, side) => {
      const number = side === "arm" ? test.only_arm : test.only_reference;
      const words = `Starts on which only ${title(side === "arm" ? test.arm : reference)} succeeded: ${number}`;
      return html`<td><button class="quiet figure mono" data-run="${test.run}" data-beside="${test.reference_run}"
        data-only="${side}" aria-label="${words}" ${raw(number ? "" : "disabled")}>${number}</button></td>`;
    };
    const rows = paired.map(
      (test) => html`<tr><th scope="row">${many ? `${test.task} · ` : ""}${title(test.arm)}</th>
        ${columns > 1 ? html`<td class="mono">${test.column}</td>` : ""}${count(test, "arm")}${count(test, "reference")}
        <td class="mono">${p(test.p)}</td><td class="mono">${strong(p(test.adjusted), test.strong)}</td></tr>`,
    );
    const table = html`<div class="wide"><table class="figures"><thead><tr><th></th>
      ${columns > 1 ? html`<th>seed</th>` : ""}<th>only it</th><th>only ${title(reference)}</th><th>p</th><th>p
        (Holm)</th>
      </tr></thead><tbody>${rows}</tbody></table></div>`;
    return html`<div class="card"><h3>Paired by start</h3>
      ${rows.length ? table : html`<p class="mute">A second method on the same starts makes a comparison.</p>`}
      <p class="mute small">Exact McNemar tests within each seed; differences are pooled by a hierarchical bootstrap
        over seeds
        and starts; p is Holm-adjusted, and bold only below 0.05; a pooled difference also only with more than one
          seed. ${about}</p></div>`;
  }

  change({ dataset, value }) {
    if (!["suite", "reference"].includes(dataset.name)) return;
    this[dataset.name] = value;
    if (dataset.name === "suite") this.reference = null;
    for (const name of ["suite", "reference"]) address.set(name, this[name]);
    this.shown = null;
    fill(this.find(".starts"), html``);
    this.look();
  }

  async click(event) {
    const button = event.target.closest("button");
    const { report, run, beside, only, start } = button?.dataset ?? {};
    if (report) {
      const { suite, reference } = this.found;
      const file = await ask(this.server, "report", { suite, reference, format: report });
      if (file) handOver(file.data, file.name);
    }
    if (run) await this.starts(run, beside ?? this.beside(run), only);
    if (start !== undefined) this.play(Number(start));
  }

  /** The reference's run from the same task and seed; null for the reference itself. */
  beside(run) {
    for (const { cells } of this.found.tasks)
      for (const row of Object.values(cells)) {
        const column = row.findIndex((one) => one?.run === run);
        const other = column < 0 ? null : cells[this.found.reference][column];
        if (column >= 0) return other && other.run !== run ? other.run : null;
      }
    return null;
  }

  async starts(run, beside, only) {
    const videos = (name) => (name ? ask(this.server, "videos", { run: name }) : null);
    const [own, other] = await Promise.all([videos(run), videos(beside)]);
    if (!own) return;
    const reference = new Map(
      (other?.starts ?? []).map(([id, success, episode]) => [id, { success, episode }]),
    );
    this.list = own.starts
      .map(([id, success, episode]) => ({ id, success, episode, base: reference.get(id) }))
      .filter(
        ({ success, base }) => !only || (base && base.success !== success && success === (only === "arm")),
      );
    const title = (name) =>
      this.found.arms.find((arm) =>
        this.found.tasks.some(({ cells }) => cells[arm.name].some((one) => one?.run === name)),
      )?.title;
    /** @type {string[]} */
    this.names = [title(run) ?? run, beside ? title(beside) : "reference"];
    const filmed = this.list.filter(({ episode }) => episode).length;
    const square = ({ id, success, episode, base }, index) => {
      const words = `start ${integer(id)}: ${success ? "success" : "fail"}${
        base ? `, ${this.names[1]} ${base.success ? "success" : "fail"}` : ""
      }`;
      return html`<button class="start ${success ? "ok" : "bad"} ${base && base.success !== success ? "apart" : ""}"
        data-start="${index}" aria-label="${words}" title="${words}" ${raw(
          episode || base?.episode ? "" : "disabled",
        )}>${success ? "✓" : "✕"}</button>`;
    };
    fill(
      this.find(".starts"),
      html`<div class="card"><div class="between"><h3>${this.names[0]} · ${integer(this.list.length)} starts${
        only ? ` on which only ${this.names[only === "arm" ? 0 : 1]} succeeded` : ""
      }</h3><a href="episodes?run=${encodeURIComponent(run)}">its episodes</a></div>
      <div class="squares">${this.list.map(square)}</div>
      <p class="mute small">${
        filmed
          ? `${integer(filmed)} have a video: press one`
          : "This run kept no videos: evaluate with “videos of the first” above 0 to see them"
      }${beside ? `; framed where ${this.names[1]} ended otherwise` : ""}.</p></div>`,
    );
    this.find(".starts").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  play(index) {
    const shown = this.list.filter(({ episode, base }) => episode || base?.episode);
    const items = shown.map(({ id, episode, base }) => ({
      title: `start ${integer(id)}`,
      left: episode ?? base.episode,
      right: episode ? (base?.episode ?? null) : null,
    }));
    showPairs(this.server, this.names, items, shown.indexOf(this.list[index]));
  }
}

export const mountEvaluate = ({ element, server }) => new Evaluate(element, server);
