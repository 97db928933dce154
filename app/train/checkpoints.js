// What a run leaves: its checkpoints to load, compare and publish, and its numbers as files.
import { handOver } from "../web/errands/exports.js";
import { measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { openPublish } from "./publish.js";

const METRICS = ["rollout/success_rate", "real/success_rate", "rollout/entropy", "rollout/drift"];

export class Checkpoints {
  /** @type {string | null} */
  count = null;
  /** @type {() => string[]} */
  runs = () => [];

  /**
   * @param {any} root
   * @param {{ask: import("../web/types.d.ts").Ask, [name: string]: any}} settings
   */
  constructor(root, { ask, server, open }) {
    this.root = root;
    this.ask = ask;
    this.server = server;
    this.open = open;
    this.run = null;
    this.known = [];
    this.compared = [];
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-checkpoint]");
      if (!button) return;
      const { checkpoint } = button.dataset;
      if (button.dataset.do === "compare") this.compare(checkpoint);
      else
        openPublish(
          this.server(),
          this.known.find(({ id }) => id === checkpoint),
        );
    });
    root.addEventListener("change", (event) => {
      if (event.target.matches(".tables")) this.table(event.target);
    });
  }

  /** Look again at what the run keeps; `count` grows with every checkpoint it says it saved. */
  async show(run, count) {
    if (run === this.run && count === this.count) return;
    Object.assign(this, { run, count });
    const found = await this.ask("checkpoints", { run });
    if (!found || run !== this.run) return;
    this.known = found.checkpoints;
    this.compared = this.compared.filter((id) => this.known.some((each) => each.id === id));
    this.draw();
  }

  draw() {
    const rows = this.known.map((each) => {
      const compared = this.compared.includes(each.id);
      const load =
        each.role === "policy"
          ? html`<a class="button" href="imagine?policy=${each.id}">Load</a>`
          : html`<a class="button" href="models">Load</a>`;
      const publish = this.open
        ? html`<button data-do="publish" data-checkpoint="${each.id}">Publish</button>`
        : "";
      return html`<li><span class="mono" title="${each.short}">step ${each.step}</span><span class="grow"></span>${load}
        <button data-do="compare" data-checkpoint="${each.id}"
          aria-pressed="${String(compared)}">Compare</button>${publish}</li>`;
    });
    fill(
      this.root,
      html`<div class="between"><h3>Checkpoints</h3><select class="tables" aria-label="Export metrics">
          <option value="">Export metrics…</option><option value="csv">table (csv)</option>
          <option value="parquet">table (parquet)</option></select></div>
        <ul class="kept">${rows.length ? html`${rows}` : html`<li class="mute">None yet.</li>`}</ul>
        ${this.comparison()}`,
    );
  }

  compare(id) {
    this.compared = this.compared.includes(id)
      ? this.compared.filter((each) => each !== id)
      : [...this.compared, id].slice(-4);
    this.draw();
  }

  /** The metrics of the chosen checkpoints side by side: those one looks for first, on top. */
  comparison() {
    const chosen = this.known.filter((each) => this.compared.includes(each.id)).reverse();
    if (!chosen.length) return "";
    const names = [...new Set(chosen.flatMap((each) => Object.keys(each.metrics)))];
    const rank = (name) => (METRICS.includes(name) ? METRICS.indexOf(name) : METRICS.length);
    names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    const head = chosen.map((each) => html`<th scope="col">${each.step}</th>`);
    const rows = names.map(
      (name) =>
        html`<tr><th scope="row">${name.replace(/[/_]/g, " ")}</th>${chosen.map(
          (each) => html`<td>${measure(each.metrics[name])}</td>`,
        )}</tr>`,
    );
    return html`<table class="differences mono" aria-label="Checkpoints compared"><tr><th>at
      step</th>${head}</tr>${rows}</table>`;
  }

  async table(menu) {
    const format = menu.value;
    menu.value = "";
    const answer = format && (await this.ask("table", { runs: this.runs?.() ?? [this.run], format }));
    if (answer) handOver(answer.data, answer.name);
  }
}
