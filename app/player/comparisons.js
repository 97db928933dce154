// What stands around the two clips of A/B: the modes of the page, the last comparisons, agreement.
import { showFacts } from "../judging/rail.js";
import { address } from "../web/address.js";
import { ago, fixed, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const SAID = {
  left: { tone: "ok", mark: "◀", text: "over" },
  right: { tone: "ok", mark: "▶", text: "over" },
  equal: { tone: "", mark: "=", text: "like" },
  broken: { tone: "warn", mark: "✕✕", text: "and" },
};

/** The way to A/B, of a run if there is one. */
export const compareLink = (run) => `label?${new URLSearchParams({ mode: "ab", ...(run ? { run } : {}) })}`;

/** The modes of the Label page, as links that keep run and queue; what is unsent waits in the browser. */
export const showModes = (place, chosen, run) => {
  const queue = address.get("queue");
  const link = (mode, text) => {
    const kept = Object.entries({ mode, run, queue }).filter(([, value]) => value);
    return html`<a class="button" href="label?${new URLSearchParams(kept)}"
      aria-current="${mode === chosen ? "page" : "false"}">${text}</a>`;
  };
  fill(place, html`${link("", "One clip")} ${link("ab", "A/B")}`);
};

/** The last comparisons, each a way back to its pair. */
export const showComparisons = (place, entries) => {
  const row = (entry) => {
    const { tone, mark, text } = SAID[entry.choice];
    const [one, other] = entry.choice === "right" ? [entry.right, entry.left] : [entry.left, entry.right];
    const model = { true: "model agrees", false: "model disagrees" }[entry.agrees] ?? "";
    return html`<li><button class="quiet entry" data-event="${entry.event_id}"
      aria-label="Compare ${one} and ${other} again">
      <span class="grow"><span class="mono name">${one}</span>
      <span class="name"><span class="mute">${text}</span> <span class="mono">${other}</span></span><span
        class="mute">${[entry.pending ? "saving…" : ago(entry.at), model]
          .filter(Boolean)
          .join(" · ")}</span></span><span class="tag ${tone}">${mark}</span></button></li>`;
  };
  fill(place, entries.length ? html`${entries.map(row)}` : html`<li class="mute">Nothing compared yet.</li>`);
};

/** How often preferences and the model's probabilities put the same clip first. */
export const showOrderAgreement = (place, { own, everybody }) => {
  const share = (name, { value, low, high, total }) => [
    `${name} · n ${integer(total)}`,
    value === null ? "–" : `${fixed(value)} [${fixed(low)}, ${fixed(high)}]`,
  ];
  showFacts(place, [
    share("yours", own),
    share("everybody's", everybody),
    ["pairs you compared", integer(own.compared)],
  ]);
};
