// What a judgement says beside its outcome: why it failed, at which frame, and a note.
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";

const template = html`<div class="between"><h3>If it failed, why</h3>
    <button class="quiet" data-mark="edit" hidden>Edit</button></div>
  <div class="row modes"></div>
  <div class="row"><button data-mark="frame" aria-pressed="false"></button>
    <button data-mark="span" aria-pressed="false"></button></div>
  <label class="note">Note <kbd>t</kbd><textarea rows="1" maxlength="2000"
    placeholder="optional…"></textarea></label>`;

export class Marks {
  /** `cursor()` gives the frame on screen, `loop()` the looped [first, last] or null; `save(modes)`
   * keeps another taxonomy and gives it back, null where nobody may change it. */
  constructor(element, { modes, cursor, loop, save }) {
    fill(element, template);
    this.element = element;
    this.modes = modes;
    this.cursor = cursor;
    this.loop = loop;
    this.save = save;
    this.text = element.querySelector("textarea");
    this.text.addEventListener("keydown", (event) => event.key === "Escape" && this.text.blur());
    element.querySelector("[data-mark=edit]").hidden = !save;
    element.addEventListener("click", (event) => {
      const { mark, mode } = event.target.closest("button")?.dataset ?? {};
      if (mode !== undefined) this.choose(Number(mode));
      if (mark) this[mark]();
    });
    this.set({});
  }

  /** Begin anew, or from what an earlier label said.
   * @param {any} label */
  set({ failure_mode: mode = null, end_step: step = null, span_first: first, span_last: last, note = "" }) {
    Object.assign(this, { mode, step, marked: Number.isInteger(first) ? [first, last] : null });
    this.text.value = note ?? "";
    this.draw();
  }

  /** What the label is to say; a success has no failure mode. */
  values(outcome) {
    const mode = outcome === "success" ? null : this.mode;
    const [first, last] = this.marked ?? [null, null];
    const frames = { end_step: this.step, span_first: first, span_last: last };
    return { failure_mode: mode, ...frames, note: this.text.value.trim() };
  }

  choose(index) {
    const mode = this.modes[index];
    if (mode === undefined) return;
    this.mode = this.mode === mode ? null : mode;
    this.draw();
  }

  /** It happened at this frame; the same frame again takes the mark away. */
  frame() {
    const at = this.cursor();
    this.step = this.step === at ? null : at;
    this.draw();
  }

  /** It is to be seen in the looped frames; the same loop again takes the mark away. */
  span() {
    const loop = this.loop();
    if (!loop && !this.marked) {
      toast("Set a loop with [ and ] first: its frames are what is marked.", "note");
      return;
    }
    const same = !loop || (this.marked && loop.every((frame, edge) => frame === this.marked[edge]));
    this.marked = same ? null : [...loop];
    this.draw();
  }

  write() {
    this.text.focus();
  }

  async edit() {
    const words = window.prompt("Failure modes, separated by commas", this.modes.join(", "));
    if (words === null) return;
    const modes = words.split(",").map((word) => word.trim());
    this.modes = (await this.save(modes.filter(Boolean))) ?? this.modes;
    this.draw();
  }

  draw() {
    const known = this.modes.includes(this.mode) || this.mode === null;
    const shown = known ? this.modes : [...this.modes, this.mode];
    const chips = shown.map(
      (
        mode,
        index,
      ) => html`<button class="chip" data-mode="${index}" aria-pressed="${String(mode === this.mode)}">
        ${index < 8 ? html`<kbd>${index + 1}</kbd> ` : ""}${mode}</button>`,
    );
    fill(this.element.querySelector(".modes"), html`${chips}`);
    const marked = this.element.querySelector("[data-mark=frame]");
    marked.setAttribute("aria-pressed", String(this.step !== null));
    fill(
      marked,
      html`${this.step === null ? "It happened here" : `It happened at frame ${this.step}`} <kbd>e</kbd>`,
    );
    const span = this.element.querySelector("[data-mark=span]");
    span.setAttribute("aria-pressed", String(this.marked !== null));
    fill(span, html`${this.marked ? `Frames ${this.marked.join("–")}` : "Mark the loop"} <kbd>m</kbd>`);
  }
}
