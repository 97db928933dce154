// Models: choose three, see whether they fit each other and the machine, load them, use them together.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { together } from "../web/memory.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { memoryPlan, size } from "./memory.js";
import { Slot } from "./slot.js";
import { mountSources } from "./sources.js";

const ROLES = ["policy", "world_model", "reward_model"];
const PARTS = {
  policy: "policy",
  world_model: "world model",
  reward_model: "reward model",
  warm_up: "first use",
};
const layout = html`<div class="wm models">
  <div class="slots">${ROLES.map((role) => html`<section class="card slot" data-role="${role}"></section>`)}</div>
  <div class="below"><div class="left"><section class="card together" aria-label="Together">
    <div class="row actions"><h3>Together</h3><label class="row mute">rollouts at once
      <input type="number" class="rows" min="1" max="512" step="1"></label><span class="grow"></span>
      <button data-do="load">Load <kbd>l</kbd></button>
      <button data-do="loadAsProposed" hidden>Load as proposed</button>
      <button data-do="unload">Unload <kbd>u</kbd></button>
      <button data-do="useInTrain">Train with them <kbd>t</kbd></button>
      <button class="primary" data-do="useInImagine">Use together <kbd>i</kbd></button></div>
    <ul class="checks row"></ul><div class="memory"></div>
    <div class="loading" hidden><div class="bar" role="progressbar" aria-label="Loading"><i></i></div>
      <div class="row parts mono mute"></div></div>
    <div class="timings"></div>
  </section><section class="card added" aria-label="Added lately"></section></div><div
    class="sources"></div></div></div>`;

class Models {
  constructor(element, props, server) {
    fill(element, layout);
    this.element = element;
    this.server = server;
    this.rows = props.rows;
    this.chosen = /** @type {import("../web/wire.d.ts").Chosen} */ ({});
    this.plan = null;
    this.status = null;
    this.epoch = 0;
    this.find = (selector) => element.querySelector(selector);
    this.slots = Object.fromEntries(
      ROLES.map((role) => [
        role,
        new Slot(this.find(`[data-role=${role}]`), role, (...choice) => this.choose(...choice)),
      ]),
    );
    this.rows = Number(address.get("rows")) || props.rows;
    const rows = this.find(".rows");
    rows.value = String(this.rows);
    rows.addEventListener("change", () => {
      this.rows = Number(rows.value);
      address.set("rows", this.rows);
      this.think();
    });
    const names = ["load", "loadAsProposed", "unload", "useInImagine", "useInTrain"];
    element.addEventListener("click", (event) => {
      const action = event.target.closest("button[data-do]")?.dataset.do;
      if (names.includes(action)) this[action]();
    });
    keys.use(["models"], Object.fromEntries(names.map((name) => [name, () => this.press(name)])));
    mountSources(this.find(".sources"), this.find(".added"), props, server, (record) => this.added(record));
    this.offer().then(() => {
      this.wake = every(
        element,
        () => (this.status?.state === "loading" ? 400 : 3000),
        () => this.follow(),
      );
    });
  }

  /** A key does what its button does, and nothing while the button rests. */
  press(name) {
    const button = this.find(`[data-do=${name}]`);
    if (!button.hidden && !button.disabled) this[name]();
  }

  async offer() {
    const answer = await ask(this.server, "slots");
    if (!answer) return;
    this.public = answer.public;
    this.find("[data-do=unload]").hidden = answer.public;
    for (const { role, choices } of answer.slots) {
      const slot = this.slots[role];
      slot.offer(choices, this.chosen[role] ?? address.get(role));
      this.chosen[role] = slot.id;
      if (slot.id) this.explain(role);
    }
    this.think();
  }

  choose(role, id) {
    this.chosen[role] = id;
    address.set(role, id);
    this.explain(role);
    this.think();
  }

  async explain(role) {
    const id = this.chosen[role];
    const model = await ask(this.server, "details", { id });
    if (model && id === this.chosen[role]) {
      this.slots[role].show(model);
      this.marks();
    }
  }

  get complete() {
    return ROLES.every((role) => this.chosen[role]);
  }

