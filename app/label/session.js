// A session: so many clips as somebody set out to judge, how long they took, and how often the model
// said the same.
import { address } from "../web/address.js";
import { fill, html } from "../web/html.js";
import { memory } from "../web/memory.js";

const GOALS = [0, 10, 20, 50, 100];
const PAUSE = 60_000; // milliseconds; who looks at a clip for longer has gone for a coffee

/** What was judged, as numbers.
 * @param {any[]} given strokes, each with what was `seen` beside it */
export const tally = (given) => {
  const both = given.filter(
    ({ stroke, seen }) =>
      ["success", "fail"].includes(stroke.outcome) && !stroke.dream_broke && seen?.imagined,
  );
  return {
    judged: given.length,
    seconds: given.reduce((sum, { stroke }) => sum + Math.min(PAUSE, stroke.latency_ms ?? 0), 0) / 1000,
    compared: both.length,
    agreed: both.filter(({ stroke, seen }) => seen.model_success === (stroke.outcome === "success")).length,
  };
};

/** Seconds as a clock shows them. @param {number} seconds */
const watch = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** The session in one line.
 * @param {ReturnType<typeof tally>} sums @param {number} goal 0 for none */
export const sessionWords = ({ judged, seconds, agreed, compared }, goal) =>
  [
    goal ? `${judged} of ${goal}` : `${judged} judged`,
    watch(seconds),
    compared ? `model agreed ${agreed} of ${compared}` : "",
  ]
    .filter(Boolean)
    .join(" · ");

/** What is said when the goal is reached.
 * @param {ReturnType<typeof tally>} sums */
export const summaryWords = ({ judged, seconds, agreed, compared }) =>
  `${judged} clips in ${watch(seconds)}. ${
    compared
      ? `You and the reward model said the same of ${agreed} of the ${compared} dreams with a clear outcome.`
      : "None of them was a dream with a clear outcome, so there is nothing to compare with the model."
  }`;

export class Session {
  /** `given()` is what stands of this visit; `goOn()` after a summary was closed.
   * @param {any} line where the session is told @param {any} panel where it is summed up
   * @param {{given: () => any[], goOn: () => void}} page */
  constructor(line, panel, { given, goOn }) {
    this.given = given;
    this.goOn = goOn;
    this.begun = 0;
    this.panel = panel;
    this.goal = Number(address.get("goal") ?? memory.get("goal", 0)) || 0;
    fill(
      line,
      html`<span class="mono mute told"></span><select aria-label="Goal" title="How many clips to judge">${[
        ...new Set([...GOALS, this.goal]),
      ].map(
        (goal) => html`<option value="${goal}">${goal ? `judge ${goal}` : "no goal"}</option>`,
      )}</select>`,
    );
    this.told = line.querySelector(".told");
    this.menu = line.querySelector("select");
    this.menu.value = String(this.goal);
    this.menu.addEventListener("change", () => this.aim(Number(this.menu.value)));
    panel.addEventListener("click", (/** @type {any} */ event) => {
      const { more } = event.target.closest("[data-more]")?.dataset ?? {};
      if (more) this.aim(Number(more));
    });
    panel.hidden = true;
    this.show();
  }

  get sums() {
    return tally(this.given().slice(this.begun));
  }

  /** Whether the goal was reached and nobody has said yet how to go on. */
  get over() {
    return !this.panel.hidden;
  }

  /** Begin again with a goal; 0: without one. @param {number} goal */
  aim(goal) {
    this.goal = goal;
    memory.set("goal", goal);
    address.set("goal", null);
    this.menu.value = String(goal);
    this.begun = this.given().length;
    this.show();
    this.goOn();
  }

  /** Another person or queue: what was said before does not count. */
  restart() {
    this.begun = 0;
    this.show();
  }

  show() {
    const { sums, goal } = this;
    this.told.textContent = sums.judged || goal ? sessionWords(sums, goal) : "";
    const over = goal > 0 && sums.judged >= goal;
    const reached = over && this.panel.hidden;
    if (reached)
      fill(
        this.panel,
        html`<h2>${goal} judged</h2><p>${summaryWords(sums)}</p>
          <p class="row"><button class="primary" data-more="${goal}">${goal} more</button>
          <button data-more="0">Go on without a goal</button>
          <a class="button" href="episodes?disagreement=true">See where you disagree</a></p>`,
      );
    this.panel.hidden = !over;
    if (reached) this.panel.querySelector("button").focus({ preventScroll: true });
  }
}
