// The door: what stands at a clip, what is sent, and what becomes of it.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Judging } from "../../app/judging/judging.js";
import { keptWords } from "../../app/judging/kept.js";
import { Shelf } from "../../app/judging/shelf.js";
import { Store } from "../../app/web/memory.js";
import { settled } from "./browser.js";

/** A shelf that lasts as long as the test. */
const shelf = () => new Shelf(new Store(() => ({})));

/** A door to a studio that answers each stroke with `answer(stroke)`; all that was sent and told. */
const door = (answer = () => ({}), page = {}) => {
  const [sent, sentences] = [[], []];
  const server = {
    judge: async ({ strokes }) => {
      sent.push(...strokes);
      return {
        acks: strokes.map((stroke) => ({
          saved: stroke.event_id,
          seq: sent.length,
          at: 0,
          ...answer(stroke),
        })),
      };
    },
  };
  const judging = new Judging(server, {
    mode: "episodes",
    shelf: shelf(),
    tell: (text) => sentences.push(text),
    show: () => {},
    ...page,
  });
  return { judging, sent, sentences };
};
test("a browser that keeps nothing is said once, and the label goes out", async () => {
  const forbidden = new Store(() => {
    throw new Error("SecurityError");
  });
  const { judging, sent, sentences } = door(undefined, { shelf: new Shelf(forbidden) });
  for (const outcome of ["success", "fail"]) judging.say({ id: outcome }, { outcome });
  await settled();
  assert.deepEqual(
    sent.map(({ outcome }) => outcome),
    ["success", "fail"],
  );
  assert.equal(sentences.length, 1);
  assert.match(sentences[0], /keeps nothing here/);
});

const refused = (reason) => (stroke) => ({ event_id: stroke.event_id, refused: reason });

test("a label stands at its clip at once, and the next one corrects it", async () => {
  const { judging, sent } = door();
  const clip = { id: "clip", label: { event_id: "before", outcome: "fail", note: "slipped" } };
  const first = judging.say(clip, { outcome: "unsure" });
  assert.deepEqual(
    [clip.label.event_id, clip.label.outcome, clip.label.note],
    [first.event_id, "unsure", "slipped"],
  );
  judging.say(clip, { dream_broke: true });
  await settled();
  assert.deepEqual(
    sent.map(({ supersedes, outcome, dream_broke, note }) => [supersedes, outcome, dream_broke, note]),
    [
      ["before", "unsure", null, "slipped"],
      [first.event_id, "unsure", true, "slipped"],
    ],
  );
});

test("a refused label leaves what stood before it, and says what to do", async () => {
  const { judging, sentences } = door(refused("there is no episode clip"));
  const clip = { id: "clip", label: null };
  judging.say(clip, { outcome: "fail" });
  await settled();
  assert.equal(clip.label, null);
  assert.deepEqual(sentences, [
    "Your label of clip was not stored: there is no episode clip. Open the clip and judge it there.",
  ]);
});

test("after a refused label its correction stands on what was stored", async () => {
  const { judging, sent } = door((stroke) =>
    stroke.supersedes === "before" && stroke.outcome !== "fail" ? {} : refused("no")(stroke),
  );
  const clip = { id: "clip", label: { event_id: "before", outcome: "unsure" } };
  judging.say(clip, { outcome: "fail" });
  judging.say(clip, { outcome: "success" });
  await settled();
  assert.equal(sent.at(-1).supersedes, "before");
  assert.equal(clip.label.outcome, "success");
  assert.equal(judging.open.size, 0);
});

test("a dream that nobody saved becomes an episode with its first label", async () => {
  const heard = [];
  const { judging, sent } = door((stroke) => (stroke.dream ? { episode: "dream-1" } : {}), {
    onAck: (ack, clip) => heard.push([ack.episode, clip.id]),
  });
  const clip = { id: null, dream: { dream: "d", node: 2 }, label: null };
  const first = judging.say(clip, { outcome: "fail" });
  await settled();
  judging.say(clip, { outcome: "success" });
  await settled();
  assert.deepEqual(sent[0].dream, { dream: "d", node: 2 });
  assert.deepEqual([sent[1].episode_id, sent[1].supersedes], ["dream-1", first.event_id]);
  assert.deepEqual(heard[0], ["dream-1", "dream-1"]);
});

test("what was said is taken back under the same name, comparisons too", async () => {
  const { judging, sent } = door();
  const label = judging.say({ id: "clip" }, { outcome: "fail" }, { actor: "ann", mode: "blind" });
  judging.undo(label);
  const pair = judging.send({ pair: true, left: "one", right: "two", choice: "left", actor: "ben" });
  judging.undo(pair);
  await settled();
  assert.deepEqual(
    sent.map(({ undo, actor, pair: two, mode }) => [undo, actor, two, mode]),
    [
      [undefined, "ann", undefined, "blind"],
      [label.event_id, "ann", undefined, undefined],
      [undefined, "ben", true, undefined],
      [pair.event_id, "ben", true, undefined],
    ],
  );
});

test("the line tells how many are kept, and is empty when none is", () => {
  assert.equal(keptWords(0, false), "");
  assert.match(keptWords(1, true), /^Offline: 1 judgement kept here$/);
  assert.match(keptWords(3, true), /^Offline: 3 judgements kept here$/);
  assert.doesNotMatch(keptWords(1, false), /Offline/);
});
