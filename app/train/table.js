// The table of runs: name, success, time, what people noted; chosen, compared, renamed, left out.
import { duration } from "../web/formats.js";
import { draw, none, view } from "../web/view.js";

const percent = (value) => `${Math.round(100 * value)} %`;

/** Success with its interval, and whether it was imagined. */
const success = (found) =>
  found
    ? view`<b class="${found.kind === "real" ? "real" : "dream"}">${percent(found.rate)}</b>
      <span class="mute mono">[${Math.round(100 * found.low)}, ${Math.round(100 * found.high)}]</span>
      <span class="mute">${found.kind}</span>`
    : view`<span class="mute">–</span>`;

/** What a run does, or how long it took. */
export const told = (run) => {
  if (run.state === "queued") return run.waits_for ? `waits ${run.waits_for}` : "queued";
  if (!run.busy && run.state !== "paused")
    return run.seconds === null ? run.state : `${run.state}, ${duration(run.seconds)}`;
  const done = run.total ? `${run.done} of ${run.total}` : run.phase || run.state;
  return run.seconds_left && run.state === "running" ? `${done}, ${duration(run.seconds_left)} left` : done;
};

export class Table {
  /** @type {string | null} */
  edited = null;
  showsHidden = false;
  colour = (/** @type {string} */ run) => run;

  /** `open(run)`, `beside(run)` and `say({run, …})` are what its buttons ask for.
   * @param {any} root
   * @param {{open: (run: string) => void, beside: (run: string) => void,
   *   say: (question: any) => Promise<any>}} acts */
  constructor(root, acts) {
    this.root = root;
    this.acts = acts;
    this.runs = [];
    this.chosen = null;
    this.others = new Map();
  }

  /** `chosen` is the run that is shown, `others` are compared with it.
   * @param {any[]} runs
   * @param {string | null} chosen
   * @param {Map<string, any>} others
   * @param {(run: string) => string} colour */
  show(runs, chosen, others, colour) {
    Object.assign(this, { runs, chosen, others, colour });
    this.draw();
  }

  /** The name of a run, for wherever two of them meet. */
  name(id) {
    return this.runs.find((run) => run.id === id)?.name ?? id;
  }

  draw() {
    const left = this.runs.filter((run) => run.hidden && run.id !== this.chosen);
    const shown = this.runs.filter((run) => this.showsHidden || !left.includes(run));
    const rows = this.runs.length
      ? view`<div class="scroll"><table class="run-table" aria-label="Runs">
          <thead><tr><th>Run</th><th>Success</th><th>Time</th><th class="notes">Notes</th><th></th></tr></thead>
          <tbody>${shown.map((run) => this.row(run))}</tbody></table></div>`
      : view`<p class="empty"><b>No run yet</b> Start one with the form: it goes on in a process of its own,
          whatever happens to this page.</p>`;
    const hidden = left.length
      ? view`<button class="quiet" @click=${() => this.toggle()}>${
          this.showsHidden ? "Leave out" : "Show"
        } ${left.length} hidden</button>`
      : none;
    draw(this.root, view`<div class="between"><h3>Runs</h3>${hidden}</div>${rows}`);
  }

  toggle() {
    this.showsHidden = !this.showsHidden;
    this.draw();
  }

  row(run) {
    const own = run.id === this.chosen;
    const compared = this.others.has(run.id);
    const key = own || compared ? view`<i class="key" style="background:${this.colour(run.id)}"></i>` : none;
    return view`<tr class="${own ? "chosen" : ""}">
      <td><button class="quiet name" data-run="${run.id}" aria-pressed="${String(own)}"
        @click=${() => this.acts.open(run.id)} title="${run.name} (${run.id})"><i class="dot ${run.state}"></i>
        <span>${run.name}</span></button>${key}</td>
      <td>${success(run.success)}</td><td class="mute">${told(run)}</td>
      <td class="notes" title="${run.note}">${run.tags.map((tag) => view`<span class="tag">${tag}</span> `)}
        <span class="mute">${run.note}</span></td>
      <td class="acts">${
        own
          ? none
          : view`<button class="quiet" @click=${() => this.acts.beside(run.id)} aria-label="Compare with ${run.name}"
              title="Compare" aria-pressed="${String(compared)}">⊕</button>`
      }<button class="quiet" @click=${() => this.edit(run.id)} aria-label="Rename ${run.name}"
        title="Rename, note, hide"
        aria-expanded="${String(this.edited === run.id)}">✎</button></td></tr>
      ${this.edited === run.id ? this.form(run) : none}`;
  }

  form(run) {
    const save = async (event) => {
      event.preventDefault();
      const said = new FormData(event.target);
      const tags = String(said.get("tags"))
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean);
      const values = { name: said.get("name"), note: said.get("note"), hidden: said.get("hidden") !== null };
      if (await this.acts.say({ run: run.id, ...values, tags })) this.edit(null);
    };
    return view`<tr class="edit"><td colspan="5"><form class="row" @submit=${save}>
      <input name="name" aria-label="Name" placeholder="Name" maxlength="120" .value=${run.name}>
      <input name="tags" aria-label="Tags" placeholder="tags, with commas" .value=${run.tags.join(", ")}>
      <input name="note" class="grow" aria-label="Note" placeholder="Note" maxlength="2000" .value=${run.note}>
      <label class="row mute"><input type="checkbox" name="hidden" .checked=${run.hidden}> hide</label>
      <button class="primary">Save</button>
      <button type="button" @click=${() => this.edit(null)}>Cancel</button></form></td></tr>`;
  }

  edit(run) {
    this.edited = this.edited === run ? null : run;
    this.draw();
  }
}
