// Looking for a false success: which starts are tried, what is said on the way, and where it stops.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";
import { LieFinder } from "../../app/imagine/lie_finder.js";
import { settings } from "../../app/imagine/settings.js";

/** A finder without a screen; the studio answers with what each start is. */
const finder = (lies) => {
  const asked = [];
  const said = [];
  const found = [];
  settings.begun = Promise.resolve();
  settings.starts = [10, 11, 12, 13];
  settings.values = { start_id: 12, seed: 7 };
  const server = {
    probe_dream: async ({ start_id }) => {
      asked.push(start_id);
      const imagined = { success: start_id !== 13 };
      const real = { success: imagined.success && !lies.includes(start_id) };
      return { dream: `d${start_id}`, lies: lies.includes(start_id), imagined, real };
    },
  };
  let seconds = 0;
  const one = Object.create(LieFinder.prototype);
  Object.assign(one, {
    server,
    looking: false,
    now: () => 1000 * seconds++,
    onFound: (dream, { start_id }) => found.push([dream, start_id]),
    say: (done, total) => said.push([done, total]),
    end: (text) => {
      one.looking = false;
      said.push(text);
    },
  });
  return { one, asked, said, found };
};

test("starts are tried from the chosen one on and round, until one lies; that one opens", async () => {
  const { one, asked, said, found } = finder([10]);
  await one.look(4);
  assert.deepEqual(asked, [12, 13, 10]);
  assert.deepEqual(found, [["d10", 10]]);
  assert.deepEqual(said.slice(0, 3), [
    [0, 4],
    [1, 4],
    [2, 4],
  ]);
  assert.match(said.at(-1), /^Start 10: dreamt success, really failed. 3 tried, 2 agreed/);
});

test("the next search goes on after the lie that was found", async () => {
  const { one, asked } = finder([12, 13]);
  await one.look(2);
  await one.look(2);
  assert.deepEqual(asked, [12, 13]);
});

test("where all verdicts agree it says so, and where somebody cancels it stops", async () => {
  const { one, asked, said } = finder([]);
  await one.look(4);
  assert.equal(said.at(-1), "No false success in 4 starts; 4 verdicts agreed.");
  const { probe_dream: probe } = one.server;
  one.server.probe_dream = (question) => {
    if (asked.length === 5) one.looking = false; // pressed while the second one is imagined
    return probe(question);
  };
  await one.look(4);
  assert.equal(asked.length, 6);
});
