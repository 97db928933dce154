// The gates of a world model and its judge: what must hold before a policy trains in its dreams.
import { integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";

/** @typedef {{title: string, on: string, unit: string, value: number | null, interval: number[] | null,
 *   count: number | null, of: number | null, bound: number, above: boolean, passed: boolean | null}} Gate */

const NONE = "–";
const SETS = {
  "held out": "the policy it knows",
  moved: "the policy trained in it",
  siblings: "siblings of one start",
  "own dreams": "the policy's own dreams",
};

/** A value of a gate in its unit. */
const said = (/** @type {number} */ value, /** @type {string} */ unit) => {
  if (unit === "share") return `${(100 * value).toFixed(0)} %`;
  return unit === "cm" ? `${value.toFixed(1)} cm` : value.toFixed(2);
};

/** Value, count and interval of a gate, in words.
 * @param {Gate} gate */
export const gateWords = ({ value, interval, count, of, unit }) => {
  if (value === null) return NONE;
  const counted = unit === "share" && count !== null && of !== null;
  const from = counted ? `${integer(count)} of ${integer(of)}, ` : "";
  const ends = interval && unit !== "cm" ? ` [${interval.map((end) => said(end, unit)).join(", ")}]` : "";
  return `${from}${said(value, unit)}${ends}`;
};

/** What is asked of a gate. */
export const boundWords = (/** @type {Gate} */ { bound, above, unit }) =>
  `${above ? "at least" : "at most"} ${said(bound, unit)}`;

const mark = (/** @type {Gate} */ { passed }) => {
  if (passed === null) return html`<td class="mute">not measured</td>`;
  return html`<td class="${passed ? "ok" : "bad"}">${passed ? "✓" : "✕"}</td>`;
};

/** Draw the gates of a run; nothing where nobody measured them.
 * @param {any} place
 * @param {Gate[] | null | undefined} gates */
export const showGates = (place, gates) => {
  place.hidden = !gates?.length;
  if (!gates?.length) return;
  const passed = gates.filter((gate) => gate.passed).length;
  const sets = [...new Set(gates.map(({ on }) => on))];
  const row = (/** @type {Gate} */ gate) => html`<tr><th scope="row">${gate.title}</th>
    <td class="mono">${gateWords(gate)}</td><td class="mute">${boundWords(gate)}</td>${mark(gate)}</tr>`;
  fill(
    place,
    html`<h3>Gates before a policy trains in it: ${integer(passed)} of ${integer(gates.length)} passed</h3>
      <table class="gates">${sets.map(
        (on) => html`<tbody><tr><th colspan="4" scope="rowgroup" class="cap">${SETS[on] ?? on}</th></tr>
          ${gates.filter((gate) => gate.on === on).map(row)}</tbody>`,
      )}</table>
      <p class="mute small">On dreams under real action sequences that nothing has learnt from. Brackets are 95 %
        intervals.</p>`,
  );
};
