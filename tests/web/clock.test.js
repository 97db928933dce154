import assert from "node:assert/strict";
import test from "node:test";
import { Clock } from "../../app/player/clock.js";

/** A clock whose screen refreshes when the test says so. */
const wound = (length, clip) => {
  let time = 0;
  let waiting = null;
  const clock = new Clock({
    now: () => time,
    soon: (tick) => {
      waiting = tick;
    },
  });
  clock.load(length, clip);
  const pass = (milliseconds, step = 20) => {
    for (const end = time + milliseconds; time < end && waiting; ) {
      time += step;
      const tick = waiting;
      waiting = null;
      tick(time);
    }
  };
  return { clock, pass, asked: () => waiting !== null };
};

test("ten frames a second are played, and it rests at the end", () => {
  const { clock, pass, asked } = wound(25, { play: true });
  pass(1000);
  assert.equal(clock.cursor, 10);
  pass(5000);
  assert.equal(clock.cursor, 24);
  assert.equal(clock.playing, false);
  assert.equal(asked(), false);
});

test("clip after clip, the screen is asked for one refresh at a time", () => {
  /** @type {((now: number) => void)[]} */
  const asked = [];
  const clock = new Clock({ now: () => 0, soon: (tick) => void asked.push(tick) });
  for (let clip = 0; clip < 5; clip += 1) clock.load(40, { play: true });
  for (const tick of asked.splice(0)) tick(20);
  assert.equal(asked.length, 1);
});

test("at double speed twice as many", () => {
  const { clock, pass } = wound(100);
  clock.setSpeed(2);
  clock.play();
  pass(1000);
  assert.equal(clock.cursor, 20);
});

test("a screen that refreshes rarely drops frames and not time", () => {
  const { clock, pass } = wound(100, { play: true });
  pass(2000, 250);
  assert.ok(Math.abs(clock.cursor - 20) <= 2, String(clock.cursor));
});

test("played again from its end, it begins anew", () => {
  const { clock } = wound(5, { at: 4 });
  clock.play();
  assert.equal(clock.cursor, 0);
});

test("a loop goes round, and seeks into itself", () => {
  const { clock, pass } = wound(40, { loop: [10, 13], play: true });
  assert.equal(clock.cursor, 10);
  const seen = new Set();
  clock.watch(() => seen.add(clock.cursor));
  pass(3000);
  assert.deepEqual([...seen].sort(), [10, 11, 12, 13]);
});

test("the same key at an end of the loop lets it go", () => {
  const { clock } = wound(40, { at: 7 });
  clock.loopHere(0);
  assert.deepEqual(clock.loop, [7, 39]);
  clock.loopHere(0);
  assert.equal(clock.loop, null);
});

test("a loop that would end before it begins turns to the other end of the clip", () => {
  const { clock } = wound(40, { loop: [20, 30] });
  clock.seek(35);
  clock.loopHere(0);
  assert.deepEqual(clock.loop, [35, 39]);
});

test("chunk keys go to the borders of chunks", () => {
  const { clock } = wound(40, { chunk: 8, at: 11 });
  const { chunkBack, chunkForward } = clock.actions();
  chunkForward();
  assert.equal(clock.cursor, 16);
  chunkBack();
  assert.equal(clock.cursor, 8);
});

test("a live viewer who starved waits for three frames", () => {
  const { clock, pass } = wound(2);
  Object.assign(clock, { live: true, running: true });
  clock.play();
  pass(500);
  assert.equal(clock.starved, true);
  clock.grow(2);
  pass(400);
  assert.equal(clock.cursor, 1);
  clock.grow(2);
  pass(400);
  assert.ok(clock.cursor > 1);
});

test("a live viewer far behind jumps to the newest second", () => {
  const { clock, pass } = wound(100);
  clock.live = true;
  clock.play();
  pass(120);
  assert.ok(clock.cursor >= 88, String(clock.cursor));
});

test("a step past the last frame asks for another one", () => {
  const { clock } = wound(3, { at: 2 });
  let asked = 0;
  clock.onEdge = () => {
    asked += 1;
  };
  clock.step(1);
  assert.deepEqual([asked, clock.cursor], [1, 2]);
});

test("a rewound dream goes on from its cut", () => {
  const { clock } = wound(30, { at: 29 });
  clock.cut(9);
  assert.deepEqual([clock.length, clock.cursor, clock.last], [9, 8, 8]);
});

test("nobody looks: it stops asking for refreshes", () => {
  const { clock, pass, asked } = wound(30, { play: true });
  clock.seen = () => false;
  pass(100);
  assert.equal(asked(), false);
});
