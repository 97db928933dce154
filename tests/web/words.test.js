// The words of the field have a sentence each, and the first one in a text gives the tip.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tip, words } from "../../app/web/help/words.js";

test("a term of the screen has a tip", () => {
  for (const text of [
    "τ 0.89",
    "κ people",
    "Clip fraction",
    "drift of the dreams",
    "GRPO leverage",
    "arm",
    "Pool",
  ])
    assert.notEqual(tip(text), "", text);
});

test("the first word of a text is the one that is told", () => {
  assert.match(tip("entropy of the policy, by chunk"), /^entropy: /);
  assert.match(tip("by chunk, entropy"), /^chunk: /);
});

test("plain text and long text have none", () => {
  assert.equal(tip("Start training"), "");
  assert.equal(tip(`drift ${"and so on ".repeat(10)}`), "");
  assert.equal(tip("a warm charm"), "");
});

test("every word is explained in one sentence", () => {
  for (const [word, sentence] of words()) assert.match(sentence, /^[A-Z].+\.$|^GRPO .+\.$/, word);
});
