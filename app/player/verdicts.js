// Verdicts of a reward model at any threshold: what the badges, leaves and strips say while it is moved.
import { html } from "../web/html.js";

/** @typedef {{success: boolean, end_step: number, open?: boolean}} Verdict */

/** The verdict that windows give at a threshold: the first at or above it decides. `open` where
 * they stop before the horizon without one.
 * @param {{ends: number[], probabilities: number[], frames: number, horizon?: number,
 *   lastCounts?: boolean}} windows
 * @param {number} threshold
 * @returns {Verdict} */
export const verdictAt = ({ ends, probabilities, frames, horizon, lastCounts = true }, threshold) => {
  const hit = probabilities.findIndex(
    (value, index) => value >= threshold && (lastCounts || ends[index] < frames),
  );
  if (hit >= 0) return { success: true, end_step: ends[hit] - 1 };
  return { success: false, end_step: frames - 1, open: frames - 1 < (horizon ?? frames - 1) };
};

/** The outcome of an episode as a tag.
 * @param {Verdict & {judged?: boolean}} outcome */
export const verdict = (outcome) =>
  outcome.judged === false
    ? html`<span class="tag">? nobody judged it</span>`
    : outcome.success
      ? html`<span class="tag ok">✓ success at ${outcome.end_step}</span>`
      : outcome.open
        ? html`<span class="tag">no success yet</span>`
        : html`<span class="tag bad">✕ fail</span>`;
