// Imagine's settings: Gradio's inputs report changes here, start frames are chosen here.
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";

const PAGE = 16;

/** @type {(nothing?: void) => void} */
let begun = () => {};

/** The settings of the next dream, kept in step with Gradio's inputs (which only report changes). */
export const settings = {
  values: {},
  preview: null,
  /** Ids of the starts that can be chosen, in their order. */
  starts: /** @type {number[]} */ ([]),
  /** Kept once the first start is chosen, or cannot be: who presses Run before that is heard then. */
  begun: new Promise((resolve) => {
    begun = resolve;
  }),
  take: (names, values) => {
    names.forEach((name, index) => {
      settings.values[name] = values[index];
    });
    document.dispatchEvent(new CustomEvent("wmpo-settings"));
  },
};

const template = html`<div class="wm starts-panel">
  <div class="row"><select class="pool" aria-label="Where starts come from"></select>
    <button class="quiet" data-page="-1" aria-label="Earlier starts" disabled>‹</button>
    <span class="mono mute span"></span>
    <button class="quiet" data-page="1" aria-label="Later starts" disabled>›</button></div>
  <div class="starts" role="radiogroup" aria-label="Start frame"></div>
  <div class="stored" hidden><div class="stored-stage"></div>
    <input type="range" min="0" value="0" step="1" aria-label="Frame of the stored episode"></div>
  <div class="mono mute chosen"></div><p class="warn small warning" role="status"></p><p
    class="mute small missing"></p></div>`;

class Starts {
  constructor(element, props, server) {
    this.element = element;
    this.server = server;
    this.starts = [];
    this.offset = 0;
    this.total = 0;
    this.pool = "shipped";
    this.task = null;
    fill(element, template);
    this.find = (selector) => element.querySelector(selector);
    const menu = this.find(".pool");
    fill(menu, html`${["shipped", ...props.pools].map((pool) => html`<option>${pool}</option>`)}`);
    menu.addEventListener("change", () => {
      this.pool = menu.value;
      this.offset = 0;
      this.fetch();
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.page) this.turn(Number(button.dataset.page));
      if (button?.dataset.start)
        this.choose(this.starts.find(({ start_id }) => String(start_id) === button.dataset.start));
    });
    this.find("input").addEventListener("input", (event) => this.frame(Number(event.target.value)));
    this.begin();
  }

  async begin() {
    const episode = address.get("episode");
    this.waits = Boolean(episode); // for a frame of it
    await this.fetch(true);
    if (episode) await this.store(episode);
    this.waits = false;
    if (episode) begun();
  }

  /** `first`: choose the first of them, unless an upload or a stored frame is chosen by then. */
  async fetch(first = false) {
    const shipped = this.pool === "shipped";
    const { task } = this;
    const question = { pool: this.pool, offset: this.offset, limit: PAGE, task };
    const answer = await ask(this.server, shipped ? "shipped" : "starts", shipped ? { task } : question);
    if (task !== this.task) return; // the starts of another task are on their way
    if (first && !this.waits) setTimeout(begun); // once one is chosen, or none can be
    if (!answer) return;
    this.total = shipped ? answer.starts.length : answer.total;
    settings.starts = answer.starts.map(({ start_id }) => start_id);
    const wanted = this.chosen?.start_id ?? Number(address.get("start")); // a link may name one
    const place = first && shipped ? settings.starts.indexOf(wanted) : -1;
    if (place >= 0) this.offset = place - (place % PAGE);
    const own = this.starts.filter((start) => start.own);
    this.starts = [
      ...own,
      ...(shipped ? answer.starts.slice(this.offset, this.offset + PAGE) : answer.starts),
    ];
    this.find(".missing").textContent = answer.missing
      ? `Starts of other numbers are not at hand: ${answer.missing}.`
      : "";
    this.show();
    if (!first || this.chosen?.own || this.chosen?.from) return;
    const same = answer.starts.find(({ start_id }) => start_id === wanted);
    this.choose(same ?? this.starts[0] ?? { label: "", image: null });
  }

  /** Other models, another task: its starts, or none. */
  async follow(task) {
    if (task === this.task) return;
    this.task = task;
    this.offset = 0;
    await this.fetch(true);
  }

  turn(by) {
    const offset = this.offset + by * PAGE;
    if (offset < 0 || offset >= this.total) return;
    this.offset = offset;
    this.fetch();
  }

  show() {
    const last = Math.min(this.total, this.offset + PAGE);
    this.find(".span").textContent = this.total ? `${this.offset + 1}–${last} / ${integer(this.total)}` : "";
    this.find('[data-page="-1"]').disabled = this.offset === 0;
    this.find('[data-page="1"]').disabled = last >= this.total;
    const tile = (
      start,
    ) => html`<button role="radio" data-start="${start.start_id}" aria-checked="${String(start === this.chosen)}"
      aria-label="${start.label}" title="${start.label}"><img class="pixel" alt="" src="${start.image}"></button>`;
    fill(
      this.find(".starts"),
      this.starts.length
        ? html`${this.starts.map(tile)}`
        : html`<p class="empty"><b>No start frames${this.task ? ` of ${this.task}` : ""} here</b>Upload an
          image of the first frame to begin.</p>`,
    );
  }

  choose(start) {
    this.chosen = start;
    for (const button of this.element.querySelectorAll("[role=radio]"))
      button.setAttribute("aria-checked", String(button.dataset.start === String(start.start_id)));
    this.find(".chosen").textContent = start.label;
    this.find(".warning").textContent = start.warning ?? "";
    this.find(".stored").hidden = start.from === undefined;
    settings.preview = start.image;
    settings.take(["start_id", "from"], [start.from ? undefined : start.start_id, start.from]);
    document.dispatchEvent(new CustomEvent("wmpo-start"));
  }

  add(own) {
    this.starts = [{ ...own, own: true }, ...this.starts.filter((start) => start.start_id !== own.start_id)];
    this.show();
    this.choose(this.starts[0]);
  }

  type(text) {
    const id = Number(String(text).replaceAll(",", ""));
    if (!String(text).trim() || !Number.isInteger(id) || id < 0) {
      toast(`A start id is a whole number, not “${text}”.`);
      return;
    }
    const unseen = { start_id: id, label: `start ${integer(id)}, from the simulator`, image: null };
    this.choose(this.starts.find((start) => start.start_id === id) ?? unseen);
  }

  /** Any frame of a stored episode. */
  async store(episode) {
    const clip = await ask(this.server, "clip", { episode });
    if (!clip) return;
    this.clip = clip;
    this.find("input").max = String(clip.frames.length - 1);
    this.find("input").value = String(Number(address.get("t") ?? 0));
    this.frame(Number(this.find("input").value));
  }

  frame(number) {
    if (!this.clip) return;
    const { id, frames } = this.clip;
    const source = frames[Math.min(number, frames.length - 1)];
    fill(
      this.find(".stored-stage"),
      html`<img class="pixel" alt="Frame ${number} of ${id}" src="${source}">`,
    );
    this.choose({
      start_id: null,
      label: `frame ${number} of ${id}`,
      image: source,
      from: { episode: id, frame: number },
    });
  }
}

export const mountStarts = ({ element, props, server, watch }) => {
  const starts = new Starts(element, props, server);
  settings.chooseStart = (text) => starts.type(text);
  watch("value", () => {
    if (props.value?.task) starts.follow(props.value.task);
    if (props.value?.own) starts.add(props.value.own);
  });
};
