// Fidelity: how far the dream is from reality, by depth, with intervals; every number opens its videos.
import { showPairs } from "../player/pair.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { duration, fixed, integer, measure } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { draw, view } from "../web/view.js";
import { Curves } from "./curves.js";
import { fidelityForm } from "./fidelity_form.js";

const KINDS = {
  imagined: ["imagined", "accent"],
  baseline: ["without alignment", "minus"],
  shuffled: ["another's actions", "bad"],
  zero: ["no actions", "warn"],
  round_trip: ["autoencoder alone", "ok"],
  repeat: ["start repeated", "mute"],
};
const UNITS = { psnr: "dB", ssim: "", lpips: "" };
/** @type {[string, [string, boolean][]][]} */
const CELLS = [
  [
    "real ✓",
    [
      ["true_success", true],
      ["false_failure", false],
    ],
  ],
  [
    "real ✕",
    [
      ["false_success", false],
      ["true_failure", true],
    ],
  ],
];
const WORDS = {
  true_success: "really success, imagined success",
  false_failure: "really success, imagined fail",
  false_success: "really fail, imagined success",
  true_failure: "really fail, imagined fail",
};
const layout = html`<div class="wm evaluate fidelity"><div class="stack main">
    <div class="card chosen"></div><div class="facts-row"></div><div class="card lens" hidden></div>
    <div class="plots"></div><div class="card agreement" hidden></div><div class="notes"></div></div>
  <div class="stack side"><div class="card new"></div></div></div>`;
const share = (value) => `${(100 * value).toFixed(0)} %`;
const range = (interval) => `${(100 * interval[0]).toFixed(0)}–${(100 * interval[1]).toFixed(0)}`;
const name = (id) =>
  id
    ?.split("/")
    .slice(id.startsWith("demo/") ? 1 : 0)
    .join("/") ?? "none";

