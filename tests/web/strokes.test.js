import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Strokes } from "../../app/label/strokes.js";
import { settled } from "./browser.js";

/** The Label page as strokes see it; what was sent lies in `sent`, and no answer comes. */
const page = (t, answers = {}) => {
  localStorage.clear();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [];
  const brought = [];
  const element = Object.assign(new EventTarget(), { querySelector: () => ({}) });
  const server = {
    rail: async () => answers.rail,
    statistics: async () => answers.statistics,
    judge: ({ strokes }) => {
      sent.push(...strokes);
      return answers.judge ? answers.judge(strokes) : new Promise(() => {});
    },
  };
  const strokes = new Strokes(element, server, {
    question: () => ({ actor: "me" }),
    recall: (entry) => ({ stroke: entry, item: { id: entry.episode_id } }),
    again: (entry) => brought.push(entry.event_id),
    bring: (item) => brought.push(item.id),
    open: () => {},
    rail: () => {},
    count: () => {},
    supply: { done: () => {} },
  });
  const say = (id, outcome, more = {}) => strokes.say({ id }, { episode_id: id, outcome, ...more }, {});
  return { strokes, sent, brought, say };
};
const words = ({ event_id, ...stroke }) => stroke;

test("a stroke is sent with an id of its own", async (t) => {
  const { sent, say } = page(t);
  say("a", "success");
  await settled();
  assert.deepEqual(sent.map(words), [{ episode_id: "a", outcome: "success" }]);
  assert.match(sent[0].event_id, /^[0-9a-f-]{36}$/);
});

test("what was stored stays in the rail until the studio tells of it, what was refused goes", async (t) => {
  const judge = async (strokes) => ({
    acks: strokes.map(({ event_id, outcome }, index) =>
      outcome === "fail" ? { event_id, refused: "no such clip" } : { saved: event_id, seq: 8 + index, at: 0 },
    ),
  });
  const rail = { history: [{ event_id: "old", seq: 7 }], counts: {} };
  const { strokes, say } = page(t, { judge, rail });
  strokes.judging.tell = () => {};
  say("a", "success");
  say("b", "fail");
  await settled();
  assert.deepEqual(
    strokes.entries.map((entry) => [entry.episode_id ?? entry.event_id, Boolean(entry.pending)]),
    [
      ["a", false],
      ["old", false],
    ],
  );
  assert.deepEqual(
    strokes.given.map(({ item }) => item.id),
    ["a"],
  );
});

test("undo takes the newest back and brings its clip; redo says it again under another id", (t) => {
  const { strokes, brought, say } = page(t);
  say("a", "success");
  say("b", "fail");
  strokes.undo();
  const [, second, undo] = strokes.judging.waiting;
  assert.equal(undo.undo, second.event_id);
  assert.deepEqual([brought, strokes.entries.map((entry) => entry.episode_id)], [["b"], ["a"]]);
  strokes.redo();
  const last = strokes.judging.waiting.at(-1);
  assert.deepEqual([last.episode_id, last.outcome], ["b", "fail"]);
  assert.notEqual(last.event_id, second.event_id);
});

test("something new forgets what was taken back", (t) => {
  const { strokes, say } = page(t);
  say("a", "success");
  strokes.undo();
  say("b", "fail");
  assert.deepEqual(strokes.undone, []);
});

test("a correction takes the place of what it supersedes", (t) => {
  const { strokes, say } = page(t);
  say("a", "success");
  const supersedes = strokes.entries[0].event_id;
  say("a", "fail", { supersedes });
  assert.deepEqual(
    strokes.entries.map((entry) => entry.outcome),
    ["fail"],
  );
});

test("the server's history does not bring back what is under way", (t) => {
  const { strokes, say } = page(t);
  strokes.take({ history: [{ event_id: "old", outcome: "fail" }], counts: {} });
  say("a", "success", { supersedes: "old" });
  strokes.take({ history: [{ event_id: "old", outcome: "fail" }, { event_id: "older" }], counts: { n: 2 } });
  assert.deepEqual(
    strokes.entries.map((entry) => entry.outcome ?? entry.event_id),
    ["success", "older"],
  );
  assert.deepEqual(strokes.counts, { n: 2 });
});

test("an earlier session's strokes can be undone", (t) => {
  const { strokes, brought } = page(t);
  strokes.take({ history: [{ event_id: "old", episode_id: "a" }], counts: {} });
  strokes.undo();
  assert.equal(strokes.judging.waiting[0].undo, "old");
  assert.deepEqual(brought, ["a"]);
});

test("an answer for another queue is not taken", async (t) => {
  const { strokes } = page(t, { rail: { history: [{ event_id: "x" }], counts: {} } });
  const remembered = strokes.remember();
  strokes.clear();
  await remembered;
  await settled();
  assert.deepEqual(strokes.entries, []);
});
