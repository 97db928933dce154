// How far dreams are from reality by depth, with intervals; every number opens its videos.
import { Curves } from "../player/chart.js";
import { fixed, measure } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";
import { name, range, share } from "./lies.js";

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

const template = html`<div class="card lens"></div><div class="plots"></div>
  <details class="card rest"><summary>The rest: means, the judge on real videos, places in a
    chunk, features</summary><div class="facts-row"></div><div class="plots more"></div></details>`;

export class Depths {
  /** `matrix` is where real against imagined success is shown; `onPairs(question)` opens pairs. */
  constructor(place, matrix, onPairs) {
    fill(place, template);
    this.place = place;
    this.matrix = matrix;
    this.onPairs = onPairs;
    this.metric = "psnr";
    this.outcome = "all";
    this.charts = [];
    this.find = (selector) => place.querySelector(selector);
    place.addEventListener("change", ({ target }) => this.change(target));
    place.addEventListener(
      "input",
      ({ target }) => target.matches(".depth") && this.mark(Number(target.value)),
    );
    for (const part of [place, matrix])
      part.addEventListener("click", (event) => {
        const { cell, model, videos } = event.target.closest("button")?.dataset ?? {};
        if (cell) this.onPairs({ cell, model, depth: this.border() });
        if (videos) this.onPairs({ depth: this.depth, outcome: this.outcome });
      });
  }

  /** Everything of a run that has curves, at its last frame. */
  show(found) {
    this.found = found;
    const { curves } = found;
    this.matrix.hidden = !curves.matrix;
    this.depths = curves.depth["imagined/psnr"].all.map((_, index) => index + 1);
    this.depth = this.depths.length;
    this.facts();
    this.lens();
    this.plots();
    this.mark(this.depth);
  }

  /** What is folded: means, the judge on real videos, who was measured. */
  facts() {
    const { metrics, models, curves, settings = {} } = this.found;
    const { reward } = curves;
    const accuracy = metrics["fidelity/balanced_accuracy"];
    const tile = (label, value, text) => html`<div class="tile"><span class="cap">${label}</span>
      <b class="mono">${value}</b><span class="mute small">${text}</span></div>`;
    const psnr = (kind) => `${measure(metrics[`fidelity/mean_${kind}_psnr`])} dB`;
    const against = `the start repeated ${psnr("repeat")} · the autoencoder alone ${psnr("round_trip")}`;
    const bounds = ["low", "high"].map((end) => metrics[`fidelity/balanced_accuracy_${end}`]);
    const judged = () => {
      const { false_success_rate: rate, false_success: count, true_failure: rest } = reward;
      const successes = reward.true_success + reward.false_failure;
      const interval = reward.f1_interval.map((value) => fixed(value)).join("–");
      return html`${tile(
        "the judge on real videos",
        `F1 ${fixed(reward.f1)}`,
        `95 % ${interval} · ${successes} really succeeded, from starts it has not learnt from`,
      )}${tile(
        "real failures it calls successes",
        share(rate),
        `${count} of ${count + rest} real videos · 95 % ${range(reward.false_success_interval)}`,
      )}`;
    };
    const agree = `95 % ${range(bounds)} · 85 % is wanted before training in it`;
    fill(
      this.find(".facts-row"),
      html`${tile("dream against reality", psnr("imagined"), against)}
      ${accuracy === undefined ? "" : tile("verdicts agree (balanced)", share(accuracy), agree)}
      ${reward && reward.true_success + reward.false_failure ? judged() : ""}
      <p class="mute small models">world model <b>${name(models.world_model)}</b>${
        models.baseline_world_model ? html` · compared with <b>${name(models.baseline_world_model)}</b>` : ""
      } · reward model <b>${name(models.reward_model)}</b>${
        models.policy ? html` · played by <b>${name(models.policy)}</b>` : ""
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
    const pick = this.found.videos ? (depth) => this.onPairs({ depth, outcome }) : null;
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
    const folded = figures.splice(2);
    this.charts = [".plots", ".plots.more"].flatMap((where, level) => {
      const place = this.find(where);
      const chosen = level ? folded : figures;
      fill(place, html`${chosen.map(() => html`<div></div>`)}`);
      return chosen.map((figure, index) => new Curves(place.children[index], figure));
    });
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
    this.find("output").textContent = `${depth}`;
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
      return html`<div><table>${
        matrix.baseline ? html`<caption class="mute">${KINDS[model][0]}</caption>` : ""
      }
        <tr><td></td><th scope="col">imagined ✓</th><th scope="col">imagined ✕</th></tr>
        ${CELLS.map(([label, row]) => html`<tr><th scope="row">${label}</th>${row.map(td)}</tr>`)}</table></div>`;
    };
    fill(
      this.matrix,
      html`<h3>Real against imagined success by frame ${depth}${
        depth === matrix.imagined.at(-1).depth ? ", the last" : ""
      }</h3>
        <div class="matrix">${Object.keys(matrix).map(one)}</div>
        <p class="mute small">What had happened by then; a number opens its pairs. The frame below moves it.</p>`,
    );
  }
}