class Fidelity {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.metric = "psnr";
    this.outcome = "all";
    this.found = null;
    this.charts = [];
    this.run = address.get("run");
    fill(element, layout);
    this.find = (selector) => element.querySelector(selector);
    element.addEventListener("change", ({ target }) => this.change(target));
    element.addEventListener(
      "input",
      ({ target }) => target.matches(".depth") && this.mark(Number(target.value)),
    );
    element.addEventListener("click", (event) => {
      const { cell, model, videos } = event.target.closest("button")?.dataset ?? {};
      if (cell) this.pairs({ cell, model, depth: this.border() });
      if (videos) this.pairs({ depth: this.depth, outcome: this.outcome });
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
    if (!run) this.nothing();
    else if (!["done", "sample"].includes(run.state)) this.waiting(run);
    else if (this.found?.run !== run.id) {
      const found = await ask(this.server, "results", { run: run.id });
      if (found && this.run === run.id) this.show(found);
    }
  }

  head(run) {
    const option = (one) => view`<option value="${one.id}" .selected=${one.id === this.run}>
      ${one.title}${["done", "sample"].includes(one.state) ? "" : ` · ${one.state}`}</option>`;
    this.find(".chosen").hidden = !run;
    draw(
      this.find(".chosen"),
      view`<div class="between"><label class="row mute">run <select data-name="run" aria-label="Fidelity run">
        ${this.runs.map(option)}</select></label><span class="mute small">${
          run?.state === "sample" ? "numbers of the shipped checkpoints; its videos are not shipped" : ""
        }</span></div>`,
    );
  }

  clear() {
    this.found = null;
    for (const place of [".facts-row", ".plots", ".notes"]) fill(this.find(place), html``);
    for (const place of [".lens", ".agreement"]) this.find(place).hidden = true;
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

  waiting({ state, done, total, error, seconds_left }) {
    this.clear();
    const left = seconds_left ? ` · ${duration(seconds_left)} left` : "";
    fill(
      this.find(".notes"),
      html`<div class="card"><h3>${state}</h3><p>${done} of ${total || "?"} episodes${left}</p>
        ${error ? html`<p class="bad">${error}</p>` : ""}<p class="mute small">Its numbers come when it is
          done.</p></div>`,
    );
  }

  show(found) {
    this.found = found;
    const { curves, metrics } = found;
    this.facts();
    fill(this.find(".notes"), html`${found.notes.map((note) => html`<p class="mute small">${note}.</p>`)}`);
    this.find(".lens").hidden = !curves;
    this.find(".agreement").hidden = !curves?.matrix;
    if (!curves) {
      fill(
        this.find(".plots"),
        html`<p class="empty card"><b>An older run</b> It measured means only
          (${measure(metrics["fidelity/mean_imagined_psnr"])} dB):
          run it again for curves with intervals. <a href="train?run=${found.run}">Its matrix is on Train.</a></p>`,
      );
      return;
    }
    this.depths = curves.depth["imagined/psnr"].all.map((_, index) => index + 1);
    this.depth = Math.min(this.depths.length, 2 * curves.chunk_size);
    this.lens();
    this.plots();
    this.mark(this.depth);
  }

  facts() {
    const { metrics, models, curves, settings = {} } = this.found;
    const reward = curves?.reward;
    const successes = reward ? reward.true_success + reward.false_failure : 0;
    const accuracy = metrics["fidelity/balanced_accuracy"];
    const tile = (label, value, text) => html`<div class="card tile"><span class="cap">${label}</span>
      <b class="mono">${value}</b><span class="mute small">${text}</span></div>`;
    const psnr = (kind) => `${measure(metrics[`fidelity/mean_${kind}_psnr`])} dB`;
    const against = `start repeated ${psnr("repeat")} · autoencoder ${psnr("round_trip")}`;
    const failing = () => {
      const { false_success_rate: rate, false_success: count, true_failure: rest } = reward;
      const words = `${count} of ${count + rest} · 95 % ${range(reward.false_success_interval)}`;
      return tile("failing starts called success", share(rate), words);
    };
    const bounds = ["low", "high"].map((end) => metrics[`fidelity/balanced_accuracy_${end}`]);
    fill(
      this.find(".facts-row"),
      html`${tile("imagined against real", psnr("imagined"), against)}
      ${
        accuracy === undefined
          ? ""
          : tile(
              "verdicts agree (balanced)",
              share(accuracy),
              `95 % ${range(bounds)} · 85 % is wanted before training in it`,
            )
      }
      ${
        reward && successes
          ? tile(
              "reward model, real videos",
              `F1 ${fixed(reward.f1)}`,
              `95 % ${reward.f1_interval.map((v) => fixed(v)).join("–")} · ${successes} really succeeded,
                from starts it has not learnt from`,
            )
          : ""
      }
      ${reward ? failing() : ""}
      <p class="mute small models">world model <b>${name(models.world_model)}</b>${
        models.baseline_world_model
          ? html`
        · compared with <b>${name(models.baseline_world_model)}</b>`
          : ""
      }
        · reward model <b>${name(models.reward_model)}</b>${
          models.policy
            ? html` · played by
          <b>${name(models.policy)}</b>`
            : ""
        }${
          settings.pool
            ? ` · ${settings.task}, pool ${settings.pool} from ${settings.first_start},
              temperature ${settings.temperature}`
            : ""
        }${settings.denoising_steps ? ` · ${settings.denoising_steps} denoising steps` : ""}</p>`,
    );
  }

  lens() {
    const { curves } = this.found;
    const metrics = ["psnr", "ssim", "lpips"].filter((metric) => `imagined/${metric}` in curves.depth);
    const button = (kind, value, text) =>
      html`<option value="${value}" ${raw(this[kind] === value ? "selected" : "")}>${text}</option>`;
    const outcomes = [
      ["all", "all episodes"],
      ["success", "real successes"],
      ["failure", "real failures"],
    ];
    fill(
      this.find(".lens"),
      html`<div class="between"><span class="row">
        <label class="row mute">of <select data-name="outcome" aria-label="Episodes">${outcomes.map(
          ([value, text]) => button("outcome", value, `${text} · ${curves.episodes[value]}`),
        )}</select></label>
        <label class="row mute">measure <select data-name="metric" aria-label="Measure">${metrics.map(
          (metric) => button("metric", metric, metric.toUpperCase()),
        )}</select></label></span>
        <label class="row mute grow">frame <input class="depth" type="range" min="1" max="${this.depths.length}"
          step="1"
          value="${this.depth}" aria-label="Frame depth"><output class="mono"></output></label>
        <button data-videos="1" ${raw(this.found.videos ? "" : "disabled")}>Videos, the worst first</button></div>`,
    );
  }

  plots() {
    const { curves } = this.found;
    const { metric, outcome } = this;
    const of = (table, kinds, key = (kind) => `${kind}/${metric}`) =>
      kinds
        .filter((kind) => table[key(kind)])
        .map((kind) => ({
          name: KINDS[kind][0],
          tone: KINDS[kind][1],
          points: table[key(kind)][outcome],
          dashed: ["repeat", "round_trip"].includes(kind),
        }));
    const all = ["imagined", "baseline", "shuffled", "zero", "round_trip", "repeat"];
    const numbers = (points) => points.map((_, index) => index + 1);
    const pick = this.found.videos ? (depth) => this.pairs({ depth, outcome }) : null;
    const onPlace = curves.position[`imagined/${metric}`][outcome];
    const sensitivity = of(curves.sensitivity, ["shuffled", "zero"], (kind) => kind);
    /** @type {any[]} */
    const figures = [
      {
        title: `${metric.toUpperCase()} by frame depth`,
        series: of(curves.depth, all),
        xs: this.depths.slice(0, curves.depth[`imagined/${metric}`][outcome].length),
        across: "frame",
        unit: UNITS[metric],
        onPick: pick,
        note: "Bands are 95 % intervals over episodes.",
      },
      {
        title: "what the actions are worth",
        series: sensitivity.map((one) => ({ ...one, name: `own minus ${one.name}` })),
        xs: numbers(sensitivity[0].points),
        across: "frame",
        unit: "dB PSNR",
        zero: true,
        onPick: pick,
        note: "A world model that listens to its actions stays clearly above 0 at every depth.",
      },
      {
        title: `${metric.toUpperCase()} by place in the chunk`,
        series: of(curves.position, all),
        xs: numbers(onPlace),
        across: "place",
        unit: UNITS[metric],
      },
    ];
    if (curves.frechet) figures.push(this.features());
    const place = this.find(".plots");
    fill(place, html`${figures.map(() => html`<div></div>`)}`);
    this.charts = figures.map((figure, index) => new Curves(place.children[index], figure));
  }

  /** The Fréchet distance has no interval: its floor says what is left when nothing differs. */
  features() {
    const { frechet, chunk_size } = this.found.curves;
    const kinds = ["imagined", "baseline", "round_trip"].filter((kind) => frechet[kind]);
    const point = (value) => (value === null || value === undefined ? null : [value, null, null]);
    const chosen = kinds
      .map((kind) => `${KINDS[kind][0]} ${measure(frechet[kind][this.outcome])}`)
      .join(", ");
    return {
      title: "Fréchet distance on our reward model's features, by chunk",
      series: kinds.map((kind) => ({
        name: KINDS[kind][0],
        tone: KINDS[kind][1],
        points: frechet[kind].by_chunk.map(point),
      })),
      xs: frechet.imagined.by_chunk.map((_, index) => (index + 1) * chunk_size),
      across: "frame",
      zero: true,
      note: `Not FVD: features of our own judge, of windows as long as a chunk.
        All chunks (${this.outcome}): ${chosen}; two halves of the real videos: ${measure(frechet.floor)}.`,
    };
  }

  change({ dataset, value }) {
    if (dataset.name === "run") this.attach(value);
    if (!["metric", "outcome"].includes(dataset.name)) return;
    this[dataset.name] = value;
    this.plots();
    this.mark(this.depth);
  }

  /** The end of the chunk that the chosen frame is in. */
  border() {
    const { chunk_size, matrix } = this.found.curves;
    const last = matrix.imagined.at(-1).depth;
    return Math.min(last, Math.ceil(this.depth / chunk_size) * chunk_size);
  }

  mark(depth) {
    this.depth = depth;
    this.find(".lens output").textContent = `${depth}`;
    this.charts.filter((chart) => chart.across === "frame").forEach((chart) => chart.mark(depth));
    if (this.found.curves.matrix) this.verdicts();
  }

  verdicts() {
    const { matrix } = this.found.curves;
    const depth = this.border();
    const one = (model) => {
      const cells = matrix[model].find((row) => row.depth === depth) ?? matrix[model].at(-1);
      const total = CELLS.flatMap(([, row]) => row).reduce((sum, [cell]) => sum + cells[cell], 0);
      const td = ([
        cell,
        agrees,
      ]) => html`<td class="${agrees ? "agrees" : "differs"}"><button data-cell="${cell}" data-model="${model}"
        aria-label="${KINDS[model][0]}: ${WORDS[cell]}: ${cells[cell]} of ${total}" ${raw(
          this.found.videos && cells[cell] ? "" : "disabled",
        )}>
        <b class="mono">${cells[cell]}</b><span class="mute">${share(cells[cell] / total)}</span></button></td>`;
      return html`<div><table><caption class="mute">${KINDS[model][0]}</caption>
        <tr><td></td><th scope="col">imagined ✓</th><th scope="col">imagined ✕</th></tr>
        ${CELLS.map(([label, row]) => html`<tr><th scope="row">${label}</th>${row.map(td)}</tr>`)}</table></div>`;
    };
    fill(
      this.find(".agreement"),
      html`<h3>Real against imagined success by frame ${depth}</h3>
        <div class="matrix">${Object.keys(matrix).map(one)}</div>
        <p class="mute small">What had happened by then; a number opens its pairs. Move the frame above to see it
          grow.</p>`,
    );
  }

  async pairs(question) {
    const found = await ask(this.server, "pairs", { run: this.found.run, ...question });
    if (!found) return;
    const items = found.pairs.map(({ imagined, real, start_id, frame, text }) => ({
      title: `start ${integer(start_id)}`,
      left: imagined,
      right: real,
      frame,
      text,
    }));
    if (!items.length) toast("No pair of this kind was stored.", "note");
    else showPairs(this.server, ["Dream", "Reality"], items);
  }
}
export const mountFidelity = ({ element, server }) => new Fidelity(element, server);
