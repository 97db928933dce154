// Questions: what a public studio says to whoever asks too much is shown.
import "./browser.js";
import assert from "node:assert/strict";
import test from "node:test";

const answers = [];
globalThis.fetch = async () => answers.shift();
globalThis.setTimeout = () => 0; // nothing fades
const said = [];
Object.assign(document, {
  body: { append: () => {} },
  createElement: () => ({
    append: ({ textContent }) => said.push(textContent),
    setAttribute: () => {},
    remove: () => {},
    children: [],
  }),
});
const { ask } = await import("../../app/web/calls.js");

/** As Gradio's client asks: what is not answered with 200 comes back as nothing. */
const server = {
  find: async () => {
    const answer = await fetch("component_server");
    return answer.ok ? answer.json() : undefined;
  },
};
const json = (value, status) => new Response(JSON.stringify(value), { status });

test("a refusal by a limit is shown in its own words, and forgotten after the next answer", async () => {
  answers.push(
    json({ detail: "That is too many questions." }, 429),
    json({ episodes: [] }, 200),
    json({}, 500),
  );
  assert.equal(await ask(server, "find"), null);
  assert.deepEqual(said, ["That is too many questions."]);
  assert.deepEqual(await ask(server, "find"), { episodes: [] });
  await ask(server, "find");
  assert.match(said[1], /does not answer/);
});
