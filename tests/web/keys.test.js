import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { keys } from "../../app/web/keys.js";
import { press } from "./browser.js";

const bound = (groups, names, over = false) => {
  const done = [];
  const handlers = Object.fromEntries(names.map((name) => [name, () => done.push(name)]));
  const release = over ? keys.over(groups, handlers) : keys.use(groups, handlers);
  return { done, release };
};

test("a key does what the map says, and the browser does not see it", () => {
  const { done } = bound(["label"], ["success"]);
  assert.equal(press("s"), true);
  assert.equal(press("q"), false);
  assert.deepEqual(done, ["success"]);
});

test("keys rest while somebody types, and with Ctrl, Alt and Meta", () => {
  const { done } = bound(["label"], ["success"]);
  const field = Object.assign(new HTMLInputElement(), { type: "text" });
  for (const more of [{ target: field }, { ctrlKey: true }, { altKey: true }, { metaKey: true }])
    assert.equal(press("s", more), false);
  assert.deepEqual(done, []);
});

test("a slider is no field to type in", () => {
  const { done } = bound(["label"], ["success"]);
  press("s", { target: Object.assign(new HTMLInputElement(), { type: "range" }) });
  assert.deepEqual(done, ["success"]);
});

test("what lies over the page hears a key first, until it is released", () => {
  const page = bound(["label"], ["success"]);
  const drawer = bound(["drawer"], ["success"], true);
  press("s");
  drawer.release();
  press("s");
  assert.deepEqual([drawer.done, page.done], [["success"], ["success"]]);
});

test("a key that is held acts once, but steps go on", () => {
  const { done } = bound(["player", "label"], ["back", "success"]);
  for (const repeat of [false, true, true]) {
    press("s", { repeat });
    press("ArrowLeft", { repeat });
  }
  assert.deepEqual(
    done.filter((name) => name === "success"),
    ["success"],
  );
  assert.equal(done.length, 4);
});

test("an action gets another key in this browser, and its own back", () => {
  localStorage.clear();
  const { done } = bound(["label"], ["success"]);
  assert.equal(keys.rebind("label", "label.success.s", { key: "q" }), null);
  assert.equal(keys.keyFor("label", "success"), "q");
  press("q");
  press("s");
  assert.deepEqual(done, ["success"]);
  keys.restore();
  assert.equal(keys.keyFor("label", "success"), "s");
});

test("a key that means something else already is refused with what it means", () => {
  assert.match(keys.rebind("label", "label.success.s", { key: "f" }), /^f already means “.+” here\.$/);
  assert.match(keys.rebind("label", "label.success.s", { key: "q", ctrlKey: true }), /belong to the browser/);
});

test("the help lists each key once, uppermost first", () => {
  const { release } = bound(["drawer"], ["success", "close"], true);
  bound(["label"], ["success"]);
  const active = keys.active();
  release();
  assert.equal(active[0].group, "drawer");
  const all = active.flatMap(({ entries }) => entries.map(({ key }) => key));
  assert.equal(new Set(all).size, all.length);
});
