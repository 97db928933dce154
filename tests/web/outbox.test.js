import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Outbox } from "../../app/judging/outbox.js";

const outbox = (t, name = "unsent") => {
  localStorage.clear();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  return again(name);
};
const again = (name) => {
  const sent = [];
  const acks = [];
  const box = new Outbox(
    name,
    (strokes) => sent.push(strokes.map((stroke) => stroke.event_id)),
    (ack) => acks.push(ack),
  );
  return { box, sent, acks };
};

test("a stroke is sent at once; the next ones wait for its answer and go together", (t) => {
  const { box, sent, acks } = outbox(t);
  for (const event_id of ["a", "b", "c"]) box.add({ event_id });
  assert.deepEqual(sent, [["a"]]);
  box.acknowledge([{ saved: "a", seq: 1 }]);
  assert.deepEqual(sent, [["a"], ["b", "c"]]);
  assert.deepEqual(acks, [{ saved: "a", seq: 1 }]);
});

test("without an answer it is sent again, ever more rarely, with what came since", (t) => {
  const { box, sent } = outbox(t);
  box.add({ event_id: "a" });
  box.add({ event_id: "b" });
  t.mock.timers.tick(4000);
  t.mock.timers.tick(7999);
  assert.deepEqual(sent, [["a"], ["a", "b"]]);
  t.mock.timers.tick(1);
  assert.equal(sent.length, 3);
});

test("a studio that stays away is asked every sixteen seconds", (t) => {
  const { box, sent } = outbox(t);
  box.add({ event_id: "a" });
  for (const patience of [4000, 8000, 16_000]) t.mock.timers.tick(patience);
  assert.equal(sent.length, 4);
  t.mock.timers.tick(16_000);
  assert.equal(sent.length, 5);
});

test("a reload loses nothing", (t) => {
  outbox(t).box.add({ event_id: "a" });
  const { box, sent } = again("unsent");
  box.flush();
  assert.deepEqual(sent, [["a"]]);
});

test("what was refused is told and not sent again", (t) => {
  const { box, sent, acks } = outbox(t);
  box.add({ event_id: "a" });
  box.acknowledge([{ event_id: "a", refused: "no such episode" }]);
  t.mock.timers.tick(60_000);
  assert.deepEqual([sent, acks[0].refused, box.waiting], [[["a"]], "no such episode", []]);
});

test("an answer to a part of what is under way does not send the rest twice at once", (t) => {
  const { box, sent } = outbox(t);
  box.add({ event_id: "a" });
  box.add({ event_id: "b" });
  t.mock.timers.tick(4000);
  box.acknowledge([{ saved: "a" }]);
  assert.deepEqual(sent, [["a"], ["a", "b"]]);
});

test("boxes of two pages are two", (t) => {
  const { box } = outbox(t, "unsent.train");
  box.add({ event_id: "a" });
  assert.deepEqual(again("unsent").box.waiting, []);
});
