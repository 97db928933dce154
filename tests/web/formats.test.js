import assert from "node:assert/strict";
import test from "node:test";
import {
  ago,
  bytes,
  clock,
  duration,
  episodeWords,
  fixed,
  integer,
  measure,
  metricWords,
  reached,
  signed,
} from "../../app/web/formats.js";

test("numbers have the fewest digits that still say something", () => {
  assert.deepEqual([1234.5, 56.78, 9.876, 0.1234, 0.00012, 0].map(measure), [
    "1,235",
    "56.8",
    "9.88",
    "0.123",
    "1.2e-4",
    "0",
  ]);
});

test("what is not known is a dash", () => {
  assert.deepEqual(
    [measure(null), measure(undefined), measure(Number.NaN), fixed(null)],
    ["–", "–", "–", "–"],
  );
});

test("how far a run is says what is known of it, and no question mark", () => {
  const phase = "imagining and comparing";
  assert.deepEqual(
    [
      reached({ done: 0, total: 0 }),
      reached({ done: 0, total: 0, phase }),
      reached({ done: 12, total: 1280 }),
      reached({ done: 12, total: 80, phase }, "episodes"),
    ],
    ["", phase, "12 of 1,280", `${phase}: 12 of 80 episodes`],
  );
});

test("a sign is always written", () => {
  assert.deepEqual([0.5, -0.5, 0].map(signed), ["+0.50", "−0.50", "±0.00"]);
});

test("seconds are words of their size", () => {
  assert.deepEqual([null, 0.2, 40, 360, 9000].map(duration), ["", "1 s", "40 s", "6 min", "2.5 h"]);
});

test("bytes are as the studio's sentences have them", () => {
  assert.deepEqual([12, 4_200, 4_900_000_000].map(bytes), ["12 bytes", "4.2 kB", "4.9 GB"]);
});

test("a metric's name is words, none of them twice", () => {
  assert.equal(metricWords("autoencoder/autoencoder/gradient_norm"), "autoencoder gradient norm");
  assert.equal(metricWords("time/policy"), "time policy");
});

test("thousands stand apart", () => {
  assert.equal(integer(300_000), "300,000");
});

test("a time that is none is shown as it is", () => {
  assert.equal(clock("yesterday"), "yesterday");
  assert.equal(ago("yesterday"), "");
});

test("how long ago, of seconds and of dates", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000_000_000 });
  assert.deepEqual(
    [ago(999_999), ago(999_880), ago("1970-01-12T11:46:40Z")],
    ["now", "2 min ago", "2.0 h ago"],
  );
});

test("an episode is called by its run's name and its own", () => {
  assert.equal(
    episodeWords("optimise-261130-1f.iteration-0001-7-2", "WMPO, 30 Nov"),
    "WMPO, 30 Nov · iteration-0001-7-2",
  );
  assert.equal(episodeWords("journey-06", null), "journey-06");
});
