// The outbox: nothing is lost, nothing is stored twice, one that is refused blocks no other.
import assert from "node:assert/strict";
import test from "node:test";
import { Outbox } from "../../app/judging/outbox.js";
import { Shelf } from "../../app/judging/shelf.js";
import { Store } from "../../app/web/memory.js";

/** A browser's storage; `room` entries fit in. */
const storage = (room = Infinity) =>
  new Proxy(
    {},
    {
      set: (texts, key, text) => {
        if (!(key in texts) && Object.keys(texts).length >= room) throw new Error("QuotaExceededError");
        texts[key] = text;
        return true;
      },
    },
  );

/** A studio that keeps what it is sent, as the real one does; `refuse(stroke)` may give a reason. */
const studio = (refuse = () => null) => {
  const stored = [];
  const heard = [];
  const take = (stroke) => {
    if (!stored.some(({ event_id: id }) => id === stroke.event_id)) {
      const corrects = stroke.supersedes ?? stroke.undo;
      const unknown = corrects && !stored.some(({ event_id: id }) => id === corrects);
      const reason = unknown ? "it corrects no label" : refuse(stroke);
      if (reason) return { event_id: stroke.event_id, refused: reason };
      stored.push(stroke);
    }
    return { saved: stroke.event_id, seq: stored.length, at: 0 };
  };
  const send = async (strokes) => {
    heard.push(strokes.map(({ event_id: id }) => id));
    if (!answers.open) throw new TypeError("Failed to fetch");
    if (strokes.some(answers.breaks)) throw new Error("500");
    return strokes.map(take);
  };
  const answers = { open: true, breaks: () => false, stored, heard, send };
  return answers;
};

const stroke = (name, more = {}) => ({ event_id: name, outcome: "success", ...more });
const ids = (strokes) => strokes.map(({ event_id: id }) => id);
const shelfIn = (there) => new Shelf(new Store(() => there));
const box = (server, shelf = shelfIn(storage()), more = {}) =>
  new Outbox({ shelf, send: server.send, ...more });

test("strokes arrive in order, each once", async () => {
  const server = studio();
  const outbox = box(server);
  await Promise.all(["a", "b", "c"].map((name) => outbox.add("clip", stroke(name))));
  assert.deepEqual(ids(server.stored), ["a", "b", "c"]);
  assert.deepEqual(outbox.waiting, []);
});

test("what was said while the studio is away arrives once when it is back", async () => {
  const server = studio();
  const outbox = box(server);
  server.open = false;
  await outbox.add("clip", stroke("a"));
  await outbox.add("clip", stroke("b", { supersedes: "a" }));
  assert.equal(outbox.kept, 2);
  server.open = true;
  await outbox.flush();
  assert.deepEqual(ids(server.stored), ["a", "b"]);
  assert.equal(outbox.kept, 0);
  clearTimeout(outbox.timer);
});

test("another page of the browser, or the same one after a reload, sends what one left", async () => {
  const [server, there] = [studio(), storage()];
  const first = box(server, shelfIn(there));
  server.open = false;
  await first.add("clip", stroke("a"));
  clearTimeout(first.timer);
  server.open = true;
  await box(server, shelfIn(there)).flush();
  assert.deepEqual(ids(server.stored), ["a"]);
  assert.deepEqual(there, {});
});

test("two tabs that send at once store nothing twice and lose nothing", async () => {
  const [server, there] = [studio(), storage()];
  const [one, other] = [box(server, shelfIn(there)), box(server, shelfIn(there))];
  await Promise.all([one.add("clip", stroke("a")), other.add("clip", stroke("b"))]);
  assert.deepEqual(ids(server.stored).sort(), ["a", "b"]);
  assert.deepEqual(there, {});
});

test("an answer that never comes is waited for no longer than the patience", async () => {
  const server = studio();
  const silent = { ...server, send: () => new Promise(() => {}) };
  const outbox = box(silent, shelfIn(storage()), { patience: 5 });
  await outbox.add("clip", stroke("a"));
  assert.equal(outbox.kept, 1);
  clearTimeout(outbox.timer);
});

test("an answer that got lost does no harm: the same stroke is stored once", async () => {
  const server = studio();
  let lost = true;
  const send = async (strokes) => {
    const acks = await server.send(strokes);
    if (!lost) return acks;
    lost = false;
    throw new TypeError("connection reset");
  };
  const outbox = box({ send });
  await outbox.add("clip", stroke("a"));
  await outbox.flush();
  assert.deepEqual(ids(server.stored), ["a"]);
  assert.deepEqual(outbox.waiting, []);
  clearTimeout(outbox.timer);
});

