// What a browser remembers: one that forbids or is full is as good, as long as the page is open.
import assert from "node:assert/strict";
import test from "node:test";
import { Store } from "../../app/web/memory.js";

const forbidden = () => {
  throw new Error("SecurityError");
};
const given = (handler) => () => new Proxy({}, handler);
const full = given({
  set: () => {
    throw new Error("QuotaExceededError");
  },
});

test("what is set is remembered, wherever it lies", () => {
  for (const [open, lasts] of [
    [() => ({}), true],
    [forbidden, false],
    [given({ ownKeys: forbidden }), false],
    [full, false],
  ]) {
    const store = new Store(open);
    assert.equal(store.set("wmpo.actor", "ann"), lasts);
    assert.equal(store.get("wmpo.actor"), "ann");
    assert.deepEqual(store.entries, [["wmpo.actor", "ann"]]);
    store.delete("wmpo.actor");
    assert.equal(store.get("wmpo.actor"), null);
  }
});

test("what no longer fits hides the old text, and not for longer than it must", () => {
  let room = true;
  const there = {};
  const set = (texts, name, text) => room && Reflect.set(texts, name, text);
  const store = new Store(() => new Proxy(there, { set }));
  store.set("a", "old");
  room = false;
  assert.equal(store.set("a", "new"), false);
  assert.equal(store.get("a"), "new");
  room = true;
  assert.equal(store.set("a", "newer"), true);
  assert.deepEqual([store.get("a"), there.a], ["newer", "newer"]);
});
