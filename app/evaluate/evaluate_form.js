// A new evaluation: policies x tasks x pools, what it would take, and its start.

import { estimated, named, numberField, PlannedForm } from "../web/errands/planned.js";
import { counted, integer } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";
import { toast } from "../web/toast.js";

/** @type {[string, string, number, number, number, number][]} */
const NUMBERS = [
  ["episodes", "Episodes each", 100, 1, 1000, 1],
  ["first_start", "First start", 0, 0, 100000, 1],
  ["temperature", "Temperature (0 is greedy)", 0, 0, 10, 0.1],
  ["seeds", "Sampling seeds", 3, 1, 20, 1],
  ["record_episodes", "Videos of the first", 40, 0, 1000, 1],
];

/** At first the shipped policies of one task are chosen, three at most, and that task. */
const policy = ({ id, name, task }, index, all) => html`<li><label class="row">
    <input type="checkbox" data-policy="${id}"
      ${raw(id.startsWith("demo/") && index < 3 && task === all[0].task ? "checked" : "")}>
    <span class="grow name">${name}</span></label>
  <input type="text" data-arm="${id}" maxlength="60" placeholder="method: ${name}"
    aria-label="Method of ${name}"></li>`;
const box =
  (kind, chosen = "") =>
  (value, index, all) =>
    html`<label class="chip"><input type="checkbox" data-${raw(kind)}="${value}"
  ${raw((all.includes(chosen) ? value === chosen : index === 0) ? "checked" : "")}> ${value}</label>`;

const fields = (found) => html`
  <fieldset><legend>Policies</legend><ul class="policies">${found.policies.map(policy)}</ul>
    <p class="mute small">Policies with one method’s name count as trainings of it, and are averaged.</p></fieldset>
  <details><summary>Tasks</summary><div
    class="row">${found.tasks.map(box("task", found.policies[0]?.task))}</div></details>
  <fieldset><legend>Pools of starts</legend><div
    class="row">${Object.keys(found.pools).map(box("pool"))}</div></fieldset>
  <div class="fields two">${NUMBERS.map((number) => numberField(...number))}</div>`;

const words = (plan) => {
  const known = plan.known ? ` ${integer(plan.known)} there already.` : "";
  const work = plan.new
    ? `${counted(plan.new, "run")}, ${counted(plan.episodes, "episode")}, about ${estimated(plan)}.`
    : "All of this has been run.";
  return `${work}${known} ${plan.notes.join(" ")}`;
};

export const evaluationForm = (element, server, onStarted) => {
  const all = (selector) => [...element.querySelectorAll(selector)];
  const checked = (kind) => all(`[data-${kind}]:checked`).map((box) => box.dataset[kind]);
  const arm = (id) => all("[data-arm]").find((field) => field.dataset.arm === id).value;
  const query = () => {
    const numbers = named(element);
    return {
      policies: checked("policy").map((id) => ({ id, arm: arm(id) })),
      tasks: checked("task"),
      pools: checked("pool"),
      ...numbers,
      record_episodes: Math.min(numbers.record_episodes, numbers.episodes),
    };
  };
  const started = ({ runs }) => {
    toast(`${counted(runs.length, "run")} queued: what happens to this page does not stop them.`, "note");
    onStarted();
  };
  const texts = { title: "New evaluation", button: "Start the evaluation" };
  new PlannedForm(element, server, { ...texts, fields, query, words, started });
};

/** "To see 10 points you need …". */
export class PowerCalculator {
  constructor(element, server) {
    this.element = element;
    this.server = server;
    this.asked = 0;
    const field = numberField;
    fill(
      element,
      html`<h3>What would it take?</h3><div class="fields two">
        ${field("difference", "Difference to see, points", 10, 1, 100)}
        ${field("discordant", "Starts that differ, %", 30, 1, 100)}
        ${field("rate", "Success of the reference, %", 36, 0, 100)}
        ${field("episodes", "Starts you have", 100, 1, 100000)}</div>
        <p class="answer" role="status"></p>`,
    );
    element.addEventListener("input", () => this.reckon());
    this.reckon();
  }

  async reckon() {
    const asked = ++this.asked;
    const values = named(this.element);
    const shares = ["difference", "discordant", "rate"].map((name) => [name, values[name] / 100]);
    const found = await this.server.power({ episodes: values.episodes, ...Object.fromEntries(shares) });
    if (asked !== this.asked || !found) return;
    const place = this.element.querySelector(".answer");
    place.classList.toggle("bad", Boolean(found.refused));
    if (found.refused) {
      place.textContent = found.refused;
      return;
    }
    const apart = found.unpaired ? `, or ${integer(found.unpaired)} a method with starts of their own` : "";
    const shown =
      found.detectable === null
        ? "show no difference at all"
        : `show ${(100 * found.detectable).toFixed(1)} points`;
    fill(
      place,
      html`To see ${values.difference} points you need <b>${integer(found.paired)} common starts</b>${apart}.
        ${integer(values.episodes)} common starts ${shown}. <span class="mute">80 % power, p &lt; 0.05, one
          comparison.</span>`,
    );
  }
}