test("a refused stroke is told of and blocks no other", async () => {
  const told = [];
  const server = studio(({ event_id: id }) => (id === "a" ? "there is no episode clip" : null));
  const outbox = box(server, undefined, { onAck: (ack) => told.push(ack) });
  server.open = false;
  await outbox.add("clip", stroke("a"));
  await outbox.add("other", stroke("b"));
  server.open = true;
  await outbox.flush();
  assert.deepEqual(ids(server.stored), ["b"]);
  assert.deepEqual(told[0], { event_id: "a", refused: "there is no episode clip" });
  clearTimeout(outbox.timer);
});

test("what corrects a refused stroke corrects what that one did", async () => {
  const server = studio(({ outcome }) => (outcome === "perhaps" ? "outcome must be one of" : null));
  const outbox = box(server);
  await outbox.add("clip", stroke("a"));
  server.open = false;
  await outbox.add("clip", stroke("b", { outcome: "perhaps", supersedes: "a" }));
  await outbox.add("clip", stroke("c", { outcome: "perhaps", supersedes: "b" }));
  await outbox.add("clip", stroke("d", { supersedes: "c" }));
  server.open = true;
  await outbox.flush();
  assert.deepEqual(
    server.stored.map(({ event_id: id, supersedes }) => [id, supersedes]),
    [
      ["a", undefined],
      ["d", "a"],
    ],
  );
  assert.deepEqual(outbox.waiting, []);
  clearTimeout(outbox.timer);
});

test("of a refused stroke there is nothing to take back", async () => {
  const told = [];
  const server = studio(({ outcome }) => (outcome === "perhaps" ? "outcome must be one of" : null));
  const outbox = box(server, undefined, { onAck: (ack) => told.push(ack.event_id) });
  server.open = false;
  await outbox.add("clip", stroke("a", { outcome: "perhaps" }));
  await outbox.add("clip", { event_id: "b", undo: "a" });
  server.open = true;
  await outbox.flush();
  assert.deepEqual([told, outbox.waiting, server.stored], [["a"], [], []]);
  clearTimeout(outbox.timer);
});

test("a clip on which the studio fails holds up no other clip", async () => {
  const server = studio();
  server.breaks = ({ event_id: id }) => id === "poison";
  const outbox = box(server);
  await outbox.add("bad clip", stroke("poison"));
  await outbox.add("clip", stroke("a"));
  for (let times = 0; times < 3; times += 1) await outbox.flush();
  assert.deepEqual(ids(server.stored), ["a"]);
  await outbox.add("clip", stroke("b"));
  assert.deepEqual(ids(server.stored), ["a", "b"]);
  assert.deepEqual([ids(outbox.waiting), outbox.kept], [["poison"], 1]);
  server.breaks = () => false;
  await outbox.flush();
  assert.deepEqual([outbox.waiting, outbox.kept], [[], 0]);
  clearTimeout(outbox.timer);
});

test("hundreds of strokes go in parts, in order", async () => {
  const server = studio();
  const outbox = box(server);
  server.open = false;
  const names = Array.from({ length: 120 }, (_, index) => `stroke-${index}`);
  for (const name of names) outbox.shelf.put({ clip: name, stroke: stroke(name) });
  server.open = true;
  await outbox.flush();
  assert.deepEqual(ids(server.stored), names);
  assert.deepEqual(
    server.heard.map((batch) => batch.length),
    [50, 50, 20],
  );
});

test("without room or permission in the browser strokes still go out", async () => {
  const forbidden = () => {
    throw new Error("SecurityError");
  };
  for (const shelf of [shelfIn(storage(0)), new Shelf(new Store(forbidden))]) {
    const server = studio();
    let told = 0;
    const outbox = box(server, shelf, { onPassing: () => told++ });
    server.open = false;
    await outbox.add("clip", stroke("a"));
    assert.deepEqual([ids(outbox.waiting), told], [["a"], 1]);
    server.open = true;
    await outbox.flush();
    assert.deepEqual([ids(server.stored), outbox.waiting], [["a"], []]);
    clearTimeout(outbox.timer);
  }
});

test("what somebody else wrote into the storage is left alone", () => {
  const there = storage();
  there["wmpo.unsent.odd"] = "{";
  there["wmpo.theme"] = '"dark"';
  assert.deepEqual(shelfIn(there).all, []);
  assert.deepEqual(Object.keys(there), ["wmpo.unsent.odd", "wmpo.theme"]);
});

test("a page that fails at what it hears holds up nothing", async () => {
  const server = studio();
  const outbox = box(server, undefined, {
    onAck: ({ saved }) => {
      if (saved === "a") throw new Error("a defect of the page");
    },
  });
  await assert.rejects(outbox.add("clip", stroke("a")), /a defect of the page/);
  await outbox.add("clip", stroke("b"));
  assert.deepEqual([ids(server.stored), outbox.waiting], [["a", "b"], []]);
  clearTimeout(outbox.timer);
});
