// One kind of episodes (imagined or real) under a threshold: histogram, counts, shares, curves.
// Everything that a drag changes was computed by the studio for 1,000 thresholds and is looked up.
import { stacked } from "../player/chart.js";
import { fixed, integer } from "../web/formats.js";
import { fill, html, raw } from "../web/html.js";

const WIDE = 520;
const HIGH = 132;
const FLOOR = 112;
const SIDE = 168;
const EDGE = 24;
const across = (value) => (EDGE + value * (SIDE - EDGE - 6)).toFixed(1);
const up = (value) => (6 + (1 - value) * (SIDE - EDGE - 6)).toFixed(1);
export const percent = (value) =>
  value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`;
const TITLES = { imagined: "Imagined clips", real: "Real clips" };
const SHARES = ["precision", "recall", "f1"];
const WORDS = { precision: "Precision", recall: "Recall", f1: "F1" };
const CELLS = [
  ["true_positives", "agrees", "true success"],
  ["false_negatives", "differs", "false failure"],
  ["false_positives", "differs", "false success"],
  ["true_negatives", "agrees", "true failure"],
];

const axes = () =>
  [0, 0.5, 1].map(
    (tick) => html`<line class="grid" x1="${across(0)}" x2="${across(1)}" y1="${up(tick)}" y2="${up(tick)}"/>
    <line class="grid" x1="${across(tick)}" x2="${across(tick)}" y1="${up(0)}" y2="${up(1)}"/>
    <text x="${across(tick)}" y="${SIDE - 6}" text-anchor="middle">${tick}</text>
    <text x="${EDGE - 4}" y="${Number(up(tick)) + 3}" text-anchor="end">${tick}</text>`,
  );
const line = (xs, ys) =>
  xs
    .map((x, index) => (x === null || ys[index] === null ? null : `${across(x)},${up(ys[index])}`))
    .filter((point, index, all) => point !== null && point !== all[index - 1])
    .join(" ");
const plot = (
  name,
  title,
  content,
  /** @type {any} */ ideal = "",
) => html`<figure class="plot-${name}"><figcaption>${title}</figcaption>
  <svg viewBox="0 0 ${SIDE} ${SIDE}" role="img" aria-label="${title}">${axes()}${ideal}${content}
  <circle class="now" r="4.5" visibility="hidden"/></svg></figure>`;
const diagonal = html`<line class="ideal" x1="${across(0)}" y1="${up(0)}" x2="${across(1)}" y2="${up(1)}"/>`;

const bin = (
  one,
) => html`<g><title>score ${fixed(one.low)} to ${fixed(one.high)}: ${one.successes} of ${one.count} succeeded</title>
  <line class="spread" x1="${across(one.score)}" x2="${across(one.score)}" y1="${up(one.interval[0])}"
    y2="${up(one.interval[1])}"/>
  <circle class="bin" cx="${across(one.score)}" cy="${up(one.rate)}" r="3.5"/></g>`;

const bars = ({ success, fail, unknown }) => {
  const columns = success.map((good, index) => {
    const [low, high] = [index, index + 1].map((edge) => fixed(edge / success.length));
    return {
      title: `score ${low} to ${high}: ${good} success, ${fail[index]} fail, ${unknown[index]} not judged`,
      parts: [
        [good, "good"],
        [fail[index], "wrong"],
        [unknown[index], "unknown"],
      ],
    };
  });
  return stacked(columns, { width: WIDE, floor: FLOOR });
};

const counted = (kind, { episodes, known, labelled, unsure, broke, weighted }) => {
  if (!episodes) return "";
  const parts = [`${integer(known)} of ${integer(episodes)} with a known truth`];
  if (kind === "real") parts.push(`${integer(labelled)} by a person, else the simulator`);
  if (weighted) parts.push(`${integer(weighted)} of a sample, each weighted by what it stands for`);
  if (unsure) parts.push(`${integer(unsure)} unsure`);
  if (broke) parts.push(`${integer(broke)} broken dreams`);
  return parts.join(" · ");
};

const missing = (kind, { episodes, known, successes, failures }) => {
  if (!episodes && kind === "real")
    return html`<p class="empty"><b>No real clip was judged by this reward model yet</b>
      Their truth is the simulator's: they appear here as soon as it has judged them.</p>`;
  if (!episodes)
    return html`<p class="empty"><b>No imagined clip yet</b> <a href="imagine">Imagine one</a>.</p>`;
  if (!known)
    return html`<p class="empty"><b>No clip is labelled yet</b>
      <a href="label">Judge some</a>: from the first label on this card says how good the judge is.</p>`;
  if (!successes || !failures)
    return html`<p class="mute one-class">Only ${successes ? "successes" : "failures"} are known so far:
      ${successes ? "false successes" : "recall and ROC"} cannot be seen before there is ${
        successes ? "a failure" : "a success"
      }.</p>`;
  return "";
};

