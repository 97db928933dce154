// Reward: one threshold over everything that was judged. A drag only looks things up; when it rests,
// walls, slices, trend and the re-judged iteration follow.
import { Judging } from "../judging/judging.js";
import { Drawer } from "../player/drawer.js";
import { film } from "../player/film.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { ago, fixed, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { toast } from "../web/toast.js";
import { Rejudging } from "./rejudging.js";
import { percent, ThresholdKind } from "./threshold.js";

const TAU = "An episode counts as a success from the first window whose probability reaches τ";
const BEST = "The best balance of precision and recall (F1), of imagined clips if there are any";
const WIDTH = "How narrow 95 % intervals should be: it says how many more labels that needs";
const template = html`<div class="wm reward">
  <p class="banner filling" role="status" hidden></p>
  <div class="card empty-lab" hidden><p class="empty"><b>Nothing was judged by a reward model yet</b>
    <a href="imagine">Imagine an episode</a> or <a href="train">start a run</a>: what the judge said of every window
      is kept here.</p></div>
  <div class="lab" hidden><div class="card steer"><label>reward model<select aria-label="Reward model"></select></label>
      <label class="grow" title="${TAU}">success threshold τ<input type="range" min="0.001" max="1" step="0.001"
        aria-label="Threshold"></label>
      <label>τ<input type="number" min="0.001" max="1" step="0.001" aria-label="Threshold as a number"></label>
      <button data-do="best" title="${BEST}">Best F1 <kbd>g</kbd></button>
      <button data-do="current" class="quiet"></button>
      <label title="${WIDTH}">intervals to<select aria-label="Width of intervals"><option value="0.1">10 points</option>
        <option value="0.2" selected>20 points</option><option value="0.3">30 points</option></select></label></div>
    <div class="kinds"><div data-kind="imagined"></div><div data-kind="real"></div></div>
    <div class="kinds"><section class="card errors" data-wall="wrong" aria-label="False successes"></section>
      <section class="card errors" data-wall="missed" aria-label="False failures"></section></div>
    <div class="kinds"><section class="card slices" aria-label="Slices"></section>
      <section class="card"><h3>Precision on imagined clips by iteration</h3><div class="trend"></div>
        <div class="versions"></div></section></div>
    <section class="card rejudge" aria-label="Re-judge an iteration"></section></div></div>`;
const WALLS = {
  wrong: [
    "False successes",
    "judged ✓, truly ✕: each one is a false reward",
    "No false success at this threshold.",
  ],
  missed: ["False failures", "judged ✕, truly ✓", "No false failure at this threshold."],
};
const SLICES = ["task", "run", "iteration", "length"];
const PAGE = 12;
const SETTLED = 180; // milliseconds without a change of the threshold

class Reward {
  /** @type {any} */
  threshold = null;

  constructor(element, props, server) {
    fill(element, template);
    this.element = element;
    this.props = props;
    this.server = server;
    this.films = new Map();
    this.slicing = "run";
    this.epoch = 0;
    this.drawer = null;
    this.shown = { wrong: PAGE, missed: PAGE };
    this.find = (selector) => element.querySelector(selector);
    this.judging = new Judging(server, { mode: "reward", onAck: (ack, clip) => this.onAck(ack, clip) });
    this.model = this.find(".steer select");
    this.width = this.find(".steer label:last-of-type select");
    this.range = this.find("input[type=range]");
    this.number = this.find("input[type=number]");
    this.range.addEventListener("input", () => this.set(Number(this.range.value)));
    this.number.addEventListener("change", () => this.set(Number(this.number.value)));
    this.width.addEventListener("change", () => this.settle());
    this.model.addEventListener("change", () => this.change(this.model.value));
    this.rejudging = new Rejudging(this.find(".rejudge"), (question) =>
      ask(server, "rejudge", { ...question, reward_model: this.lab.reward_model }),
    );
    element.addEventListener("click", (event) => this.onClick(event));
    const move = (by) => () => this.set(Math.round(1000 * (this.threshold + by)) / 1000);
    keys.use(["reward"], {
      back: move(-0.01),
      forward: move(0.01),
      chunkBack: move(-0.1),
      chunkForward: move(0.1),
      best: () => this.best(),
    });
    this.load(address.get("model"));
  }

