// Which clips are judged, in which order, and by whom: named queues, or simply everything.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { fill, html } from "../web/html.js";
import { memory } from "../web/memory.js";

const NUMBERS = ["iteration", "low", "high"];
const FLAGS = ["disagreement", "dream_broke", "queued", "judged"];

const options = (words) => words.map((word) => html`<option>${word}</option>`);
const template = (props) => html`<div class="row"><select aria-label="Queue" class="named"></select>
    <select aria-label="Which clips" class="kind">${options(props.kinds)}</select>
    <select aria-label="Order of the queue" class="order">${options(props.orders)}</select>
    <button class="quiet" data-queue="conflicts" aria-pressed="false" hidden></button>
    <button class="quiet" data-queue="open" aria-expanded="false">New queue…</button>
    <button class="quiet" data-queue="remove" hidden>Remove queue</button>
    <button class="quiet who" data-queue="who" title="Who judges"></button></div>
  <form class="make fields" hidden>
    <label>clips<select name="filter" aria-label="Clips"></select></label>
    <label>order<select name="order" aria-label="Order">${options(props.queueOrders)}</select></label>
    <label>how many<input name="clips" type="number" min="1" max="5000" value="200"></label>
    <label>people a clip<input name="overlap" type="number" min="1" max="20" value="1"></label>
    <label>known answer every<input name="gold" type="number" min="0" max="100" value="10"
      title="Every so many clips one whose outcome the simulator knows; 0 for none"></label>
    <label>name<input name="name" maxlength="60" placeholder="as its order"></label>
    <button class="primary">Make queue</button></form>`;

export class Queues {
  /** `onChange()` after another queue, order or person was chosen. */
  constructor(element, { props, server, onChange }) {
    fill(element, template(props));
    this.element = element;
    this.props = props;
    this.server = server;
    this.onChange = onChange;
    this.all = [];
    this.views = {};
    this.deciding = false;
    this.find = (selector) => element.querySelector(selector);
    this.form = this.find("form");
    this.find("[data-queue=open]").hidden = props.public;
    for (const menu of element.querySelectorAll(".row select"))
      menu.addEventListener("change", () => {
        this.deciding = false;
        address.set("queue", this.name);
        this.draw();
        onChange();
      });
    element.addEventListener("click", (event) => {
      const action = event.target.closest("[data-queue]")?.dataset.queue;
      if (action) this[action]();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    this.draw();
  }

  get actor() {
    return memory.get("actor", "local");
  }
  /** The chosen queue's name, null for everything. */
  get name() {
    return this.find(".named").value || null;
  }
  get record() {
    return this.all.find((queue) => queue.name === this.name) ?? null;
  }

  /** Fetch the queues; the address says which is chosen, or with a filter that one is to be made. */
  async begin() {
    const answer = await ask(this.server, "queues", {}, true);
    if (!answer) return;
    Object.assign(this, answer);
    this.draw(address.get("queue"));
    const wanted = this.props.filters.filter((name) => address.get(name) !== null);
    const read = (name) => {
      const text = address.get(name);
      if (FLAGS.includes(name)) return text === "true";
      return NUMBERS.includes(name) ? Number(text) : text;
    };
    const kind = address.get("clips");
    if (kind && this.props.kinds.includes(kind)) this.find(".kind").value = kind;
    this.asked = Object.fromEntries(wanted.map((name) => [name, read(name)]));
    if (address.get("make") !== null && !this.props.public) this.open();
  }

  /** {items} of the next clips, leased if the queue is a named one; null without an answer. */
  async next(count) {
    await this.release();
    if (this.name === null) {
      const chosen = { kind: this.find(".kind").value, order: this.find(".order").value };
      return ask(this.server, "queue", chosen);
    }
    this.held = { queue: this.name, actor: this.actor };
    const question = { ...this.held, count: Math.min(count, 50), adjudicate: this.deciding };
    return ask(this.server, "next", question, true);
  }

  /** What was held under another name or of another queue may go to others. */
  async release() {
    const { held } = this;
    if (!held || (held.queue === this.name && held.actor === this.actor)) return;
    this.held = null;
    await ask(this.server, "release", held, true);
  }

  // What the buttons do.
  open() {
    const filters = {
      "every clip": {},
      imagined: { kind: "imagined" },
      real: { kind: "real" },
      ...this.views,
    };
    if (Object.keys(this.asked ?? {}).length) filters["the filter of Episodes"] = this.asked;
    /** @type {any} */
    this.filters = filters;
    fill(this.form.filter, html`${options(Object.keys(filters))}`);
    if (filters["the filter of Episodes"]) this.form.filter.value = "the filter of Episodes";
    this.form.hidden = !this.form.hidden;
    this.draw();
  }

  async make() {
    const number = (/** @type {string} */ name) => Number(this.form[name].value);
    const answer = await ask(this.server, "make_queue", {
      filter: this.filters[this.form.filter.value],
      order: this.form.elements.order.value,
      clips: number("clips"),
      overlap: number("overlap"),
      gold: this.form.gold.value === this.form.gold.defaultValue ? null : number("gold"),
      name: this.form.elements.name.value,
    });
    if (!answer) return;
    this.form.hidden = true;
    ["make", ...this.props.filters].forEach((name) => address.set(name, null));
    this.use(answer.queues, answer.name);
  }

  async remove() {
    if (!window.confirm(`Remove the queue “${this.name}”? Its judgements stay.`)) return;
    const answer = await ask(this.server, "remove_queue", { name: this.name });
    if (answer) this.use(answer.queues, null);
  }

  use(queues, name) {
    this.all = queues;
    this.deciding = false;
    this.draw(name);
    address.set("queue", name);
    this.onChange();
  }

  conflicts() {
    this.deciding = !this.deciding;
    this.draw();
    this.onChange();
  }

  who() {
    const name = window.prompt("Who judges?", this.actor)?.trim();
    if (!name || name === this.actor) return;
    memory.set("actor", name);
    this.draw();
    this.onChange();
  }

  /** How far the queue is, as the studio counts it. */
  count({ queue, conflicts }) {
    this.all = this.all.map((one) => (one.name === queue?.name ? queue : one));
    this.open_conflicts = queue ? conflicts : 0;
    this.draw();
  }

  draw(name = this.name) {
    const named = this.find(".named");
    const words = ({ name, done, total }) =>
      html`<option value="${name}">${name} · ${done}/${total}</option>`;
    fill(named, html`<option value="">Everything</option>${this.all.map(words)}`);
    named.value = this.all.some((queue) => queue.name === name) ? name : "";
    const free = named.value === "";
    this.find(".kind").hidden = this.find(".order").hidden = !free;
    this.find("[data-queue=remove]").hidden = free || this.props.public;
    this.find("[data-queue=open]").setAttribute("aria-expanded", String(!this.form.hidden));
    const conflicts = this.find("[data-queue=conflicts]");
    conflicts.hidden = free || (!this.open_conflicts && !this.deciding);
    conflicts.textContent = this.deciding ? "Back to judging" : `Decide conflicts (${this.open_conflicts})`;
    conflicts.setAttribute("aria-pressed", String(this.deciding));
    this.find(".who").textContent = `you: ${this.actor}`;
  }
}