  /** Do the three fit each other and the device? A refusal is said in place. */
  async think() {
    const epoch = ++this.epoch;
    this.plan = null;
    this.buttons();
    if (!this.complete) {
      fill(this.find(".memory"), html`<p class="mute">Choose all three models.</p>`);
      return;
    }
    fill(this.find(".memory"), html`<p class="mute" role="status">Planning memory…</p>`);
    const question = { ...this.chosen, rows: this.rows };
    const answer = await this.server.plan(question).catch(() => null);
    if (epoch !== this.epoch) return;
    if (!answer || answer.refused) {
      fill(this.find(".checks"), html``);
      const text = answer?.refused ?? "The studio does not answer.";
      fill(this.find(".memory"), html`<p class="bad" role="alert">✕ ${text}</p>`);
      return;
    }
    this.plan = answer;
    const sign = (ok) => (ok === null ? "–" : ok ? "✓" : "✕");
    fill(
      this.find(".checks"),
      html`${answer.checks.map(
        (check) => html`<li class="tag ${check.ok === null ? "" : check.ok ? "ok" : "bad"}">
          ${sign(check.ok)} ${check.name} ${check.text}</li>`,
      )}`,
    );
    fill(this.find(".memory"), memoryPlan(answer));
    this.buttons();
  }

  get agreed() {
    return Boolean(this.plan) && this.plan.checks.every((check) => check.ok !== false);
  }

  buttons() {
    const busy = this.status?.state === "loading";
    const button = (name) => this.find(`[data-do=${name}]`);
    button("load").disabled = busy || !this.agreed || !this.plan.fits;
    button("loadAsProposed").hidden = !this.plan?.proposal;
    button("loadAsProposed").disabled = busy || !this.agreed;
    button("unload").disabled = busy || !ROLES.some((role) => this.isLoaded(role));
    for (const name of ["useInImagine", "useInTrain"]) button(name).disabled = !this.agreed;
  }

  isLoaded(role) {
    return (this.status?.loaded ?? []).some((model) => model.id === this.chosen[role]);
  }

  marks() {
    const loading = this.status?.state === "loading" ? this.status.parts : [];
    for (const role of ROLES) {
      const part = loading.find((one) => one.role === role && one.id === this.chosen[role]);
      const underway = part && part.state !== "done" ? part.state : "";
      this.slots[role].mark(
        underway || (this.isLoaded(role) ? "loaded" : this.chosen[role] ? "not loaded" : ""),
      );
    }
  }

  async follow() {
    const status = await ask(this.server, "status", {}, true);
    if (!status) return;
    this.status = status;
    this.marks();
    this.buttons();
    this.progress();
    this.timings();
  }

  progress() {
    const { state, parts, share, error } = this.status;
    const place = this.find(".loading");
    place.hidden = state === "idle" || state === "ready";
    const percent = Math.round(100 * share);
    place.querySelector(".bar").setAttribute("aria-valuenow", String(percent));
    place.querySelector(".bar i").style.width = `${percent}%`;
    const signs = { waiting: "·", loading: "…", done: "✓", failed: "✕" };
    const line = parts.map(
      (
        part,
      ) => html`<span class="${part.state === "failed" ? "bad" : ""}">${signs[part.state]} ${PARTS[part.role]}
        ${part.bytes ? size(part.bytes) : ""} ${part.seconds === null ? "" : `${part.seconds.toFixed(1)} s`}</span>`,
    );
    fill(
      place.querySelector(".parts"),
      html`${line}${error ? html`<p class="bad" role="alert">${error}</p>` : ""}`,
    );
  }

  timings() {
    const hashes = ROLES.map((role) => this.slots[role].model?.hash);
    const found = this.status.timings.findLast((one) =>
      one.hashes.every((hash, index) => hash === hashes[index]),
    );
    const chip = (name, value) =>
      html`<span class="chip">${name} <b class="mono">${measure(value)} ms</b></span>`;
    fill(
      this.find(".timings"),
      found
        ? html`<div class="row"><span class="mute">one row, measured on load</span>${[
            chip("policy act", found.act),
            chip(`chunk, ${found.denoising_steps} steps`, found.chunk),
            chip("decode it", found.decode),
            chip("judge a window", found.judge),
          ]}</div>`
        : html``,
    );
  }

  async load(proposed = false) {
    const answer = await ask(this.server, "load", { ...this.chosen, rows: this.rows, as_proposed: proposed });
    if (answer) this.status = answer;
    this.buttons();
    this.wake();
  }

  loadAsProposed() {
    return this.load(true);
  }

  async unload() {
    if (await ask(this.server, "unload", this.chosen)) toast("The models are unloaded.", "note");
    this.wake();
  }

  useInImagine() {
    this.use("imagine");
  }
  useInTrain() {
    this.use("train");
  }
  use(page) {
    together.remember(this.chosen);
    location.assign(together.link(page));
  }

  added(record) {
    if (ROLES.includes(record.role)) {
      this.chosen[record.role] = record.id;
      address.set(record.role, record.id);
    }
    this.offer();
  }
}

export const mountModels = ({ element, props, server }) => {
  new Models(element, props, server);
};