  /** Another reward model has a threshold of its own. */
  change(model) {
    clearTimeout(this.timer);
    this.threshold = null;
    address.set("tau", null);
    address.set("model", model);
    this.load(model);
  }

  async load(model = /** @type {string | null} */ (null)) {
    const epoch = ++this.epoch;
    const question = model === null ? {} : { reward_model: model };
    const answer = await ask(this.server, "lab", question);
    if (!answer || epoch !== this.epoch) return;
    this.filling(answer.filling, model);
    this.find(".empty-lab").hidden = answer.models.length > 0 || Boolean(answer.filling);
    this.find(".lab").hidden = !answer.models.length;
    if (!answer.models.length) return;
    this.lab = answer;
    this.offer();
    for (const kind of ["imagined", "real"])
      this[kind] = new ThresholdKind(this.find(`[data-kind=${kind}]`), kind, answer.kinds[kind], (value) =>
        this.set(value),
      );
    this.versions(answer.versions);
    this.rejudging.offer(answer.iterations);
    this.set(this.threshold ?? (Number(address.get("tau")) || answer.threshold));
  }

  /** An index from before probabilities were kept is being filled: look again soon. */
  filling(progress, model) {
    const banner = this.find(".filling");
    banner.hidden = !progress;
    if (!progress) return;
    const [done, total] = progress;
    const read = `${integer(done)} of ${integer(total)}`;
    banner.textContent = `Reading the judge's probabilities from the episode files: ${read}`;
    setTimeout(() => this.element.isConnected && this.load(model), 1000);
  }

  offer() {
    const { models, reward_model: chosen } = this.lab;
    this.model.replaceChildren(
      ...models.map((one) => new Option(`${one.name} · ${integer(one.episodes)}`, one.reward_model)),
    );
    this.model.value = chosen;
    const own = models.find((one) => one.reward_model === chosen);
    const button = this.find("[data-do=current]");
    button.textContent = `in use: ${fixed(own.threshold, 3)}`;
    button.title = own.own === null ? "" : `the checkpoint's own is ${own.own}`;
    this.inUse = own.threshold;
  }

