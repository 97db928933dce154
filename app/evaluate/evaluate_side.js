// Beside the results: studies with their reports, and the ledger of real episodes by use.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { handOver } from "../web/errands/exports.js";
import { integer, reached } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";

export class Studies {
  constructor(element, place, server) {
    this.element = element;
    this.place = place;
    this.server = server;
    this.run = address.get("study");
    element.addEventListener("click", (event) => {
      const run = event.target.closest("[data-study]")?.dataset.study;
      if (run) this.open(run);
    });
    place.addEventListener("click", async (event) => {
      const { download, close } = event.target.closest("button")?.dataset ?? {};
      if (close) this.close();
      if (!download) return;
      const file = await ask(server, "study_report", { run: this.run, format: download });
      if (file) handOver(file.data, file.name);
    });
    if (this.run) this.open(this.run);
  }

  show(studies) {
    this.shipped ??= studies.find(({ state }) => state === "sample")?.id ?? null;
    this.titles = new Map(studies.map(({ id, title }) => [id, title]));
    const row = ({ id, title, state, done, total, reported }) => html`<li>
      <button class="quiet" data-study="${id}" ${raw(reported ? "" : "disabled")}>
      <i class="dot ${state}"></i><span class="grow name">${title}</span></button>
      <span class="mute small">${
        { done: "done", sample: "shipped" }[state] ??
        [state, reached({ done, total }, "stages")].filter(Boolean).join(" · ")
      }</span></li>`;
    fill(
      this.element,
      html`<h3>Studies</h3>${
        studies.length
          ? html`<ul class="list">${studies.map(row)}</ul>`
          : html`<p class="mute small">None here. A study trains and tests several arms with several seeds from one
            file:
            <code
              class="mono">python -m engine study --config docs/plate_slide.json --out DATA/runs/study</code>; its
              report shows up here
            while it runs.</p>`
      }`,
    );
  }

  /** What there is to read where nothing was evaluated: the shipped study, unless it was closed. */
  offer() {
    if (this.shipped && !this.run) this.open(this.shipped, { unasked: true });
    this.shipped = "";
  }

  /** The report stands in a frame without scripts; cells that were not run are absent in it. */
  async open(run, { unasked = false } = {}) {
    this.run = run;
    const found = await ask(this.server, "study_report", { run, format: "html" });
    if (!found || this.run !== run) return;
    if (!unasked) address.set("study", run);
    const name = run.startsWith("sample-") ? (this.titles?.get(run) ?? run) : run;
    fill(
      this.place,
      html`<div class="card"><div class="between"><h3>Report of ${name}</h3><span class="row">
        <button data-download="html">HTML</button><button data-download="markdown">Markdown</button>
        <button class="quiet" data-close="1" aria-label="Close the report">✕</button></span></div>
        <iframe sandbox title="Report of ${name}"></iframe></div>`,
    );
    this.place.querySelector("iframe").srcdoc = found.text;
    if (!unasked) this.place.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  close() {
    this.run = null;
    address.set("study", null);
    fill(this.place, html``);
  }
}

/** Real episodes by use: a bar each, and where starts were used twice, a warning. */
export const showLedger = (place, { uses, overlaps, num_overlaps }) => {
  const total = uses.reduce((sum, use) => sum + use.episodes, 0);
  const most = Math.max(1, ...uses.map((use) => use.episodes));
  const row = ({ task, pool, use, episodes, successes }) => html`<tr>
    <th scope="row">${use}<span class="mute small"> ${task} · pool ${pool}</span>
      <span class="amount" aria-hidden="true"><i style="width:${(100 * episodes) / most}%"></i></span></th>
    <td class="mono">${integer(episodes)}</td>
    <td class="mono mute">${Math.round((100 * successes) / episodes)} %</td></tr>`;
  const twice = ([task, start, names]) => `${task} ${integer(start)} (${names.join(", ")})`;
  const warning = num_overlaps
    ? html`<p class="small warn">${integer(num_overlaps)} starts were used for more than one thing, such as
        ${twice(overlaps[0])}.</p>`
    : html`<p class="small mute">No start was used for two things. A policy is never tested on starts it has learnt
      from:
        such an evaluation refuses to run.</p>`;
  fill(
    place,
    html`<h3>Real episodes · ${integer(total)}</h3>${
      uses.length
        ? html`<table class="figures uses"><thead><tr><th>use</th><th>episodes</th><th>success</th></tr></thead>
            <tbody>${uses.map(row)}</tbody></table>${warning}`
        : html`<p class="mute small">None were played yet. Every episode of the simulator is written down here with
          its use:
            demonstrations, world model, reward, calibration, test.</p>`
    }`,
  );
};
