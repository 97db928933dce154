// What people said: who said what, when, and what became of it; everything of one person taken back.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { counted, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";

const PAGE = 12;
const TONES = { success: "ok", fail: "bad", unsure: "warn" };
const LOGS = { labels: "labels", preferences: "A/B" };
const CHOICES = { left: "better than", right: "worse than", equal: "as good as", broken: "both broken" };

const said = (event) => {
  if (event.withdrawal) return html`<span class="mute">takes back</span>`;
  if (event.choice)
    return html`<span class="tag ${event.choice === "broken" ? "warn" : ""}">${CHOICES[event.choice]}</span>
      ${episode(event.right)}`;
  const outcome = event.outcome
    ? html`<span class="tag ${TONES[event.outcome]}">${event.outcome}</span>`
    : "";
  const broke =
    event.dream_broke === null || event.dream_broke === undefined
      ? ""
      : html`<span class="tag ${event.dream_broke ? "warn" : ""}">${
          event.dream_broke ? "dream broke" : "dream ok"
        }</span>`;
  return html`${outcome} ${broke}`;
};
const episode = (id) => html`<a class="mono" href="episodes?ep=${encodeURIComponent(id)}">${id}</a>`;
const how = ({ mode, failure_mode: why, span_first: first, span_last: last }) =>
  [mode, why, Number.isInteger(first) ? `frames ${first}–${last}` : ""].filter(Boolean).join(" · ");
const fate = (event) => {
  if (event.superseded_seq)
    return html`<span class="mute">superseded by #${integer(event.superseded_seq)}</span>`;
  return event.stands ? html`stands` : html`<span class="mute">${event.supersedes ? "an undo" : "–"}</span>`;
};
const moment = (at) => new Date(at * 1000).toISOString().replace("T", " ").slice(0, 16);

export class Audit {
  constructor(element, { server, props }) {
    const { get } = address;
    const log = get("log") in LOGS ? get("log") : "labels";
    this.element = element;
    this.server = server;
    this.props = props;
    this.offset = 0;
    this.actor = get("actor") ?? "";
    this.log = log;
    fill(
      element,
      html`<div class="between"><h3>Who said what</h3><span class="row"><select
        aria-label="Log" name="log">${Object.entries(LOGS).map(
          ([value, text]) => html`<option value="${value}">${text}</option>`,
        )}</select><label class="row">who <select aria-label="Actor" name="actor"></select></label><span
          class="undo"></span></span></div>
        <div class="confirm"></div><div class="scroll"></div>
        <div class="between"><span class="mono mute total" role="status"></span><span class="row">
        <button type="button" data-by="-1">Newer</button><button type="button" data-by="1">Older</button></span></div>`,
    );
    this.find = (selector) => element.querySelector(selector);
    this.find("[name=log]").value = log;
    element.addEventListener("change", ({ target }) => {
      Object.assign(this, { [target.name]: target.value, offset: 0 });
      address.set(target.name, target.value);
      this.load();
    });
    element.addEventListener("click", ({ target }) => {
      const { by, act } = target.closest("button")?.dataset ?? {};
      if (by) {
        this.offset += PAGE * Number(by);
        this.load();
      }
      if (act === "ask") this.confirm();
      if (act === "no") fill(this.find(".confirm"), html``);
      if (act === "yes") this.undo();
    });
    this.load();
  }

  async load() {
    const { log, actor, offset } = this;
    const answer = await ask(this.server, "log", { log, actor, offset, limit: PAGE });
    if (!answer) return;
    this.person = answer.actors.find(({ name }) => name === actor);
    this.draw(answer);
  }

  draw({ events, total, logs, actors }) {
    for (const option of this.find("[name=log]").options)
      option.text = `${LOGS[option.value]} · ${integer(logs[option.value])}`;
    const names = [
      ["", "everybody"],
      ...actors.map(({ name, events: n }) => [name, `${name} · ${integer(n)}`]),
    ];
    if (this.actor && !this.person) names.push([this.actor, this.actor]);
    fill(
      this.find("[name=actor]"),
      html`${names.map(([value, text]) => html`<option value="${value}">${text}</option>`)}`,
    );
    this.find("[name=actor]").value = this.actor;
    const possible = !this.props.public && this.person?.open;
    fill(
      this.find(".undo"),
      possible
        ? html`<button type="button" class="bad" data-act="ask">Undo everything of ${this.actor}</button>`
        : html``,
    );
    fill(this.find(".confirm"), html``);
    const row = (
      event,
    ) => html`<tr class="${event.stands ? "" : "gone"}"><td class="mono">#${integer(event.seq)}</td>
      <td class="mono">${moment(event.at)}</td><td>${event.actor}</td>
      <td>${episode(event.episode_id ?? event.left)}</td><td>${said(event)}</td><td class="mute">${how(event)}</td>
      <td class="note">${event.note}</td><td>${fate(event)}</td></tr>`;
    const heads = ["", "when (UTC)", "who", "episode", "said", "how", "note", "now"];
    fill(
      this.find(".scroll"),
      total
        ? html`<table><thead><tr>${heads.map((text) => html`<th>${text}</th>`)}</tr></thead>
            <tbody>${events.map(row)}</tbody></table>`
        : html`<p class="empty"><b>Nothing was judged yet</b><a href="label">Judge a clip</a> and it is written
          here.</p>`,
    );
    const first = total ? this.offset + 1 : 0;
    this.find(".total").textContent = total
      ? `${integer(first)}–${integer(this.offset + events.length)} of ${integer(total)}`
      : "";
    this.find("[data-by='-1']").disabled = this.offset === 0;
    this.find("[data-by='1']").disabled = this.offset + events.length >= total;
  }

  confirm() {
    const { open } = this.person;
    const noun = this.log === "labels" ? "label" : "comparison";
    const many = counted(open, noun);
    fill(
      this.find(".confirm"),
      html`<div class="banner warn" role="alert"><div class="between"><span>Take back ${many} of <b>${this.actor}</b>?
        Each gets an event that takes it back; all of them stay in the log, and an undo cannot be undone.</span>
        <span class="row"><button type="button" class="bad" data-act="yes">Take back ${many}</button>
        <button type="button" data-act="no">Keep them</button></span></div></div>`,
    );
    this.find("[data-act=no]").focus();
  }

  async undo() {
    const { log, actor, person } = this;
    const answer = await ask(this.server, "undo", { log, actor, open: person.open });
    if (answer) toast(`${integer(answer.undone)} taken back`, "note");
    this.load();
  }
}
