// "Add a checkpoint": a form for each way that this studio is open to, and what became of it.
import { ask } from "../web/calls.js";
import { bytes, duration } from "../web/formats.js";
import { escapeText, fill, html, raw } from "../web/html.js";
import { every } from "../web/polling.js";

const LIVE = ["queued", "starting", "running", "pausing", "stopping"];
const MOST = 6; // of the newest that are shown

const options = (pairs) => pairs.map(([value, words]) => html`<option value="${value}">${words}</option>`);
const name = html`<label>Name in the catalogue <input type="text" name="name" autocomplete="off" maxlength="64"
  placeholder="as it is called there"></label>`;
const said = html`<p class="said" role="alert"></p>`;

const forms = {
  folder: ({ tasks, parts }) => html`<form class="folder"><h4>From this machine</h4>
    <label>Folder, file, or address of a served world model <input type="text" name="folder" autocomplete="off"
      required spellcheck="false"></label>
    <label>Released for <select name="task">${options(tasks)}</select></label>
    <label>What it is <select name="role"><option value="all">all roles found</option>${options(parts)}</select></label>
    ${name}
    <details><summary>Success threshold</summary><label>of the reward model, where none was published (aloha)
      <input type="number" name="success_threshold" min="0.01" max="1" step="0.01"></label></details>
    <p class="mute small">A folder with <span class="mono">manifest.json</span> is in the studio’s own format: it says
      itself what it is.</p>
    <div class="row"><button type="submit">Add it</button></div>${said}</form>`,
  download: ({ tasks, parts }) => html`<form class="download"><h4>From the Hub or an address</h4>
    <label>Source <input type="text" name="source" autocomplete="off" required spellcheck="false"
      placeholder="fangqi/WMPO@main, hf://, s3://, gs://, https://"></label>
    <label>Released for <select name="task"><option value="">no task: the studio’s own format</option>
      ${options(tasks)}</select></label>
    <label class="which" hidden>Policy <select name="policy">
      ${options(parts.filter(([part]) => part.startsWith("policy")))}</select></label>
    <div class="row"><button type="submit">Plan the download</button></div>${said}
    <div class="planned" hidden></div></form>`,
};

/** What a download of one task fetches: the policy asked for, with the world model of its budget. */
const partsFor = (policy) => [
  policy,
  policy === "policy_1280" ? "world_model_1280" : "world_model",
  "reward_model",
  "autoencoder",
];

const filled = (form) =>
  Object.fromEntries(
    [...new FormData(form)].filter(([, value]) => value !== "").map(([key, value]) => [key, value]),
  );

