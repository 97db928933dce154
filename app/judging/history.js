// What was said of a clip, by whom and when.
import { ago } from "../web/formats.js";
import { fill, html } from "../web/html.js";

/** @typedef {import("./label.js").Said & {actor: string, at?: number, fate?: string}} Told */

/** @type {Record<string, [string, string]>} */
export const MARKS = { success: ["ok", "✓"], fail: ["bad", "✕"], unsure: ["warn", "?"] };

/** What a label says beside its outcome, in words.
 * @param {Told} label */
const details = ({
  dream_broke: broke,
  failure_mode: mode,
  end_step: end,
  span_first: first,
  span_last: last,
  note,
}) =>
  [
    broke ? "dream broke" : "",
    mode,
    Number.isInteger(end) ? `at frame ${end}` : "",
    Number.isInteger(first) ? `frames ${first}–${last}` : "",
    note,
  ]
    .filter(Boolean)
    .join(" · ");

/** One label: who, what, when, and what became of it.
 * @param {Told} label */
export const labelLine = (label) => {
  const [tone, mark] = MARKS[label.outcome ?? ""] ?? ["warn", "–"];
  const when = label.at === undefined ? "" : ago(label.at);
  const more = [when, details(label), label.fate].filter(Boolean).join(" · ");
  return html`<li class="${label.fate ? "superseded" : ""}"><b>${label.actor}</b>
    <span class="tag ${label.fate ? "" : tone}">${mark} ${label.outcome ?? ""}</span> <span
      class="mute">${more}</span></li>`;
};

/** All that was said of a clip, newest first.
 * @param {Element} place @param {Told[]} labels */
export const showSaid = (place, labels) => {
  const list = html`<span class="cap">Said before</span><ul class="said-before"
    aria-label="Said before">${labels.map(labelLine)}</ul>`;
  fill(place, labels.length ? list : html``);
};
