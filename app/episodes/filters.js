// The filter bar of Episodes: one state, which is the address of the page; saved views are addresses.
import { compareLink } from "../player/comparisons.js";
import { address } from "../web/address.js";
import { integer } from "../web/formats.js";
import { draw, none, view } from "../web/view.js";

const CHOICES = {
  kind: ["imagined", "real"],
  verdict: ["success", "fail"],
  truth: ["success", "fail"],
  label: ["none", "any", "success", "fail", "unsure"],
};
const FACETS = ["run", "task", "policy", "world_model", "reward_model", "failure_mode"];
const FLAGS = { disagreement: "disagreement", dream_broke: "dream broke", queued: "queued" };
const WORDS = {
  kind: "kind",
  verdict: "verdict",
  truth: "real twin",
  label: "human label",
  run: "run",
  task: "task",
  policy: "policy",
  world_model: "world model",
  reward_model: "reward model",
  failure_mode: "failure mode",
};
const NUMBERS = ["iteration", "low", "high"];
const RARE = ["truth", ...FACETS.slice(1), ...NUMBERS, "since", "until", ...Object.keys(FLAGS)];
const NAMES = [...Object.keys(WORDS), ...NUMBERS, "since", "until", ...Object.keys(FLAGS)];

const select = (name, options, chosen = "") => {
  const known = chosen === "" || options.some(([value]) => value === chosen);
  const all = [["", "any"], ...options, ...(known ? [] : [[chosen, chosen]])];
  return view`<label>${WORDS[name]}<select data-name="${name}">${all.map(
    ([value, text]) => view`<option value="${value}" .selected=${value === chosen}>${text}</option>`,
  )}</select></label>`;
};
const short = (value) => (/^[0-9a-f]{40,}$/.test(value) ? value.slice(0, 8) : value);

export class Filters {
  constructor(element, { orders, onChange, saveView }) {
    this.element = element;
    this.orders = orders;
    this.onChange = onChange;
    this.saveView = saveView;
    this.facets = {};
    this.views = {};
    this.values = {};
    this.more = false;
    this.read();
    element.addEventListener("change", (event) => this.change(event.target));
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const { flag, view: wanted, drop, act } = button.dataset;
      if (flag) this.put({ [flag]: this.values[flag] ? null : true });
      if (wanted) this.use(this.views[wanted]);
      if (drop) this.saveView({ name: drop }).then((views) => views && this.show(this.facets, views));
      if (act === "clear") this.use({});
      if (act === "more") this.more = !this.more;
      if (act === "save") this.name();
      this.draw();
    });
  }

  read() {
    this.values = {};
    for (const name of [...NAMES, "order", "mode"]) {
      const text = address.get(name);
      if (text === null) continue;
      if (name in FLAGS) this.values[name] = text === "true";
      else this.values[name] = NUMBERS.includes(name) ? Number(text) : text;
    }
    this.more = RARE.some((name) => this.values[name] !== undefined);
  }

  /** What the studio is asked: the filter without what only the screen knows. */
  get query() {
    const { mode, ...query } = this.values;
    return query;
  }
  get grouped() {
    return this.values.mode === "groups";
  }

  use(values) {
    this.put(Object.fromEntries([...NAMES, "order", "mode"].map((name) => [name, values[name] ?? null])));
  }

  put(change) {
    for (const [name, value] of Object.entries(change)) {
      if (value === null || value === "" || Number.isNaN(value)) delete this.values[name];
      else this.values[name] = value;
      address.set(name, this.values[name]);
    }
    this.draw();
    this.onChange();
  }

  change(input) {
    const { name } = input.dataset;
    if (!name) return;
    const number = NUMBERS.includes(name) && input.value !== "";
    this.put({ [name]: number ? Number(input.value) : input.value });
  }

  async name() {
    const name = window.prompt("Name of this view", this.values.run ?? "my view");
    if (!name) return;
    const views = await this.saveView({ name, filter: this.values });
    if (views) this.show(this.facets, views);
  }

  /** What a run is called; nothing until that is known. */
  runName(run) {
    return this.facets.run ? (this.facets.run.find(([value]) => value === run)?.[2] ?? run) : "";
  }

  show(facets, views) {
    Object.assign(this, { facets, views });
    this.draw();
  }

  draw() {
    const pairs = (name) =>
      CHOICES[name]
        ? CHOICES[name].map((value) => [value, value])
        : (this.facets[name] ?? []).map(([value, count, said]) => [
            value,
            `${short(said)} · ${integer(count)}`,
          ]);
    const menu = (name) => select(name, pairs(name), this.values[name]);
    const field = (name, text, step = "1", most = "") => view`<label>${text}<input type="number" min="0"
      step="${step}" max="${most}" data-name="${name}" .value="${this.values[name] ?? ""}"></label>`;
    const date = (name) => view`<label>${name}<input type="date" data-name="${name}"
      .value="${this.values[name] ?? ""}"></label>`;
    const flag = ([name, text]) => view`<button data-flag="${name}"
      aria-pressed="${String(Boolean(this.values[name]))}">${text}</button>`;
    const saved = (
      name,
    ) => view`<span class="chip view"><button class="quiet" data-view="${name}">${name}</button>
      <button class="quiet" data-drop="${name}" aria-label="Forget the view ${name}">✕</button></span>`;
    draw(
      this.element,
      view`<div class="fields">
        ${["kind", "verdict", "label", "run"].map(menu)}
        <label>order<select data-name="order">
          ${this.orders.map(
            (order) =>
              view`<option .selected=${order === (this.values.order ?? this.orders[0])}>${order}</option>`,
          )}</select></label>
        <label>show<select data-name="mode"><option value="">episodes</option><option
          value="groups" .selected=${this.grouped}>groups</option></select></label>
        <button class="quiet" data-act="more" aria-expanded="${String(Boolean(this.more))}">${
          this.more ? "fewer" : "more"
        } filters</button></div>
      <div class="fields" ?hidden=${!this.more}>
        ${["truth", ...FACETS.slice(1)].map(menu)}
        ${field("low", "probability from", "0.05", "1")}
        ${field("high", "to", "0.05", "1")}
        ${field("iteration", "iteration")}
        ${date("since")}${date("until")}${Object.entries(FLAGS).map(flag)}</div>
      <div class="row views">${Object.keys(this.views).map(saved)}
        <button class="quiet" data-act="save">Save view</button>
        <a class="button quiet"
          href="label?${new URLSearchParams({ ...this.values, make: "" })}">Queue for judging…</a>
        <a class="button quiet" href="${compareLink(this.values.run)}"
          title="Two episodes of one start side by side${this.values.run ? ", of this run" : ""}">Compare A/B</a>
        ${
          NAMES.some((name) => name in this.values)
            ? view`<button class="quiet" data-act="clear">Clear
          filters</button>`
            : none
        }</div>`,
    );
  }
}