class Sources {
  constructor(place, added, props, server, onAdd) {
    this.added = added;
    this.server = server;
    this.onAdd = onAdd;
    this.rows = new Map();
    this.live = false;
    this.begun = new Set();
    fill(
      place,
      html`<section class="card" aria-label="Add a checkpoint"><h3>Add a checkpoint</h3>
        ${props.sources.map((kind) => forms[kind](props.source_options))}</section>`,
    );
    fill(
      added,
      html`<h3>Added lately</h3>
        <p class="empty small"><b>Nothing yet</b>What you add is followed here.</p><ul></ul>`,
    );
    this.list = added.querySelector("ul");
    place.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.target.matches(".folder")) this.adopt(event.target, filled(event.target));
      else this.plan(event.target);
    });
    place.addEventListener("change", (event) => this.change(event.target.closest("form")));
    for (const part of [place, added])
      part.addEventListener("click", (event) => this.click(event.target.closest("button[data-act]")));
    this.wake = every(
      place,
      () => (this.live ? 700 : 6000),
      () => this.follow(),
    );
  }

  /** Ask, and say a refusal where the question was asked; null if there was one. */
  async ask(form, call, question) {
    const answer = await this.server[call](question).catch(() => null);
    const refused = answer ? answer.refused : "The studio does not answer.";
    const line = form.querySelector(".said");
    line.className = "said bad";
    line.textContent = refused ?? "";
    return refused ? null : answer;
  }

  async adopt(form, question) {
    if (question.success_threshold) question.success_threshold = Number(question.success_threshold);
    const answer = await this.ask(form, "adopt_checkpoint", question);
    if (!answer) return;
    for (const { id } of answer.adoptions) this.begun.add(id);
    this.wake();
  }

  change(form) {
    if (!form?.matches(".download")) return;
    form.querySelector(".which").hidden = !form.elements.task.value;
    form.querySelector(".planned").hidden = true;
  }

  async plan(form) {
    const { source, task, policy } = filled(form);
    const place = form.querySelector(".planned");
    place.hidden = true;
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    const plan = await this.ask(
      form,
      "plan_download",
      task ? { source, task, parts: partsFor(policy) } : { source },
    );
    button.disabled = false;
    if (!plan) return;
    const file = ({ path, bytes: size }) => html`<li><span class="mono">${path}</span>
      <span class="mono mute">${bytes(size)}</span></li>`;
    fill(
      place,
      html`<p class="${plan.fits ? "" : "bad"}" role="status">${plan.text}</p>
        <p class="mute small mono">${plan.source}</p>
        <details><summary>Files</summary><ul class="files">${plan.files.map(file)}</ul></details>
        <div class="row"><button type="button" class="primary" data-act="start"
          data-key="${plan.key}">Download</button></div>`,
    );
    place.querySelector("button").disabled = !plan.fits;
    place.hidden = false;
  }

  async click(button) {
    if (!button) return;
    const { act, key } = button.dataset;
    const row = this.rows.get(button.closest("li[data-id]")?.dataset.id);
    const place = button.closest("form, li");
    if (act === "choose") return this.onAdd({ id: row.record.checkpoint, role: row.record.role });
    const calls = {
      start: ["start_download", { key }],
      stop: ["cancel_download", { key: row?.record.key }],
      cancel: ["control_adoption", { run: row?.record.id, control: "cancel" }],
      again: ["control_adoption", { run: row?.record.id, control: "run" }],
    };
    if (act === "adopt") {
      const { key: download, task } = row.record;
      await this.adopt(place, { download, task, name: place.querySelector(".as").value });
    } else if ((await this.ask(place, ...calls[act])) && act === "start")
      place.querySelector(".planned").hidden = true;
    this.wake();
  }

  async follow() {
    const answer = await ask(this.server, "added", {}, true);
    if (!answer) return;
    const downloads = answer.downloads
      .slice(0, MOST)
      .map((record) => ({ ...record, id: `download ${record.key}` }));
    const records = [...downloads, ...answer.adoptions.slice(0, MOST)];
    this.added.querySelector(".empty").hidden = records.length > 0;
    this.live = records.some(({ state }) => LIVE.includes(state));
    const shown = new Set(records.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (shown.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
    records.forEach((record, index) => {
      const { element } = this.show(record);
      const there = this.list.children[index];
      if (there !== element) this.list.insertBefore(element, there ?? null);
    });
    for (const { id, checkpoint, role } of answer.adoptions) {
      if (!checkpoint || !this.begun.delete(id)) continue;
      this.onAdd({ id: checkpoint, role });
    }
  }

  /** A row is made once and then kept, so that the keyboard's focus stays where it is. */
  show(record) {
    const row = this.rows.get(record.id) ?? this.row(record);
    row.record = record;
    const find = (selector) => row.element.querySelector(selector);
    const { state, done } = record;
    const total = record.total ?? record.bytes;
    const live = LIVE.includes(state);
    find(".state").textContent = state;
    find(".state").className =
      `tag state ${state === "done" || state === "complete" ? "ok" : state === "failed" ? "bad" : ""}`;
    find(".bar").hidden = !live || !total;
    const percent = total ? Math.round((100 * done) / total) : 0;
    find(".bar").setAttribute("aria-valuenow", String(percent));
    find(".bar i").style.width = `${percent}%`;
    const rate = record.rate ?? (record.seconds_left ? (total - done) / record.seconds_left : 0);
    const pace = rate > 0 ? `${bytes(rate)}/s` : "";
    const left = record.seconds_left ? `${duration(record.seconds_left)} left` : "";
    const amount = total ? `${bytes(done)} of ${bytes(total)}` : "";
    const joined = record.checkpoint ? `${record.checkpoint} is in the catalogue.` : "";
    find(".amount").textContent = live ? [amount, pace, left].filter(Boolean).join(" · ") : joined;
    find(".error").textContent = record.error ?? "";
    const acts = {
      stop: record.key && live,
      start: record.key && ["cancelled", "failed", "interrupted"].includes(state),
      adopt: record.key && state === "complete",
      cancel: record.run && live,
      again: record.run && state === "failed",
      choose: Boolean(record.checkpoint),
    };
    for (const button of row.element.querySelectorAll("[data-act]"))
      button.hidden = !acts[button.dataset.act];
    find(".as").hidden = !acts.adopt;
    return row;
  }

  row(record) {
    const element = document.createElement("li");
    element.dataset.id = record.id;
    const title = record.key ? `${record.source} ${record.task}` : record.name;
    const words = {
      stop: "Cancel",
      start: "Go on",
      adopt: "Adopt",
      cancel: "Cancel",
      again: "Try again",
      choose: "Choose",
    };
    fill(
      element,
      html`<div class="between"><span class="mono name">${title}</span><span class="tag state"></span></div>
        <span class="mute small">${record.key ? "download" : (record.role ?? "").replaceAll("_", " ")}</span>
        <div class="bar" role="progressbar" aria-label="Progress of ${title}" hidden><i></i></div>
        <span class="mono mute small amount" role="status"></span><p class="bad small error" role="alert"></p>
        <p class="said" role="alert"></p>
        <div class="row"><input type="text" class="as" aria-label="Name" placeholder="name in the catalogue"
          maxlength="64" autocomplete="off" hidden>${Object.entries(words).map(
            ([act, text]) => html`<button type="button" data-act="${act}" hidden
            ${raw(act === "start" ? `data-key="${escapeText(record.key)}"` : "")}>${text}</button>`,
          )}</div>`,
    );
    const row = { element, record };
    this.rows.set(record.id, row);
    return row;
  }
}

/** Show the forms, if any is open here, and in `added` what was begun; `onAdd` gets {id, role} of
 * what joined the catalogue. */
export const mountSources = (place, added, props, server, onAdd) => {
  place.hidden = added.hidden = !props.sources.length;
  if (props.sources.length) new Sources(place, added, props, server, onAdd);
};
