// Retrain: from labels to a better reward model, and from it to new judgements of past runs.
import { Drawer } from "../player/drawer.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { ago, duration, fixed, integer, measure, reached, signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { draw, view } from "../web/view.js";

const OVER = ["done", "failed", "cancelled", "lost"];
const PARTS = ["real", "imagined"];
const MEASURES = ["precision", "recall", "f1"];

const template = html`<div class="wm retrain">
  <div class="card"><h3>1 · Labels</h3>
    <p class="mute">A frozen set never changes: a training that names it can be repeated. Unsure labels
      and broken dreams are left out; of several opinions the adjudicated or newest one stands.</p>
    <form class="row which" aria-label="Which labels">
      <label>Episodes <select name="imagined"><option value="">all</option>
        <option value="true">imagined</option><option value="false">real</option></select></label>
      <label>Mode <input name="mode" placeholder="any" size="8"></label>
      <label>Annotator <input name="actor" placeholder="anyone" size="8"></label>
      <label>Run <select name="run"><option value="">any</option></select></label>
      <button class="primary" data-do="freeze">Freeze</button></form>
    <p class="mono standing" role="status"></p>
    <div class="sets" role="radiogroup" aria-label="Label set"></div></div>
  <div class="card"><h3>2 · Retrain</h3>
    <form class="row training" aria-label="How">
      <label>Start from <select name="reward_model"></select></label>
      <label>Real episodes of <select name="episodes_from"><option value="">labels alone</option></select></label>
      <label>Steps <input name="steps" type="number" min="1" max="100000" value="300" size="6"></label>
      <button class="primary" data-do="start">Retrain</button></form>
    <div class="training-run"></div><div class="comparison"></div></div>
  <div class="card"><h3>3 · Judge a run anew</h3>
    <form class="row judging" aria-label="What">
      <label>Run <select name="run"></select></label>
      <label>with <select name="reward_model"></select></label>
      <label>threshold <input name="threshold" type="number" min="0" max="1" step="0.01" placeholder="its own"
        size="6"></label>
      <label>iteration <input name="iteration" type="number" min="1" placeholder="all" size="4"></label>
      <button class="primary" data-do="rejudge">Re-judge</button></form>
    <div class="judging-run"></div><div class="flips"></div></div></div>`;

/** Fill a chooser anew and keep what was chosen, where it is still there. */
const offer = (select, pairs) => {
  const was = select.value;
  draw(
    select,
    pairs.map(([value, text]) => view`<option value="${value}">${text}</option>`),
  );
  if (pairs.some(([value]) => value === was)) select.value = was;
};
const share = (value) => (value === undefined ? "–" : fixed(value, 3));
const verdictOf = (success) => html`<b class="${success ? "ok" : "bad"}">${success ? "✓" : "✕"}</b>`;

const progress = (run) => {
  const done = run.total ? Math.min(100, (100 * run.done) / run.total) : 0;
  return html`<div class="between"><b class="mono">${run.id}</b><span class="tag"><i class="dot ${run.state}"></i>
    ${run.state}</span></div>
    <div class="bar" role="progressbar" aria-label="Done" aria-valuenow="${Math.round(done)}"><i
      style="width:${done}%"></i></div>
    <div class="between mono mute"><span>${reached(run)}</span>
      <span>${!OVER.includes(run.state) && run.seconds_left ? `${duration(run.seconds_left)} left` : ""}</span></div>
    ${run.error ? html`<p class="bad">${run.error}</p>` : ""}`;
};

const figure = (figures, part, when, name) => {
  const key = `gold/${part}_${when}_${name}`;
  if (figures[key] === undefined) return "–";
  return html`${share(figures[key])} <span
    class="mute">${share(figures[`${key}_low`])}–${share(figures[`${key}_high`])}</span>`;
};
const goldTable = (figures) => html`<table class="gold"><caption class="mute">Gold clips, never learnt
    from; 95 % Wilson intervals</caption>
  <tr><td></td>${MEASURES.map((name) => html`<th scope="col" colspan="2">${name}</th>`)}</tr>
  <tr><td></td>${MEASURES.map(() => html`<th scope="col">before</th><th scope="col">after</th>`)}</tr>
  ${PARTS.filter((part) => figures[`gold/${part}_clips`]).map(
    (
      part,
    ) => html`<tr><th scope="row">${part} <span class="mute">n = ${figures[`gold/${part}_clips`]}</span></th>
      ${MEASURES.map(
        (name) => html`<td class="mono">${figure(figures, part, "before", name)}</td><td
        class="mono">${figure(figures, part, "after", name)}</td>`,
      )}</tr>`,
  )}</table>`;

