// A form that the studio answers while it is filled in: what the work would take, and then its start.
import { ask } from "../calls.js";
import { duration } from "../formats.js";
import { fill, html } from "../html.js";

/** @typedef {import("../types.d.ts").Html} Html */
/** @typedef {{title: string, button: string, fields: (found: any) => Html, query: () => any,
 *   words: (plan: any) => string, started: (answer: any) => void, note?: string}} Parts */

/** A field for a number, found by its name.
 * @type {(name: string, words: string, value: number, low: number, high: number, step?: number) => Html} */
export const numberField = (name, words, value, low, high, step = 1) => html`<label class="field">${words}
  <input type="number" data-name="${name}" value="${value}" min="${low}" max="${high}" step="${step}"></label>`;

/** What is in the named fields of an element, numbers as numbers.
 * @type {(element: any) => Record<string, any>} */
export const named = (element) =>
  Object.fromEntries(
    [...element.querySelectorAll("[data-name]")].map((field) => [
      field.dataset.name,
      field.type === "number" ? Number(field.value) : field.value,
    ]),
  );

/** How long a planned work takes, and how the studio knows.
 * @type {(plan: {seconds: number, measured: boolean}) => string} */
export const estimated = ({ seconds, measured }) =>
  `${duration(seconds)} (${measured ? "measured here" : "a guess: nothing was measured here yet"})`;

/** Server functions `choices`, `plan` and `start`. Parts: `title` and `button` as texts, `fields(found)`
 * of what can be chosen, `query()` of what is, `words(plan)`, `started(answer)`, and `note` below. */
export class PlannedForm {
  /** @type {any} */
  found = null;

  /** @param {any} element
   * @param {import("../types.d.ts").Server} server
   * @param {Parts} parts */
  constructor(element, server, parts) {
    this.element = element;
    this.server = server;
    this.parts = parts;
    this.asked = 0;
    fill(element, html`<h3>${parts.title}</h3><p class="mute">asking what there is…</p>`);
    element.addEventListener("input", () => this.plan());
    element.addEventListener(
      "click",
      (/** @type {any} */ event) => event.target.closest("[data-do=start]") && this.start(),
    );
    this.open();
  }

  async open() {
    const found = await ask(this.server, "choices");
    if (!found) return;
    this.found = found;
    const { title, button, fields, note } = this.parts;
    fill(
      this.element,
      html`<h3>${title}</h3>
      ${found.refusal ? html`<p class="banner warn">${found.refusal}</p>` : ""}
      ${fields(found)}
      <p class="said" role="status"></p><button class="primary" data-do="start" disabled>${button}</button>
      ${note ? html`<p class="mute small">${note}</p>` : ""}`,
    );
    this.plan();
  }

  /** Ask what it would take, once the hand rests. */
  plan() {
    if (!this.found) return;
    const asked = ++this.asked;
    setTimeout(async () => {
      if (asked !== this.asked) return;
      const plan = await this.server.plan(this.parts.query());
      if (asked === this.asked && plan) this.say(plan);
    }, 250);
  }

  say(/** @type {any} */ plan) {
    const place = this.element.querySelector(".said");
    place.className = `said small ${plan.refused ? "bad" : "mute"}`;
    place.textContent = plan.refused ?? this.parts.words(plan);
    const idle = plan.refused || this.found.refusal || plan.new === 0;
    this.element.querySelector("[data-do=start]").disabled = Boolean(idle);
  }

  async start() {
    this.element.querySelector("[data-do=start]").disabled = true;
    const answer = await ask(this.server, "start", this.parts.query());
    if (answer) {
      document.dispatchEvent(new CustomEvent("wmpo-runs"));
      this.parts.started(answer);
    }
    this.plan();
  }
}
