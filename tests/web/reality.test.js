import assert from "node:assert/strict";
import test from "node:test";
import "./browser.js";

const { realityCard } = await import("../../app/train/reality.js");

const look = (updates, kl, dreamt, real, low) => ({
  updates,
  kl,
  dreamt: [dreamt, dreamt - 0.1, dreamt + 0.1],
  real: [real, real - 0.1, real + 0.1],
  gap: [dreamt - real, low, dreamt - real + 0.2],
});
const looks = [look(0, 0.001, 0.5, 0.5, -0.2), look(4, 0.02, 0.9, 0.4, 0.3)];
const circles = (text) =>
  [...text.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map((m) => m.slice(1).map(Number));

test("looks lie by KL from left to right, a gap above the line of zero", () => {
  const text = realityCard({ looks, parts: 4, words: "They part." }).html;
  const [[x0, y0], [x1, y1]] = circles(text);
  const zero = Number(text.match(/class="ideal"[^>]*y1="([\d.]+)"/)?.[1]);
  assert.ok(x0 < x1 && Math.abs(y0 - zero) < 0.1 && y1 < zero);
  assert.equal(Number(text.match(/class="parting" x1="([\d.]+)"/)?.[1]), x1);
  assert.equal(text.match(/class="parted"/g)?.length, 1);
  assert.match(text, /<td>50 \[30, 70\]<\/td>/);
});

test("without KL they lie by iterations, and nothing parts", () => {
  const blind = looks.map((each) => ({ ...each, kl: null }));
  const text = realityCard({ looks: blind, parts: null, words: "They do not part." }).html;
  assert.match(text, /by iterations/);
  assert.doesNotMatch(text, /parting/);
});
