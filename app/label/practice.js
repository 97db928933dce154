// Practice: real clips whose outcome the simulator knows; what is said of them is answered and never stored.
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";

/** What an answer is worth.
 * @param {string} outcome @param {{success: boolean, end_step: number}} truth
 * @returns {["ok" | "warn" | "bad", string]} a tone, and words */
export const feedback = (outcome, { success, end_step }) => {
  const told = success ? `it succeeds at frame ${end_step}` : "it never succeeds";
  if (outcome === (success ? "success" : "fail")) return ["ok", `Right: ${told}.`];
  return outcome === "unsure" ? ["warn", `The simulator knows: ${told}.`] : ["bad", `No: ${told}.`];
};

export class Practice {
  /** @type {any[]} */
  items = [];
  total = 0;
  right = 0;
  answered = false;

  /** `onChange()` after every step: another clip is to be shown.
   * @param {any} place @param {() => void} onChange */
  constructor(place, onChange) {
    this.place = place;
    this.onChange = onChange;
    fill(
      place,
      html`<b></b><span class="grow" role="status"></span><button class="primary"
        data-do="skip">Next <kbd>k</kbd></button><button data-do="stop">End practice</button>`,
    );
    this.show();
  }

  /** The clip on screen; none when nobody practises. */
  get item() {
    return this.items[0];
  }

  /** @param {string[]} ids */
  begin(ids) {
    Object.assign(this, { items: ids.map((id) => ({ id, label: null })), total: ids.length, right: 0 });
    this.step();
  }

  /** The first answer of a clip is told what it is worth; one more goes on.
   * @param {string} outcome @param {{success: boolean, end_step: number}} truth */
  say(outcome, truth) {
    if (this.answered) {
      this.next();
      return;
    }
    const [tone, words] = feedback(outcome, truth);
    this.answered = true;
    this.right += Number(tone === "ok");
    this.show(html`<span class="tag ${tone}">${words}</span>`);
  }

  next() {
    this.items.shift();
    if (!this.item) toast(`Practice: ${this.right} of ${this.total} right.`, "note");
    this.step();
  }

  /** Back to what is to be judged. */
  stop() {
    this.items = [];
    this.step();
  }

  step() {
    this.answered = false;
    this.show();
    this.onChange();
  }

  show(said = html`<span class="mute">Nothing of it is stored.</span>`) {
    this.place.hidden = !this.item;
    const [number, told] = this.place.children;
    number.textContent = `Practice ${this.total - this.items.length + 1} of ${this.total}`;
    fill(told, said);
  }
}
