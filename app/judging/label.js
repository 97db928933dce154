// A label: all that can be said of a clip, what stood before and what is said now.
/** What a label says, and a correction keeps.
 * @typedef {{event_id?: string, outcome?: string | null, dream_broke?: boolean | null, end_step?: number | null,
 *   span_first?: number | null, span_last?: number | null, failure_mode?: string | null, note?: string}} Said */
/** A clip as the studio gives it, with the label that stands; one that was only dreamt has no `id` yet.
 * @typedef {{id: string | null, label?: Said | null, dream?: {dream: string, node: number},
 *   probability?: number | null, threshold?: number | null, reward_model?: string | null}} Clip */

/** @satisfies {Said} */
const NOTHING = {
  outcome: null,
  dream_broke: null,
  end_step: null,
  span_first: null,
  span_last: null,
  failure_mode: null,
  note: "",
};

/** What stands once a change is said: all that the change does not speak of stays as it was.
 * @param {Said | null | undefined} before @param {Said} change @returns {Required<Omit<Said, "event_id">>} */
export const corrected = (before, change) => {
  const names = /** @type {(keyof typeof NOTHING)[]} */ (Object.keys(NOTHING));
  const values = names.map((name) => [
    name,
    name in change ? change[name] : (before?.[name] ?? NOTHING[name]),
  ]);
  return Object.fromEntries(values);
};

/** The words of a label that says a change of a clip and names the one that it corrects.
 * @param {Clip} clip @param {Said} change
 * @param {{mode: string, actor: string, latency?: number | null}} how */
export const labelOf = (clip, change, { mode, actor, latency = null }) => ({
  ...(clip.id === null ? { dream: clip.dream } : { episode_id: clip.id }),
  ...corrected(clip.label, change),
  mode,
  actor,
  model_probability: clip.probability ?? null,
  threshold: clip.threshold ?? null,
  checkpoint: clip.reward_model ?? null,
  latency_ms: latency,
  supersedes: clip.label?.event_id ?? null,
});