const row = (
  clip,
) => html`<tr><td><button class="quiet decisive" data-episode="${clip.episode_id}" aria-label="Open ${clip.episode_id}">
    ${clip.image ? html`<img src="${clip.image}" alt="" loading="lazy">` : clip.episode_id}</button></td>
  <td>${clip.imagined ? "imagined" : "real"}${clip.gold ? html` <span class="tag">gold</span>` : ""}</td>
  <td><b class="${clip.human === "success" ? "ok" : "bad"}">${clip.human}</b></td>
  <td class="mono">${clip.old === null ? "–" : html`${fixed(clip.old)} ${verdictOf(clip.old_success)}`}</td>
  <td class="mono">${fixed(clip.new)} ${verdictOf(clip.new_success)}</td></tr>`;

const member = (
  one,
) => html`<button class="quiet" data-episode="${one.episode}" aria-label="Open ${one.episode}">
  ${verdictOf(one.was_success)}${one.success === one.was_success ? "" : html`→${verdictOf(one.success)}`}
  <span class="mono mute">${
    one.was_advantage === null ? "" : `${signed(one.was_advantage)} → `
  }${signed(one.advantage)}</span></button>`;
const fate = (name) =>
  name === "kept" ? "kept" : name === null ? "–" : `dropped, ${name.replaceAll("_", " ")}`;
const group = (one) => html`<section class="${one.flipped ? "flipped" : ""}">
  <p class="row"><span class="mono">iteration ${one.iteration ?? "–"} · start ${one.group}</span>
    <span class="tag ${one.flipped ? "warn" : ""}">${fate(one.was_fate)} → ${fate(one.fate)}</span></p>
  <div class="row kin">${one.members.map(member)}</div></section>`;