const card = (kind, found) => html`<section class="card kind" aria-label="${TITLES[kind]}">
  <div class="between"><h3>${TITLES[kind]}</h3><span class="mute">${counted(kind, found)}</span></div>
  <svg class="histogram" viewBox="0 0 ${WIDE} ${HIGH}" role="img"
    aria-label="${`Scores of ${TITLES[kind].toLowerCase()} by truth`}">
    ${bars(found.histogram)}<line class="axis" x1="0" x2="${WIDE}" y1="${FLOOR}" y2="${FLOOR}"/>
    ${[0, 0.25, 0.5, 0.75, 1].map(
      (tick) =>
        html`<text x="${tick * WIDE}" y="${HIGH - 4}" text-anchor="${
          tick === 0 ? "start" : tick === 1 ? "end" : "middle"
        }">${tick}</text>`,
    )}
    <g class="tau"><line y1="0" y2="${FLOOR}"/><rect x="-9" y="0" width="18" height="${FLOOR}"/><path
      d="M-6,0 h12 l-6,9 z"/></g></svg>
  <p class="legend mute"><i class="good"></i>success <i class="wrong"></i>fail <i class="unknown"></i>no truth known
    <span>score: the highest window</span></p>
  ${missing(kind, found)}
  <div class="measures" ${raw(found.known ? "" : "hidden")}>
    <table class="confusion"><tr><td></td><th scope="col">judged ✓</th><th scope="col">judged ✕</th></tr>
      <tr><th scope="row">true ✓</th>${CELLS.slice(0, 2).map(cell)}</tr>
      <tr><th scope="row">true ✕</th>${CELLS.slice(2).map(cell)}</tr></table>
    <dl class="shares">${SHARES.map(
      (name) => html`<dt>${WORDS[name]}</dt><dd data-share="${name}"><b class="mono"></b>
        <span class="range"><i></i><u></u></span><span class="mono mute"></span></dd>`,
    )}</dl></div>
  <div class="plots" ${raw(found.known ? "" : "hidden")}>
    ${plot(
      "roc",
      `ROC · area ${fixed(found.area)}`,
      html`<polyline
      points="${line(found.curves.false_positive_rate, found.curves.recall.value)}"/>`,
      diagonal,
    )}
    ${plot(
      "pr",
      `Precision by recall · AP ${fixed(found.average_precision)}`,
      html`<polyline
      points="${line(found.curves.recall.value, found.curves.precision.value)}"/>`,
    )}
    ${plot(
      "calibration",
      "Calibration, 95 %",
      html`<polyline points="${line(
        found.calibration.map((one) => one.score),
        found.calibration.map((one) => one.rate),
      )}"/>${found.calibration.map(bin)}`,
      diagonal,
    )}</div>
  <p class="needed mute"></p></section>`;
const cell = (/** @type {string[]} */ [name, tone, words]) =>
  html`<td class="${tone}" title="${words}"><b class="mono" data-cell="${name}"></b></td>`;

export class ThresholdKind {
  /** `onDrag(threshold)` while the line in the histogram is dragged. */
  constructor(place, kind, found, onDrag) {
    fill(place, card(kind, found));
    this.place = place;
    this.found = found;
    const histogram = place.querySelector(".histogram");
    const drag = (event) => {
      const box = histogram.getBoundingClientRect();
      onDrag((event.clientX - box.left) / box.width);
    };
    histogram.addEventListener("pointerdown", (event) => {
      histogram.setPointerCapture(event.pointerId);
      drag(event);
    });
    histogram.addEventListener("pointermove", (event) => event.buttons && drag(event));
    this.line = place.querySelector(".tau");
    this.cells = Object.fromEntries(
      CELLS.map(([name]) => [name, place.querySelector(`[data-cell=${name}]`)]),
    );
    this.rows = SHARES.map((name) => [name, place.querySelector(`[data-share=${name}]`)]);
    this.marks = ["roc", "pr"].map((name) => place.querySelector(`.plot-${name} .now`));
  }

  /** Counts at a threshold, by name. */
  counts(index) {
    const { curves, successes, failures } = this.found;
    const [right, wrong] = [curves.true_positives[index], curves.false_positives[index]];
    return {
      true_positives: right,
      false_positives: wrong,
      false_negatives: successes - right,
      true_negatives: failures - wrong,
    };
  }

  /** Only texts and positions change: this happens with every frame of a drag. */
  show(threshold, index) {
    this.line.setAttribute("transform", `translate(${(threshold * WIDE).toFixed(1)} 0)`);
    const { curves } = this.found;
    for (const [name, count] of Object.entries(this.counts(index)))
      this.cells[name].textContent = integer(count);
    for (const [name, row] of this.rows) {
      const [value, low, high] = ["value", "low", "high"].map((part) => curves[name][part][index]);
      row.children[0].textContent = percent(value);
      const [range, dot] = row.children[1].children;
      row.children[1].style.visibility = value === null ? "hidden" : "visible";
      range.style.cssText = `left:${100 * low}%;width:${100 * (high - low)}%`;
      dot.style.left = `${100 * value}%`;
      row.children[2].textContent =
        value === null ? "–" : `${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)}`;
    }
    const recall = curves.recall.value[index];
    const points = [
      [curves.false_positive_rate[index], recall],
      [recall, curves.precision.value[index]],
    ];
    this.marks.forEach((mark, which) => {
      const [x, y] = points[which];
      const known = x !== null && y !== null;
      mark.setAttribute("visibility", known ? "visible" : "hidden");
      if (!known) return;
      mark.setAttribute("cx", across(x));
      mark.setAttribute("cy", up(y));
    });
  }

  /** How many labels would make the intervals as narrow as asked for. */
  need(needed, width) {
    const sentence = (name, where) => {
      const { need, more, count, random } = needed[name];
      if (need === null) return "";
      const begin = `${WORDS[name]} to within ${Math.round(100 * width)} points:`;
      return more
        ? `${begin} ${integer(more)} more labels ${where} (${integer(count)} of ${integer(need)} there),
          or about ${integer(random)} at random. `
        : `${begin} enough labels (${integer(count)}, ${integer(need)} needed). `;
    };
    this.place.querySelector(".needed").textContent =
      sentence("precision", "of clips above τ") + sentence("recall", "of true successes");
  }
}
