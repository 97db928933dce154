// A past iteration judged anew: which members flip, what becomes of their advantages and groups.
import { counted, fixed, integer, signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const mark = (success) => html`<b class="${success ? "ok" : "bad"}">${success ? "✓" : "✕"}</b>`;
const advantage = (value) => (value === null || value === undefined ? "–" : signed(value));
const member = ({
  episode,
  before,
  after,
  flips,
  cut,
}) => html`<button class="quiet judged ${flips ? "flips" : ""}"
  data-open="${episode}" aria-label="${`${episode}, ${before.success ? "success" : "fail"}, now ${
    after.success ? "success" : "fail"
  }`}">
  <span>${mark(before.success)}${flips ? html`→${mark(after.success)}` : ""}</span>
  <span class="mono">${advantage(before.advantage)}</span><span class="mono">${advantage(after.advantage)}</span>
  ${
    cut
      ? html`<span class="mute"
    title="The judge of that time ended this dream: nobody knows how it would have gone on">cut</span>`
      : ""
  }</button>`;
const state = ({ kept, successes }, size) => `${kept ? "kept" : "dropped"}, ${successes} of ${size}`;
const group = ({
  start_id,
  before,
  after,
  flips,
  members,
}) => html`<section class="${flips ? "flipped" : ""}">
  <p class="row"><span class="mono">start ${integer(start_id)}</span><span class="tag ${
    before.kept ? "ok" : ""
  }">${state(before, members.length)}</span>
    → <span class="tag ${after.kept ? "ok" : ""}">${state(after, members.length)}</span>
    ${flips ? html`<b class="warn">flips</b>` : ""}</p>
  <div class="row">${members.map(member)}</div></section>`;

const summary = (answer) => {
  const { groups, episodes, flipped_groups, flipped_episodes, cut, unjudged, before, threshold } = answer;
  const parts = [
    `τ ${fixed(before, 3)} → ${fixed(threshold, 3)}: ${flipped_groups} of ${groups.length} stored groups flip, ` +
      `${flipped_episodes} of ${integer(episodes)} episodes`,
  ];
  if (cut) parts.push(`${cut} dreams were cut short at a success of that time and count as failures now`);
  if (unjudged) parts.push(`${unjudged} episodes without probabilities keep their outcome`);
  return `${parts.join("; ")}.`;
};

/** A choice of iterations, and the chosen one at the lab's threshold. */
export class Rejudging {
  constructor(element, ask) {
    fill(
      element,
      html`<div class="between"><h3>Re-judge an iteration</h3><label class="row mute">iteration
        <select aria-label="Iteration to judge again"><option value="">choose…</option></select></label></div>
        <p class="mute said" role="status">The stored probabilities are judged with the threshold above: outcomes,
          rewards,
        advantages and which groups would have been kept. No model is needed.</p><div class="judged-groups"></div>`,
    );
    this.element = element;
    this.ask = ask;
    this.threshold = null;
    this.menu = element.querySelector("select");
    this.menu.addEventListener("change", () => this.show(this.threshold));
  }

  offer(iterations) {
    this.iterations = iterations;
    const chosen = this.menu.selectedOptions[0]?.textContent;
    while (this.menu.options.length > 1) this.menu.remove(1);
    iterations.forEach(({ called, iteration, groups, episodes }, index) =>
      this.menu.add(
        new Option(
          `${called} · ${iteration} (${counted(groups, "group")}, ${counted(episodes, "episode")})`,
          index,
        ),
      ),
    );
    const again = [...this.menu.options].find((option) => option.textContent === chosen);
    this.menu.value = again?.value ?? "";
  }

  async show(threshold) {
    this.threshold = threshold;
    const chosen = this.menu.value === "" ? null : this.iterations[this.menu.value];
    if (!chosen) return;
    const { run, iteration } = chosen;
    const answer = await this.ask({ run, iteration, threshold });
    if (!answer || threshold !== this.threshold) return;
    this.element.querySelector(".said").textContent = summary(answer);
    const ordered = [...answer.groups].sort((a, b) => b.flips - a.flips);
    fill(this.element.querySelector(".judged-groups"), html`${ordered.slice(0, 40).map(group)}`);
  }
}
