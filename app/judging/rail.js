// What stands around the clip: verdict, next clips, the last judgements (each a way back), counts.
import { verdict } from "../player/verdicts.js";
import { ago, episodeWords, fixed, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { labelLine, MARKS } from "./history.js";

/** The last judgements, each a way back; `pictures` by episode.
 * @type {(place: Element, entries: any[], pictures: Map<string, string>) => void} */
export const showHistory = (place, entries, pictures) => {
  const rows = entries.map((entry) => {
    const [tone, mark] = MARKS[entry.outcome] ?? ["warn", "–"];
    const said = entry.dream_broke ? html`<span class="tag warn">dream broke</span>` : "";
    const model =
      entry.probability === null || entry.probability === undefined
        ? ""
        : ` · model ${entry.model_success ? "✓" : "✕"} ${fixed(entry.probability)}`;
    const span = Number.isInteger(entry.span_first) ? ` · frames ${entry.span_first}–${entry.span_last}` : "";
    const known = entry.gold
      ? ` · known answer, ${entry.gold === entry.outcome ? "agreed" : `was ${entry.gold}`}`
      : "";
    const when = entry.pending ? "saving…" : ago(entry.at);
    const image = pictures.get(entry.episode_id);
    return html`<li>
      <button class="quiet entry" data-event="${entry.event_id}" aria-label="Judge ${entry.episode_id} again">
      ${
        image
          ? html`<img class="pixel" alt="" src="${image}">`
          : html`<span class="thumb">
        </span>`
      }
      <span class="grow"><span class="name" title="${entry.episode_id}"
        >${episodeWords(entry.episode_id, entry.run_name)}</span>
        <span class="mute">${when}${model}${span}${known}</span>
        </span>${said}${entry.outcome ? html`<span class="tag ${tone}">${mark}</span>` : ""}</button>
        </li>`;
  });
  fill(place, rows.length ? html`${rows}` : html`<li class="mute">Nothing judged yet.</li>`);
};

/** How much was judged.
 * @type {(place: Element, counts: Record<string, any>) => void} */
export const showCounts = (place, counts) => {
  /** @type {Record<string, string>} */
  const words = { labelled: "clips judged", episodes: "clips in all", dream_broke: "dream broke" };
  const numbers = Object.entries(counts).filter(([, value]) => typeof value === "number");
  fill(
    place,
    html`${numbers.map(
      ([name, value]) => html`<dt>${words[name] ?? name.replaceAll("_", " ")}</dt>
      <dd class="mono">${integer(value)}</dd>`,
    )}`,
  );
};

/** Names and values.
 * @type {(place: Element, rows: any[][]) => void} */
export const showFacts = (place, rows) =>
  fill(place, html`${rows.map(([name, value]) => html`<dt>${name}</dt><dd class="mono">${value}</dd>`)}`);

/** What stands where a clip would, when every one is judged. */
export const nothingLeft = html`<p class="empty"><b>Every clip here is judged</b> <a href="imagine">Imagine an
  episode</a> or <a href="train">start a run</a>, and its clips come here. “Which clips” offers others, real
  ones too.</p>`;

/** Thumbnails of the next clips.
 * @type {(place: Element, items: any[], fetch: (item: any) => Promise<any>) => void} */
export const showUpcoming = (place, items, fetch) => {
  const thumbs = items.map((item) => html`<span class="thumb" data-clip="${item.id}"></span>`);
  fill(place, html`${thumbs}`);
  items.forEach(async (item) => {
    const clip = await fetch(item);
    const thumb = place.querySelector(`[data-clip="${CSS.escape(item.id)}"]`);
    const last = clip?.frames[Math.max(0, (clip.decisive?.[1] ?? clip.frames.length) - 1)];
    if (thumb && clip) fill(thumb, html`<img class="pixel" alt="" src="${last}">`);
  });
};

/** What the reward model or the simulator says.
 * @type {(place: Element, clip: any, blind: boolean) => void} */
export const showModel = (place, clip, blind) => {
  const best = clip?.probabilities?.length ? Math.max(...clip.probabilities) : null;
  const threshold = clip?.threshold ? ` · τ ${clip.threshold.toFixed(2)}` : "";
  const title = clip?.imagined === false ? "Simulator" : "Reward model";
  const said = () => html`<span class="mute">${title}</span> ${verdict(clip)}
    <span class="mono">p ${fixed(best)}${threshold}</span><span class="grow"></span>
    <button data-do="agree">Right <kbd>↵</kbd></button>
      <button data-do="disagree">Wrong <kbd>x</kbd></button>`;
  const hidden = html`<span class="mute">The verdict is hidden while you judge blind.</span>`;
  fill(place, html`<div class="row">${clip ? (blind ? hidden : said()) : ""}</div>`);
};

/** What others said of a clip on which they disagree.
 * @type {(place: Element, verdicts: import("./history.js").Told[]) => void} */
export const showVerdicts = (place, verdicts) => {
  const list = html`<h3>They disagree</h3><ul>${verdicts.map(labelLine)}</ul>`;
  fill(place, verdicts.length ? list : html``);
};

/** @typedef {{low: number, high: number}} Range */
const bounds = (/** @type {Range} */ { low, high }) => `[${fixed(low)}, ${fixed(high)}]`;
const kappa = (/** @type {any} */ agreement) =>
  agreement?.kappa === null || agreement?.kappa === undefined
    ? "–"
    : `${fixed(agreement.kappa)} ${bounds(agreement)}`;

/** Agreement of people with each other and with the model, calibration, estimates of a sample.
 * @type {(place: Element, statistics: any, actor: string) => void} */
export const showAgreement = (place, statistics, actor) => {
  if (!statistics) return;
  const { human_human: humans, human_model: model, people, estimates } = statistics;
  const known = people.find((/** @type {any} */ one) => one.actor.replace(/^guest:/, "") === actor)?.gold;
  const share = (/** @type {any} */ one) => `${fixed(one.value)} ${bounds(one)}`;
  const rows = [
    ["κ people", `${kappa(humans)} · n ${humans.total}`],
    ["κ people–model", `${kappa(model)} · n ${model.total}`],
  ];
  if (known?.total) rows.push(["known answers right", `${share(known)} · n ${known.total}`]);
  for (const name of estimates ? ["success_rate", "precision", "recall"] : [])
    if (estimates[name].total) rows.push([`${name.replace("_", " ")}, all`, share(estimates[name])]);
  fill(place, html`<h3>Agreement</h3><dl class="facts"></dl>`);
  const list = place.querySelector("dl");
  if (list) showFacts(list, rows);
};
