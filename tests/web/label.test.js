// A label keeps what it does not change, and names the one that it corrects.
import assert from "node:assert/strict";
import test from "node:test";
import { corrected, labelOf } from "../../app/judging/label.js";

const BEFORE = {
  event_id: "before",
  outcome: "fail",
  dream_broke: null,
  end_step: 11,
  span_first: 9,
  span_last: 13,
  failure_mode: "dropped",
  note: "the gripper let go",
};
const HOW = { mode: "episodes", actor: "ann" };

test("a correction keeps note, failure mode, span and end step, and names what it corrects", () => {
  const { event_id: before, ...said } = BEFORE;
  const label = labelOf({ id: "clip", label: BEFORE }, { outcome: "unsure" }, HOW);
  const {
    mode,
    actor,
    supersedes,
    episode_id,
    model_probability,
    threshold,
    checkpoint,
    latency_ms,
    ...now
  } = label;
  assert.deepEqual(now, { ...said, outcome: "unsure" });
  assert.deepEqual([mode, actor, supersedes, episode_id], ["episodes", "ann", before, "clip"]);
  assert.deepEqual([model_probability, threshold, checkpoint, latency_ms], [null, null, null, null]);
});

test("what a change names is said, also where it takes something away", () => {
  const label = corrected(BEFORE, { end_step: null, note: "", dream_broke: false });
  assert.deepEqual([label.end_step, label.note, label.dream_broke, label.outcome], [null, "", false, "fail"]);
});

test("a first label corrects nothing and tells what the model said", () => {
  const clip = { id: "clip", label: null, probability: 0.75, threshold: 0.5, reward_model: "abc" };
  const label = labelOf(clip, { outcome: "success" }, { ...HOW, latency: 1200 });
  assert.equal(label.supersedes, null);
  assert.deepEqual(
    [label.model_probability, label.threshold, label.checkpoint, label.latency_ms],
    [0.75, 0.5, "abc", 1200],
  );
  assert.deepEqual([label.outcome, label.dream_broke, label.note], ["success", null, ""]);
});

test("a label of a dream that nobody saved names its path", () => {
  const label = labelOf({ id: null, dream: { dream: "d1", node: 3 } }, { outcome: "fail" }, HOW);
  assert.deepEqual(label.dream, { dream: "d1", node: 3 });
  assert.equal("episode_id" in label, false);
});
