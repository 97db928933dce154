// The task card: when a clip counts as a success, in words and by examples.
import { film } from "../player/film.js";
import { ask } from "../web/calls.js";
import { fill, html } from "../web/html.js";

const ANY = "It succeeds when the instruction is fulfilled at some moment of the clip.";
const BROKE = "Dream broke: something impossible happens, so the clip says nothing of the task.";
const WORDS = { success: ["ok", "✓ success"], fail: ["bad", "✕ fail"] };

export class TaskCard {
  /** @type {any} */
  card = null;

  /** `practise(ids)` begins practice on real clips. */
  constructor(element, server, practise) {
    this.element = element;
    this.server = server;
    this.task = null;
    element.addEventListener("click", ({ target }) => {
      if (target.closest("[data-practise]")) practise(this.card.practice);
    });
  }

  /** The card of a clip's task; it is asked for once. */
  async show(task) {
    if (task === this.task) return;
    this.task = task;
    const card = await ask(this.server, "task_card", { task }, true);
    if (!card || task !== this.task) return;
    this.card = card;
    const example = (outcome) => (id) =>
      html`<button class="example" aria-label="Play an example: ${outcome}"
      title="A real clip of known outcome"><span class="film" data-film="${id}"></span><span class="${
        WORDS[outcome][0]
      }">${WORDS[outcome][1]}</span></button>`;
    const { success, fail, practice } = card;
    const films = await ask(this.server, "films", { ids: [...success, ...fail] }, true);
    if (task !== this.task) return;
    fill(
      this.element,
      html`<div class="between"><h3>What counts</h3>${
        practice.length ? html`<button data-practise>Practise on ${practice.length} clips</button>` : ""
      }</div><p class="rule">${card.rule || ANY} <span class="mute">${BROKE}</span></p>
        <div class="examples">${success.map(example("success"))}${fail.map(example("fail"))}</div>`,
    );
    for (const place of this.element.querySelectorAll("[data-film]"))
      if (films?.[place.dataset.film]) film(place, films[place.dataset.film]);
  }
}
