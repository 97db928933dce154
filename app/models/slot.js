// One slot of the Models page: a chooser, and everything a checkpoint says about itself.
import { copy } from "../web/copy.js";
import { fixed, integer, measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const TITLES = { policy: "Policy", world_model: "World model", reward_model: "Reward model" };
const words = (role) => role.replaceAll("_", " ");
const count = (number) =>
  number >= 1e9
    ? `${(number / 1e9).toFixed(2)} B`
    : number >= 1e6
      ? `${(number / 1e6).toFixed(1)} M`
      : integer(number);

/** The figures of a card: its headline, or its first few plain numbers. */
/** @type {(card: any) => [string, any][]} */
const figures = (card) => {
  if (card.headline) return Object.entries(card.headline);
  return Object.entries(card.metrics ?? {})
    .filter(([, value]) => typeof value === "number")
    .slice(0, 4)
    .map(([name, value]) => [name.replace(/.*\//, "").replaceAll("_", " "), measure(value)]);
};

const parent = (node) => {
  const name = node.id ?? (node.made_as || node.short);
  const text = html`<span class="mute">${words(node.role)}</span>
    ${
      node.id && TITLES[node.role]
        ? html`<a href="models?${node.role}=${encodeURIComponent(node.id)}" class="mono">${name}</a>`
        : html`<span class="mono">${name}</span>`
    } <span class="mono mute">${node.short}</span>
    ${node.threshold === null ? "" : html`<span class="mute">τ ${fixed(node.threshold, 3)}</span>`}`;
  return html`<li>${text}${node.parents.length ? html`<ul>${node.parents.map(parent)}</ul>` : ""}</li>`;
};

/** What made it, step by step: run, data, labels, parents; only what the card says. */
const lineage = (model) => {
  const steps = [];
  if (model.source.run)
    steps.push(
      html`<li><span class="mute">run</span>
        <a class="mono" href="train?run=${encodeURIComponent(model.source.run)}">${model.source.run}</a></li>`,
    );
  for (const line of model.data) steps.push(html`<li><span class="mute">data</span> ${line}</li>`);
  if (model.labels !== null)
    steps.push(
      html`<li><span class="mute">labels</span> <span class="mono">${JSON.stringify(model.labels)}</span></li>`,
    );
  steps.push(...model.parents.map(parent));
  return steps.length
    ? html`<ul class="lineage">${steps}</ul>`
    : html`<p class="mute small">Its card does not say what it was made from.</p>`;
};

const body = (model) => {
  const chips = figures(model.card).map(([name, value]) =>
    /\d/.test(value)
      ? html`<span class="chip mono">${name} ${value}</span>`
      : html`<span class="mute small">${name} ${value}</span>`,
  );
  const list = (facts) =>
    html`<dl class="facts">${facts
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
  const threshold = html`<b class="mono" title="The judge calls an episode a success where its probability
    reaches τ">τ ${fixed(model.threshold, 3)}</b>`;
  const hash = html`<span class="mono" title="${model.hash}">${model.hash.slice(0, 12)}…</span>
    <button class="quiet copy" data-do="copy" aria-label="Copy the hash of the ${words(model.role)}">copy</button>`;
  return html`<div class="row metrics">${chips}</div>
    ${list([
      ["parameters", html`<b class="mono">${count(model.parameters)}</b>`],
      ["task", model.task],
      ["threshold", model.threshold === null ? null : threshold],
      ["source", model.source.text],
    ])}
    <div><span class="cap">Made from</span>${lineage(model)}</div>
    <details><summary>Hash, revision and config</summary>${list([
      ["hash", hash],
      ["revision", model.revision && html`<span class="mono">${model.revision}</span>`],
      ["seed", model.seed],
    ])}<pre class="mono">${JSON.stringify(model.config, null, 1)}</pre></details>`;
};

export const Slot = class {
  constructor(place, role, onChoose) {
    this.place = place;
    this.role = role;
    this.id = null;
    this.model = null;
    fill(
      place,
      html`<div class="between"><h3>${TITLES[role]}</h3><span class="tag state" hidden></span></div>
        <select aria-label="${TITLES[role]}"></select><div class="about"></div>`,
    );
    this.select = place.querySelector("select");
    this.select.addEventListener("change", () => onChoose(role, this.select.value));
    place.addEventListener("click", (event) => {
      if (event.target.closest("[data-do=copy]")) this.copy();
    });
  }

  /** Offer the catalogue and keep the choice, if it is still there. */
  offer(choices, wanted) {
    this.id = choices.find((choice) => choice.id === wanted)?.id ?? choices[0]?.id ?? null;
    this.select.hidden = !choices.length;
    fill(
      this.select,
      html`${choices.map((choice) => html`<option value="${choice.id}">${choice.called}</option>`)}`,
    );
    if (this.id) this.select.value = this.id;
    else
      fill(
        this.place.querySelector(".about"),
        html`<p class="empty"><b>No ${words(this.role)} yet</b>Add a checkpoint below, or train one.</p>`,
      );
  }

  show(model) {
    this.model = model;
    fill(this.place.querySelector(".about"), body(model));
  }

  /** Is it in memory: yes, no, or on its way. */
  mark(state) {
    const tag = this.place.querySelector(".state");
    tag.hidden = !state;
    tag.className = `tag state ${state === "loaded" ? "ok" : state === "failed" ? "bad" : ""}`;
    tag.textContent = state;
  }

  copy() {
    copy(this.model.hash, "The hash is copied.");
  }
};
