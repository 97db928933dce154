// What a verdict is at any threshold, and what the badges of a dream say while it is moved.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Branches } from "../../app/imagine/branches.js";
import { Dream } from "../../app/imagine/dream.js";
import { verdictAt } from "../../app/player/verdicts.js";

const windows = { ends: [8, 9, 10], probabilities: [0.2, 0.9, 0.95], frames: 10, horizon: 48 };

test("the first window at or above the threshold decides, and ends the dream", () => {
  assert.deepEqual(verdictAt(windows, 0.9), { success: true, end_step: 8 });
  assert.deepEqual(verdictAt(windows, 0.1), { success: true, end_step: 7 });
});

test("without one a dream has failed at its horizon only; before it, it is open", () => {
  assert.equal(verdictAt(windows, 0.99).open, true);
  const whole = { ...windows, frames: 49 };
  assert.deepEqual(verdictAt(whole, 0.99), { success: false, end_step: 48, open: false });
});

test("where the last window does not count, a hit there is none", () => {
  assert.equal(verdictAt({ ...windows, lastCounts: false }, 0.93).success, false);
});

/** A dream that is over after nine frames. */
const over = () => {
  const transport = { clear: () => {}, clock: {} };
  const dream = new Dream({}, transport, {});
  const outcome = { success: true, end_step: 8 };
  const status = { state: "done", threshold: 0.8, outcome, horizon: 48, last_window_counts: true };
  Object.assign(dream, { id: "d", after: 10, status, ...windows });
  return dream;
};

test("a tried threshold changes the verdict and says so; back again, the dream's own stands", () => {
  const dream = over();
  const told = [];
  dream.watch((kind) => told.push(kind));
  dream.attempt(0.99);
  assert.deepEqual([dream.threshold, dream.outcome.success, dream.outcome.open], [0.99, false, true]);
  dream.attempt(0.1);
  assert.deepEqual(dream.outcome, { success: true, end_step: 7 });
  dream.attempt(0.8);
  assert.deepEqual([dream.tried, dream.outcome.end_step], [null, 8]);
  assert.deepEqual(told, ["shown", "shown", "shown"]);
});

test("the leaves follow: a leaf is a success where a window of its path reaches the threshold", () => {
  const nodes = [
    { id: 0, parent: null, probability: null, verdict: null },
    { id: 1, parent: 0, probability: 0.6, verdict: null },
    { id: 2, parent: 1, probability: 0.3, verdict: "fail" },
    { id: 3, parent: 0, probability: 0.2, verdict: "fail" },
  ];
  const verdicts = (tried) => [...Branches.prototype.verdicts.call({ dream: { tried } }, nodes).values()];
  assert.deepEqual(verdicts(null), [null, null, "fail", "fail"]);
  assert.deepEqual(verdicts(0.5), [null, "success", "success", "fail"]);
});
