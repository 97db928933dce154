import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Supply } from "../../app/label/supply.js";
import { settled } from "./browser.js";

const supply = (answers, { unsent = [], server = {} } = {}) => {
  const wanted = [];
  const queues = {
    next: async (count) => {
      wanted.push(count);
      return answers.shift() ?? null;
    },
  };
  return { supply: new Supply({ isConnected: true }, server, queues, () => unsent), wanted };
};
const items = (...ids) => ({ items: ids.map((id) => ({ id })) });
const ids = (one) => one.items.map(({ id }) => id);

test("clips come once, however often the server names them", async () => {
  const { supply: one } = supply([items("a", "b"), items("b", "c")]);
  assert.equal(await one.refill(), true);
  await one.refill();
  assert.deepEqual(ids(one), ["a", "b", "c"]);
});

test("what was judged does not come again, and may be brought back", async () => {
  const { supply: one } = supply([items("a", "b"), items("a", "b", "c")]);
  await one.refill();
  one.done(one.item);
  await one.refill();
  assert.deepEqual(ids(one), ["b", "c"]);
  one.bring({ id: "a" });
  assert.deepEqual(ids(one), ["a", "b", "c"]);
});

test("a clip whose judgement is still on its way does not come", async () => {
  const unsent = [
    { event_id: "1", episode_id: "a" },
    { event_id: "2", episode_id: "b" },
    { event_id: "3", undo: "2" },
    { event_id: "4", pair: true, left: "x", right: "y" },
  ];
  const { supply: one, wanted } = supply([items("a", "b", "x y")], { unsent });
  await one.refill();
  assert.deepEqual([ids(one), wanted], [["b"], [24]]);
});

test("no answer is no refill, nor is one that comes after a change of queue", async () => {
  const { supply: one } = supply([null, items("a")]);
  assert.equal(await one.refill(), false);
  const late = one.refill();
  one.clear();
  assert.equal(await late, false);
  assert.deepEqual(ids(one), []);
});

test("a lease that is over goes, one that was renewed stays", async () => {
  const { supply: one } = supply([
    { items: [{ id: "a", seconds: 0.000001 }, { id: "b", seconds: 60 }, { id: "c" }] },
    { items: [{ id: "b", seconds: 120 }] },
  ]);
  await one.refill();
  await settled();
  const before = one.items[1].until;
  await one.refill();
  assert.deepEqual(ids(one), ["b", "c"]);
  assert.ok(one.item.until > before + 50_000);
});

test("a clip is asked for once, and again only while nobody answers", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answers = [null, { frames: ["data:,1"] }];
  let asked = 0;
  const server = {
    clip: async () => {
      asked += 1;
      return answers.shift();
    },
  };
  const { supply: one } = supply([], { server });
  const clip = one.fetch({ id: "a" });
  assert.equal(one.fetch({ id: "a" }), clip);
  await settled();
  t.mock.timers.tick(500);
  assert.equal((await clip).images[0].src, "data:,1");
  assert.equal(asked, 2);
});

test("a skipped clip comes last", async () => {
  const { supply: one } = supply([items("a", "b", "c")]);
  await one.refill();
  one.skip();
  assert.deepEqual(ids(one), ["b", "c", "a"]);
});
