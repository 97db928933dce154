// A dream that is judged: of which clip something is said, and what it keeps.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Dream } from "../../app/imagine/dream.js";
import { labelOf } from "../../app/judging/label.js";
import { settled } from "./browser.js";

/** A paused dream of eight frames; `save(path)` answers for the studio, `said` is what goes to its door. */
const dreamt = (save) => {
  const said = [];
  const judging = {
    say: (clip, change) => {
      said.push(labelOf(clip, change, { mode: "imagine", actor: "me" }));
      clip.label = { ...clip.label, ...change, event_id: `event-${said.length}` };
    },
  };
  const dream = new Dream({ save_dream: save }, { clear: () => {}, clock: {} }, judging);
  const status = { state: "paused", node: 1, threshold: 0.5 };
  Object.assign(dream, { id: "d", after: 9, status, probabilities: [0.25, 0.75] });
  return { dream, said };
};

test("a label names the episode that the dream became, and corrects what was said of it before", async () => {
  const label = { event_id: "before", outcome: "fail", note: "slipped" };
  const { dream, said } = dreamt(async ({ node }) => ({ episode: `dream-${node}`, label }));
  await dream.judge({ outcome: "unsure" });
  await dream.judge({ outcome: "success" });
  assert.deepEqual(
    said.map(({ episode_id, supersedes, outcome, note }) => [episode_id, supersedes, outcome, note]),
    [
      ["dream-1", "before", "unsure", "slipped"],
      ["dream-1", "event-1", "success", "slipped"],
    ],
  );
  assert.deepEqual([said[0].model_probability, said[0].threshold], [0.75, 0.5]);
});

test("while the studio is away a label names the path of the dream, and the next one corrects it", async () => {
  const away = async () => {
    throw new TypeError("Failed to fetch");
  };
  const { dream, said } = dreamt(away);
  await dream.judge({ outcome: "fail" });
  await dream.judge({ dream_broke: true });
  assert.deepEqual(
    said.map(({ dream: path, episode_id, supersedes }) => [path, episode_id, supersedes]),
    [
      [{ dream: "d", node: 1 }, undefined, null],
      [{ dream: "d", node: 1 }, undefined, "event-1"],
    ],
  );
});

test("a studio that never answers holds no label up for long", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { dream, said } = dreamt(() => new Promise(() => {}));
  const judged = dream.judge({ outcome: "fail" });
  await settled();
  assert.deepEqual(said, []);
  t.mock.timers.tick(2_000);
  await judged;
  assert.equal(said.length, 1);
});

test("two keys at once are two labels in their order, and the dream is saved once", async () => {
  let saved = 0;
  const { dream, said } = dreamt(async () => {
    saved += 1;
    return { episode: "dream-1", label: null };
  });
  await Promise.all([dream.judge({ outcome: "fail" }), dream.judge({ outcome: "success" })]);
  assert.deepEqual(
    said.map(({ outcome }) => outcome),
    ["fail", "success"],
  );
  assert.equal(saved, 1);
});

test("a dream that went on is another clip, of which nothing was said", async () => {
  const { dream } = dreamt(async ({ node }) => ({ episode: `dream-${node}`, label: null }));
  await dream.judge({ outcome: "fail" });
  const first = dream.clip;
  Object.assign(dream, { after: 17, status: { ...dream.status, node: 2 } });
  assert.deepEqual([first.label.outcome, dream.clip.id, dream.clip.label], ["fail", null, null]);
});
