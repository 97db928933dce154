// Trials: policies at a real robot, in an order and under codes that say nothing of whose they are.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { sendFile } from "../web/errands/errands.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { every } from "../web/polling.js";
import { draw, none, view } from "../web/view.js";

const percent = (share) => (100 * share).toFixed(1);
const p = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));

class Trials {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.run = address.get("sheet") ?? "";
    /** @type {any} */
    this.found = null;
    /** @type {any} */
    this.sheets = [];
    this.note = "";
    this.attached = { trial: [], start: [] };
    fill(
      element,
      html`<div class="wm trials"><div class="stack main card"></div><div class="stack side"></div></div>`,
    );
    this.main = element.querySelector(".main");
    this.side = element.querySelector(".side");
    this.form = { task: "", policies: "", starts: 20 };
    keys.use(["trials"], {
      success: () => this.say(true),
      fail: () => this.say(false),
      undo: () => this.undo(),
    });
    this.wake = every(
      element,
      () => (this.busy ? 1500 : 20_000),
      () => this.pull(),
    );
  }

  get busy() {
    return this.sheets.some(({ busy }) => busy) || (this.found?.read && !this.found.results.length);
  }

  get next() {
    return this.found?.trials.find(({ success }) => success === null) ?? null;
  }

  async pull() {
    const answer = await ask(this.server, "overview", {}, true);
    if (!answer) return;
    this.tasks = answer.tasks;
    this.sheets = answer.sheets;
    const there = this.sheets.find(({ id }) => id === this.run) ?? this.sheets[0];
    this.run = there?.id ?? "";
    if (there?.trials) this.found = await ask(this.server, "sheet", { run: this.run }, true);
    else this.found = null;
    this.draw();
    await this.look();
  }

  /** What was photographed and filmed of the trial that comes next, and of its start. */
  async look() {
    const { run, next } = this;
    const found = next && (await ask(this.server, "seen", { run, trial: next.trial }, true));
    if (run === this.run && next?.trial === this.next?.trial) this.show(found);
  }

  show(found) {
    this.attached = found ?? { trial: [], start: [] };
    this.draw();
  }

  /** Keep a file with the trial that comes next, or with its start. */
  async attach(input, of) {
    const { run, next } = this;
    const [file] = input.files;
    if (!file || !next) return;
    this.sending = `sending ${file.name}…`;
    this.draw();
    const upload = await sendFile(this.server, file, () => {});
    const question = { run, trial: next.trial, of, name: file.name };
    const found = upload && (await ask(this.server, "attach", { ...question, upload }));
    input.value = "";
    this.sending = "";
    if (found && next.trial === this.next?.trial) this.show(found);
    else this.draw();
  }

  async open(run) {
    this.run = run;
    address.set("sheet", run);
    await this.pull();
  }

  async make() {
    const policies = this.form.policies.split(",").map((name) => name.trim());
    const begun = await ask(this.server, "make", {
      task: this.form.task || this.tasks[0],
      policies,
      starts: this.form.starts,
      seed: Math.floor(2 ** 31 * Math.random()),
    });
    if (begun) await this.open(begun.run);
    this.wake();
  }

  /** How the trial that comes next ended. */
  async say(success) {
    const { next, note } = this;
    if (!next || this.saving) return;
    await this.enter({ trial: next.trial, success, note });
  }

  async undo() {
    const last = this.found?.trials.findLast(({ success }) => success !== null);
    if (last && !this.saving && !this.found.read) await this.enter({ trial: last.trial, success: null });
  }

  async enter(entry) {
    this.saving = true;
    const found = await ask(this.server, "enter", { run: this.run, ...entry });
    this.saving = false;
    if (!found) return;
    this.found = found;
    this.note = "";
    this.show(null);
    await this.look();
  }

  async read() {
    if (await ask(this.server, "read", { run: this.run })) await this.pull();
    this.wake();
  }

  draw() {
    draw(this.main, this.found ? this.sheet() : this.nothing());
    draw(this.side, view`${this.making()}${this.list()}`);
  }

  nothing() {
    const waits = this.sheets.find(({ id }) => id === this.run);
    if (waits?.error) return view`<p class="warn" role="alert">${waits.error}</p>`;
    if (waits) return view`<p class="mute" role="status">drawing the order…</p>`;
    return view`<p class="empty"><b>No sheet yet</b> Name the policies and how many starts: the order is drawn by
      chance, each policy is tried once on every start, and whoever judges sees a code in place of its name.</p>`;
  }

  sheet() {
    const { trials, task, read, error, results } = this.found;
    const { next } = this;
    const entered = trials.filter(({ success }) => success !== null).length;
    return view`<div class="between"><h3>${task}</h3>
      <span class="mono mute" role="status">${entered} of ${trials.length} trials</span></div>
      <div class="bar" role="progressbar" aria-label="Trials done" aria-valuenow="${entered}"
        aria-valuemax="${trials.length}"><i style="width:${(100 * entered) / trials.length}%"></i></div>
      ${next ? this.trial(next) : this.full(read, error, results)}
      <div class="squares">${trials.map(
        ({
          trial,
          start,
          code,
          success,
          note,
        }) => view`<span title="trial ${trial}: start ${start}, ${code} ${note}"
          class="start ${success === null ? "" : success ? "ok" : "bad"}">${
            success === null ? "·" : success ? "✓" : "✕"
          }</span>`,
      )}</div>`;
  }

  trial({ trial, start, code }) {
    return view`<section class="now-tried" aria-label="This trial"><p class="mute">trial ${trial}</p>
      <p class="big">start <b>${start}</b> · policy <b class="code">${code}</b></p>
      <div class="row answers"><button type="button" class="ok" @click="${() => this.say(true)}">✓ Success
        <kbd>${keys.keyFor("trials", "success")}</kbd></button>
      <button type="button" class="bad" @click="${() => this.say(false)}">✕ Fail
        <kbd>${keys.keyFor("trials", "fail")}</kbd></button>
      <button type="button" class="quiet" @click="${() => this.undo()}">Undo
        <kbd>${keys.keyFor("trials", "undo")}</kbd></button></div>
      <label class="field">note <input type="text" .value="${this.note}" @input="${({ target }) => {
        this.note = target.value;
      }}"></label>
      ${this.file("start", "Photograph of the start", "image/*")}
      ${this.file("trial", "Photograph or video of the trial", "image/*,video/*")}
      <p class="mute small" role="status">${this.sending ?? ""}</p></section>`;
  }

  /** What there is of a trial or its start, and a way to add to it. */
  file(of, name, accept) {
    return view`<label class="field">${name}<input type="file" accept="${accept}"
        @change="${({ target }) => this.attach(target, of)}"></label>
      ${this.attached[of].map(
        (strip) => view`<img class="strip" alt="${name}" src="data:image/png;base64,${strip}">`,
      )}`;
  }

  full(read, error, results) {
    if (results.length) return this.results(results);
    if (error) return view`<p class="warn" role="alert">${error}</p>`;
    if (read) return view`<p class="mute" role="status">reading the sheet…</p>`;
    return view`<div class="banner" role="status"><div><b>Every trial has its outcome.</b> From now on they stand:
      the key says whose each code is.
      <button type="button" class="primary" @click="${() => this.read()}">Open the key and compare</button>
      <button type="button" class="quiet" @click="${() => this.undo()}">Undo the last</button></div></div>`;
  }

  results(results) {
    return view`<div class="wide"><table class="figures"><thead><tr><th></th><th>success in %</th><th>95 %</th>
      <th>p against ${results[0].policy}</th></tr></thead><tbody>${results.map(
        ({ policy, rate, low, high, p: value }) => view`<tr><th scope="row">${policy}</th>
        <td class="mono">${percent(rate)}</td><td class="mono">${percent(low)}–${percent(high)}</td>
        <td class="mono">${value === null ? "" : p(value)}</td></tr>`,
      )}</tbody></table></div><p class="mute small">Wilson intervals, exact paired tests by start, as on Evaluate; the
        trials stand in the ledger as trials.</p>`;
  }

  making() {
    const { form } = this;
    return view`<form class="card new" @submit="${(event) => {
      event.preventDefault();
      this.make();
    }}"><h3>New sheet</h3>
      <label class="field">Task<select @change="${({ target }) => {
        form.task = target.value;
      }}">${(this.tasks ?? []).map((task) => view`<option value="${task}">${task}</option>`)}</select></label>
      <label class="field">Policies, with commas; the base first<input type="text" required
        placeholder="base, wmpo" @input="${({ target }) => {
          form.policies = target.value;
        }}"></label>
      <label class="field">Starts<input type="number" min="1" max="10000" .value="${String(form.starts)}"
        @input="${({ target }) => {
          form.starts = Number(target.value);
        }}"></label>
      <button class="primary">Draw the order</button>
      <p class="mute small">Put the robot into the same start for every policy, and photograph it first.</p></form>`;
  }

  list() {
    if (!this.sheets.length) return none;
    return view`<div class="card"><h3>Sheets</h3><ul class="list">${this.sheets.map(
      ({
        id,
        task,
        trials,
        entered,
      }) => view`<li><button type="button" class="quiet" aria-pressed="${id === this.run}"
        @click="${() => this.open(id)}"><span class="grow name">${task}</span></button>
        <span class="mute small">${entered} of ${trials}</span></li>`,
    )}</ul></div>`;
  }
}

export const mountTrials = ({ element, server }) => new Trials(element, server);