class Retrain {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.chosen = null;
    fill(element, template);
    this.find = (selector) => element.querySelector(selector);
    this.training = address.get("retrain");
    this.judging = address.get("rejudge");
    element.addEventListener("submit", (event) => event.preventDefault());
    element.addEventListener("click", (event) => this.onClick(event));
    this.find(".which").addEventListener("change", () => this.count());
    this.shown = {};
    this.count();
    this.wake = every(
      element,
      () => (this.busy ? 1000 : 5000),
      () => this.pull(),
    );
  }

  /** @returns {Record<string, string>} */
  values(selector) {
    const pairs = [...new FormData(this.find(selector))].filter(([, value]) => value !== "");
    return /** @type {Record<string, string>} */ (Object.fromEntries(pairs));
  }
  filters() {
    const values = this.values(".which");
    return values.imagined ? { ...values, imagined: values.imagined === "true" } : values;
  }

  async count() {
    const found = await ask(this.server, "standing", this.filters(), true);
    if (found)
      this.find(".standing").textContent =
        `${found.episodes} labels stand: ${found.success} success, ${found.fail} fail; ` +
        `${found.real} real, ${found.imagined} imagined`;
  }

  async pull() {
    const answer = await ask(this.server, "overview", {}, true);
    if (answer) this.offer(answer);
    const busy = await Promise.all([
      this.follow("training", this.training, () => this.compare()),
      this.follow("judging", this.judging, () => this.flips()),
    ]);
    this.busy = busy.some(Boolean);
  }

  offer({ sets, models, runs }) {
    const named = models.map(({ id }) => [id, id]);
    const of = (...jobs) => runs.filter((run) => jobs.includes(run.job)).map((run) => [run.id, run.id]);
    const learners = models.filter(({ learns }) => learns).map(({ id }) => [id, id]);
    offer(this.find(".training [name=reward_model]"), [...learners, ["", "nothing: a new model"]]);
    offer(this.find(".training [name=episodes_from]"), [["", "labels alone"], ...of("collect")]);
    offer(this.find(".which [name=run]"), [["", "any"], ...of("optimise", "fidelity", "collect")]);
    offer(this.find(".judging [name=run]"), of("optimise", "fidelity", "collect"));
    offer(this.find(".judging [name=reward_model]"), [...named, ["", "the stored probabilities"]]);
    const text = JSON.stringify([sets, this.chosen]);
    if (this.shown.sets === text) return;
    this.shown.sets = text;
    this.chosen ??= sets[0]?.version ?? null;
    fill(
      this.find(".sets"),
      sets.length
        ? html`${sets.map(
            (set) => html`<button class="quiet set" role="radio" data-set="${set.version}"
              aria-checked="${String(set.version === this.chosen)}">
              <b class="mono">${set.version.slice(0, 8)}</b> ${set.episodes} labels
              <span class="mute">${set.counts.success} success · ${set.counts.fail} fail · ${set.counts.imagined}
                imagined ·
                ${
                  Object.entries(set.filters)
                    .map(([name, value]) => `${name} ${value}`)
                    .join(", ") || "no filter"
                } · ${ago(set.frozen)}</span></button>`,
          )}`
        : html`<p class="mute">No set yet.</p>`,
    );
  }

  /** Show how far a run is; `finished` is called once when it is over. True while it goes on. */
  async follow(name, run, finished) {
    if (!run) return false;
    const status = await ask(this.server, "follow", { run }, true);
    if (!status || run !== this[name]) return false;
    fill(this.find(`.${name}-run`), progress(status));
    if (!OVER.includes(status.state)) return true;
    if (status.state === "done" && this.shown[name] !== run) {
      this.shown[name] = run;
      await finished();
    }
    return false;
  }

  attach(name, parameter, run) {
    this[name] = run;
    this.shown[name] = null;
    address.set(parameter, run);
    fill(this.find(name === "training" ? ".comparison" : ".flips"), html``);
    this.wake();
  }

  async compare() {
    const found = await ask(this.server, "compare", { run: this.training });
    if (!found) return;
    fill(
      this.find(".comparison"),
      html`<div class="banner ${found.better ? "" : "warn"}" role="status"><b>${found.verdict ?? "no verdict"}</b></div>
        ${found.figures["gold/verdict"] ? goldTable(found.figures) : ""}
        <h4>Where old model, new model and person differ: ${found.total} of ${found.clips} clips</h4>
        <table class="differences"><tr><th>clip</th><th>kind</th><th>person</th><th>old p</th><th>new p</th></tr>
          ${found.rows.map(row)}</table>
        ${
          found.reward_model
            ? html`<p class="row"><button data-do="use" data-model="${found.reward_model}">Re-judge a
          run with it ↓</button></p>`
            : ""
        }`,
    );
  }

  async flips() {
    const found = await ask(this.server, "flips", { run: this.judging });
    if (!found) return;
    const counts = found.counts;
    const kept = await ask(this.server, "restarts", { run: found.source }, true);
    fill(
      this.find(".flips"),
      html`<p class="mono">${integer(counts.episodes ?? 0)} episodes judged
          ${counts.episodes_per_second ? `at ${measure(counts.episodes_per_second)} a second` : ""}:
          ${counts.to_success ?? 0} became successes, ${counts.to_failure ?? 0} failures;
          ${counts.groups_flipped ?? 0} of ${counts.groups ?? 0} groups flip</p>
        <div class="regrouped">${found.groups.map(group)}</div>
        ${
          kept?.iterations.length
            ? html`<form class="row restarting" aria-label="Restart"><label>Go on from iteration
              <select name="iteration">${kept.iterations.map((step) => html`<option>${step}</option>`)}</select></label>
              <button data-do="restart" data-run="${found.source}">Restart ${found.source} with this
                judge</button></form>`
            : ""
        }`,
    );
  }

  async onClick(event) {
    const episode = event.target.closest("[data-episode]")?.dataset.episode;
    if (episode) return this.open(episode);
    const set = event.target.closest("[data-set]")?.dataset.set;
    if (set) {
      this.chosen = set;
      return this.wake();
    }
    const button = event.target.closest("[data-do]");
    if (!button) return;
    event.preventDefault();
    button.disabled = true;
    await this[button.dataset.do](button);
    button.disabled = false;
  }

  async freeze() {
    const frozen = await ask(this.server, "freeze", this.filters());
    if (!frozen) return;
    this.chosen = frozen.version;
    this.wake();
  }
  async start() {
    if (!this.chosen) return toast("Freeze some labels first.");
    const { steps, episodes_from: source, reward_model: parent } = this.values(".training");
    const answer = await ask(this.server, "start", {
      label_set: this.chosen,
      steps: Number(steps),
      ...(parent ? { reward_model: parent } : {}),
      ...(source ? { episodes_from: [source] } : {}),
    });
    if (answer) this.attach("training", "retrain", answer.run);
  }
  async rejudge() {
    const { run, reward_model, threshold, iteration } = this.values(".judging");
    const answer = await ask(this.server, "rejudge", {
      run,
      reward_model,
      ...(threshold ? { threshold: Number(threshold) } : {}),
      ...(iteration ? { iteration: Number(iteration) } : {}),
    });
    if (answer) this.attach("judging", "rejudge", answer.run);
  }
  use(button) {
    this.find(".judging [name=reward_model]").value = button.dataset.model;
    this.find(".judging").scrollIntoView({ behavior: "smooth", block: "center" });
  }
  async restart(button) {
    const model = this.find(".judging [name=reward_model]").value;
    if (!model) return toast("Choose the reward model to go on with.");
    const answer = await ask(this.server, "restart", {
      run: button.dataset.run,
      reward_model: model,
      iteration: Number(this.values(".restarting").iteration),
    });
    if (answer) toast(`${answer.run} is queued: follow it on Train.`, "note");
  }

  open(episode) {
    this.drawer ??= new Drawer({
      server: this.server,
      clip: (id) => ask(this.server, "clip", { episode: id }),
      onClose: () => (this.drawer = null),
    });
    this.drawer.open(episode);
  }
}

export const mountRetrain = ({ element, props, server }) => {
  if (props.public)
    fill(
      element,
      html`<div class="wm"><p class="card mute">A public studio does not retrain: run your own.</p></div>`,
    );
  else new Retrain(element, server);
};
