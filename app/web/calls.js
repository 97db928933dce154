// Questions of a page to Python.
import { toast } from "./toast.js";

/** @typedef {import("./wire.d.ts").Wire} Wire */

// What a limit of a public studio said last, for Gradio's client keeps an answer of 429 to itself.
let limit = "";
const plain = globalThis.fetch.bind(globalThis);

/** @type {typeof fetch} */
globalThis.fetch = async (...request) => {
  const answer = await plain(...request);
  if (answer.status === 429) {
    const told = await answer
      .clone()
      .json()
      .catch(() => ({}));
    limit = told.detail ?? told.refused ?? "That was too often: ask again in a moment.";
  } else if (answer.ok) limit = "";
  return answer;
};

/**
 * Ask the server; a refusal is shown as its sentence and gives null.
 *
 * @template {keyof Wire} Name
 * @param {import("./types.d.ts").Server} server
 * @param {Name} name
 * @param {Wire[Name]["question"]} [question]
 * @param {boolean} [quiet]
 * @returns {Promise<Wire[Name]["answer"] | null>}
 */
export const ask = async (server, name, question = {}, quiet = false) => {
  let answer;
  try {
    answer = await server[name](question);
  } catch {
    answer = undefined;
  }
  if (answer === undefined || answer === null) {
    if (!quiet) toast(limit || "The studio does not answer. Nothing is lost; it is asked again.");
    return null;
  }
  if (answer.refused) {
    if (!quiet) toast(answer.refused);
    return null;
  }
  return answer;
};

/**
 * Ask until the server answers, as long as `element` is on the page; a refusal gives null.
 *
 * @template {keyof Wire} Name
 * @param {Element} element
 * @param {import("./types.d.ts").Server} server
 * @param {Name} name
 * @param {Wire[Name]["question"]} question
 * @returns {Promise<Wire[Name]["answer"] | null>}
 */
export const insist = async (element, server, name, question) => {
  for (let pause = 500; element.isConnected; pause = Math.min(4000, 2 * pause)) {
    try {
      const answer = await server[name](question);
      if (answer) return answer.refused ? null : answer;
    } catch {
      // The studio is away: asked again.
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return null;
};
