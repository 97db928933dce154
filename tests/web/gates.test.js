// What the gates of a world model say in words.
import assert from "node:assert/strict";
import test from "node:test";

import { boundWords, gateWords } from "../../app/fidelity/gates.js";

const gate = { title: "", on: "moved", unit: "share", value: 0.4, interval: [0.31, 0.5], count: 40, of: 100 };
const bound = { bound: 0.2, above: false, passed: false };

test("a share comes with its counts and its interval", () => {
  assert.equal(gateWords({ ...gate, ...bound }), "40 of 100, 40 % [31 %, 50 %]");
  assert.equal(boundWords({ ...gate, ...bound }), "at most 20 %");
});

test("a distance is told in centimetres, a rank by its number, and what nobody measured not at all", () => {
  const error = {
    ...gate,
    unit: "cm",
    value: 3.95,
    interval: [2, 6],
    count: null,
    bound: 3,
    above: false,
    passed: false,
  };
  assert.equal(gateWords(error), "4.0 cm");
  const rank = { ...error, unit: "number", value: 0.829, interval: [0.75, 0.9], bound: 0.7, above: true };
  assert.equal(gateWords(rank), "0.83 [0.75, 0.90]");
  assert.equal(boundWords(rank), "at least 0.70");
  assert.equal(gateWords({ ...rank, value: null }), "–");
});
