// The four answers to a clip, wherever it is watched: their buttons, what they say, which one stands.
import { html } from "../web/html.js";

export const answerButtons = html`<button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
  <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
  <button data-do="unsure">? Unsure <kbd>u</kbd></button>
  <button data-do="broke" class="warn">Dream broke <kbd>w</kbd></button>`;

/** What keys and buttons of these names do: `say(change)` of the clip that `clip()` gives.
 * @param {(change: object) => unknown} say
 * @param {() => any} clip */
export const answers = (say, clip) => ({
  success: () => say({ outcome: "success" }),
  fail: () => say({ outcome: "fail" }),
  unsure: () => say({ outcome: "unsure" }),
  broke: () => say({ dream_broke: !clip()?.label?.dream_broke }),
});

/** Press the buttons of what a label says.
 * @param {(selector: string) => any} find
 * @param {any} label */
export const showAnswers = (find, label) => {
  for (const name of ["success", "fail", "unsure"])
    find(`[data-do=${name}]`).setAttribute("aria-pressed", String(label?.outcome === name));
  find("[data-do=broke]").setAttribute("aria-pressed", String(Boolean(label?.dream_broke)));
};