  /** The threshold, from wherever it is moved; the page is drawn with the next frame. */
  set(value) {
    if (!this.lab || Number.isNaN(value)) return;
    this.threshold = Math.min(1, Math.max(0.001, Math.round(1000 * value) / 1000));
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), SETTLED);
  }

  draw() {
    const { threshold } = this;
    const index = Math.round(1000 * threshold) - 1;
    this.range.value = String(threshold);
    this.range.setAttribute("aria-valuetext", threshold.toFixed(3));
    this.number.value = threshold.toFixed(3);
    for (const kind of ["imagined", "real"]) this[kind].show(threshold, index);
  }

  async settle() {
    const { threshold } = this;
    address.set("model", this.lab.reward_model);
    address.set("tau", threshold);
    this.walls();
    this.rejudging.show(threshold);
    const width = Number(this.width.value);
    const reward_model = this.lab.reward_model;
    const answer = await ask(this.server, "details", { reward_model, threshold, width }, true);
    if (!answer || threshold !== this.threshold) return;
    for (const kind of ["imagined", "real"]) this[kind].need(answer.needed[kind], width);
    this.details = answer;
    this.slices();
    this.trend(answer.trend);
  }

  /** The threshold whose F1 is largest, the middle one of equals. */
  best() {
    const found = ["imagined", "real"].map((kind) => this.lab?.kinds[kind]).find((one) => one?.successes);
    if (!found) return toast("F1 needs a true success: label one first.", "note");
    const values = found.curves.f1.value;
    const most = Math.max(...values);
    const equal = values.flatMap((value, index) => (value === most ? [index] : []));
    this.set((equal[Math.floor(equal.length / 2)] + 1) / 1000);
  }

  /** Places in `cases` of wrong judgements: the surest first. */
  wrong(name) {
    const { score, success } = this.lab.cases;
    const found = score.flatMap((value, index) =>
      value >= this.threshold === (name === "wrong") && success[index] === (name === "missed") ? [index] : [],
    );
    return name === "wrong" ? found : found.reverse();
  }

  walls() {
    for (const [name, [title, words, none]] of Object.entries(WALLS)) {
      const all = this.wrong(name);
      const some = all.slice(0, this.shown[name]);
      const more = all.length - some.length;
      const content = html`<div class="between"><h3>${title} · ${integer(all.length)}</h3><span
        class="mute">${words}</span></div>
        <div class="shots">${some.map((index) => this.tile(index, name === "missed"))}</div>
        ${all.length ? "" : html`<p class="mute">${none}</p>`}
        ${more > 0 ? html`<button class="quiet" data-more="${name}">${integer(more)} more</button>` : ""}`;
      fill(this.find(`[data-wall=${name}]`), content);
    }
    this.develop();
  }

  /** `open`: whether it matters that the dream was cut short before it could succeed. */
  tile(index, open) {
    const { id, score, imagined, human, cut } = this.lab.cases;
    const kind = imagined[index] ? "imagined" : "real";
    return html`<button class="shot" data-open="${id[index]}"
      aria-label="${`${id[index]}, ${kind}, score ${score[index].toFixed(2)}`}">
      <span class="film" data-film="${id[index]}"></span><span class="between"><span
        class="mono">${score[index].toFixed(2)}</span>
      <span class="mute">${kind}${human[index] ? "" : " · sim"}${
        open && cut[index] ? " · cut" : ""
      }</span></span></button>`;
  }

  async develop() {
    const places = [...this.element.querySelectorAll(".errors [data-film]")];
    const wanted = places.map((place) => place.dataset.film).filter((id) => !this.films.has(id));
    if (wanted.length) {
      const answer = await ask(this.server, "films", { ids: [...new Set(wanted)].slice(0, 48) }, true);
      Object.entries(answer ?? {}).forEach(([id, source]) => this.films.set(id, source));
    }
    for (const place of places) {
      const source = this.films.get(place.dataset.film);
      if (source && place.isConnected) film(place, source);
    }
  }

  slices() {
    const by = SLICES.filter((name) => this.details.slices[name]);
    const rows = this.details.slices[this.slicing] ?? [];
    const range = (bounds) => bounds.map((bound) => Math.round(100 * bound)).join("–");
    const row = (
      one,
    ) => html`<tr><th scope="row">${one.name}</th><td>${one.kind}</td><td>${integer(one.known)}</td>
      <td>${one.false_positives}</td><td>${one.false_negatives}</td><td>${percent(one.precision)}</td>
      <td>${percent(one.recall)}</td>
      <td>${percent(one.f1)} <span class="mute">${one.f1 === null ? "" : range(one.f1_interval)}</span></td></tr>`;
    fill(
      this.find(".slices"),
      html`<div class="between"><h3>By ${this.slicing}</h3><span class="row">${SLICES.map(
        (name) =>
          html`<button class="quiet" data-slice="${name}"
            aria-pressed="${String(name === this.slicing)}">${name}</button>`,
      )}</span></div>${
        rows.length
          ? html`<div class="scroll"><table class="mono"><tr><th scope="col">${this.slicing}</th><th
            scope="col">kind</th>
            <th scope="col">truths</th><th scope="col">false ✓</th><th scope="col">false ✕</th><th
              scope="col">precision</th>
            <th scope="col">recall</th><th scope="col">F1</th></tr>${rows.map(row)}</table></div>`
          : html`<p class="mute">${by.length ? "Nothing with a known truth has one." : "No truth is known yet."}</p>`
      }`,
    );
  }

  trend(points) {
    const place = this.find(".trend");
    if (!points.length) {
      fill(place, html`<p class="mute">No judged success of a run is labelled yet.</p>`);
      return;
    }
    const [wide, high, left, floor] = [520, 150, 34, 126];
    const last = Math.max(...points.map((point) => point.iteration), 1);
    const x = (iteration) => (left + 10 + (iteration / last) * (wide - left - 24)).toFixed(1);
    const y = (share) => (8 + (1 - share) * (floor - 8)).toFixed(1);
    const runs = [...new Set(points.map((point) => point.run))];
    const curve = (run) => {
      const own = points.filter((point) => point.run === run);
      return html`<polyline
        points="${own.map((one) => `${x(one.iteration)},${y(one.precision)}`).join(" ")}"/>${own.map(
          (one) => html`<g><title>${`${
            one.called
          }, iteration ${one.iteration}: ${one.true_positives} of ${one.predicted} judged successes are true`}</title>
          <line class="spread" x1="${x(one.iteration)}" x2="${x(one.iteration)}" y1="${y(one.precision_interval[0])}"
            y2="${y(one.precision_interval[1])}"/>
          <circle cx="${x(one.iteration)}" cy="${y(one.precision)}" r="3.5"/></g>`,
        )}`;
    };
    fill(
      place,
      html`<svg viewBox="0 0 ${wide} ${high}" role="img" aria-label="Precision on imagined clips by policy iteration">
        ${[0, 0.5, 1].map(
          (tick) => html`<line class="grid" x1="${left}" x2="${wide}" y1="${y(tick)}" y2="${y(tick)}"/>
          <text x="${left - 6}" y="${Number(y(tick)) + 4}" text-anchor="end">${tick}</text>`,
        )}
        ${runs.map(curve)}<text x="${x(0)}" y="${high - 6}">0</text><text x="${x(last)}" y="${high - 6}"
          text-anchor="end">iteration ${last}</text></svg>`,
    );
  }

  versions(versions) {
    const f1 = (one, kind) => percent(one.measures[kind]?.f1);
    const row = (
      one,
      index,
    ) => html`<tr><td><button class="quiet" data-use="${one.threshold}">τ ${one.threshold.toFixed(3)}</button></td>
      <td>${
        index
          ? ""
          : html`<span class="tag ok">in
        use</span>`
      }</td><td>${f1(one, "imagined")}</td><td>${f1(one, "real")}</td>
      <td>${ago(one.created)} · ${one.actor}</td><td class="note">${one.note}</td></tr>`;
    fill(
      this.find(".versions"),
      html`<div class="between"><h3>Saved thresholds</h3></div>${
        versions.length
          ? html`<div class="scroll"><table class="mono"><tr><th scope="col">τ</th><td></td><th scope="col">F1
            imagined</th><th scope="col">F1 real</th>
            <th scope="col">saved</th><th scope="col">note</th></tr>${versions.map(row)}</table></div>`
          : html`<p class="mute">None: the checkpoint's own threshold is in use.</p>`
      }${
        this.props.saves
          ? html`<p class="row save"><input type="text" maxlength="500" placeholder="why this threshold"
            aria-label="Note">
            <button class="primary" data-do="save">Save τ</button></p>`
          : ""
      }`,
    );
  }

  async save() {
    const note = this.find(".save input").value;
    const { threshold, lab } = this;
    const answer = await ask(this.server, "save", { reward_model: lab.reward_model, threshold, note });
    if (!answer) return;
    toast(`τ ${threshold.toFixed(3)} is in use from now on, in Imagine and in new runs.`, "note");
    this.load(lab.reward_model);
  }

  onClick(event) {
    const button = event.target.closest("[data-do], [data-open], [data-more], [data-slice], [data-use]");
    if (!button) return;
    const { do: action, open, more, slice, use } = button.dataset;
    if (action === "best") this.best();
    if (action === "current") this.set(this.inUse);
    if (action === "save") this.save();
    if (use) this.set(Number(use));
    if (open) this.show(open);
    if (more) {
      this.shown[more] += 2 * PAGE;
      this.walls();
    }
    if (slice) {
      this.slicing = slice;
      this.slices();
    }
  }

  async show(id) {
    this.drawer ??= new Drawer({
      server: this.server,
      clip: (episode) => ask(this.server, "clip", { episode }),
      move: (by) => this.neighbour(by),
      judging: this.judging,
      siblings: async ({ id: episode, group }) =>
        group === null ? [] : ((await ask(this.server, "siblings", { episode }, true))?.members ?? []),
      onClose: () => (this.drawer = null),
    });
    await this.drawer.open(id);
  }

  /** The clip beside the one that is open, in the order of the page. */
  neighbour(by) {
    const ids = [...this.element.querySelectorAll("[data-open]")].map((one) => one.dataset.open);
    return ids[ids.indexOf(this.drawer.id) + by] ?? null;
  }

  /** A label changes every number of the page. */
  onAck(ack, clip) {
    this.drawer?.acknowledge(ack, clip);
    clearTimeout(this.reload);
    this.reload = setTimeout(() => this.load(this.lab?.reward_model ?? null), 150);
  }
}

export const mountReward = ({ element, props, server }) => new Reward(element, props, server);
