// A session counts what stands; practice says what an answer is worth and keeps nothing.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { feedback } from "../../app/label/practice.js";
import { sessionWords, summaryWords, tally } from "../../app/label/session.js";

const said = (outcome, { model = true, imagined = true, broke = null, latency = 1500 } = {}) => ({
  stroke: { outcome, dream_broke: broke, latency_ms: latency },
  seen: { imagined, model_success: model },
});

test("agreement is counted on dreams with a clear outcome; a break counts a minute at most", () => {
  const sums = tally([
    said("success"),
    said("fail"),
    said("unsure"),
    said("success", { broke: true }),
    said("success", { imagined: false }),
    said("fail", { model: false, latency: 3_600_000 }),
  ]);
  assert.deepEqual(sums, { judged: 6, seconds: 67.5, compared: 3, agreed: 2 });
  assert.equal(sessionWords(sums, 10), "6 of 10 · 1:07 · model agreed 2 of 3");
  assert.equal(sessionWords(sums, 0), "6 judged · 1:07 · model agreed 2 of 3");
  assert.match(summaryWords(sums), /^6 clips in 1:07\. You .* the same of 2 of the 3 dreams/);
  assert.match(summaryWords(tally([])), /nothing to compare/);
});

test("practice tells right from wrong, and what the simulator saw", () => {
  const [won, lost] = [
    { success: true, end_step: 31 },
    { success: false, end_step: 48 },
  ];
  assert.deepEqual(feedback("success", won), ["ok", "Right: it succeeds at frame 31."]);
  assert.deepEqual(feedback("fail", won), ["bad", "No: it succeeds at frame 31."]);
  assert.deepEqual(feedback("fail", lost), ["ok", "Right: it never succeeds."]);
  assert.deepEqual(feedback("success", lost), ["bad", "No: it never succeeds."]);
  assert.equal(feedback("unsure", lost)[0], "warn");
});
