// Real against imagined success over the pairs of a fidelity run: four counts, each a way to its
// episodes, and how often a probability came true.
import { fixed, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const SIDE = 200;
const EDGE = 26; // room for the numbers along the axes
const at = (value) => (EDGE + value * (SIDE - EDGE - 8)).toFixed(1);
const up = (value) => (8 + (1 - value) * (SIDE - EDGE - 8)).toFixed(1);
const share = (value) => `${Math.round(100 * value)} %`;
const between = (interval) =>
  interval ? ` (${interval.map((value) => Math.round(100 * value)).join("–")})` : "";

const cell = (run, name, { cells, pairs }, truth, verdict) => {
  const query = new URLSearchParams({ run, kind: "imagined", verdict, truth });
  const count = cells[name].length;
  const words = `really ${truth}, imagined ${verdict}: ${count} of ${pairs} pairs`;
  return html`<td class="${truth === verdict ? "agrees" : "differs"}"><a href="episodes?${query}" aria-label="${words}">
    <b class="mono">${integer(count)}</b><span class="mute">${share(count / pairs)}</span></a></td>`;
};

const point = ({ mean_probability: x, real_rate: y, interval, count, real_successes: hits }) => html`<g>
  <title>${`probability ${fixed(x)}: ${hits} of ${count} really succeeded`}</title>
  <line class="spread" x1="${at(x)}" x2="${at(x)}" y1="${up(interval[0])}" y2="${up(interval[1])}"/>
  <circle cx="${at(x)}" cy="${up(y)}" r="4"/></g>`;

const curve = (bins) => {
  const full = bins.filter((bin) => bin.count);
  const line = full.map((bin) => `${at(bin.mean_probability)},${up(bin.real_rate)}`).join(" ");
  const ticks = [0, 0.5, 1];
  return html`<svg viewBox="0 0 ${SIDE} ${SIDE}" role="img"
      aria-label="Calibration: share that really succeeded by imagined success probability">
    ${ticks.map(
      (tick) => html`<line class="grid" x1="${at(0)}" x2="${at(1)}" y1="${up(tick)}" y2="${up(tick)}"/>
      <line class="grid" x1="${at(tick)}" x2="${at(tick)}" y1="${up(0)}" y2="${up(1)}"/>
      <text x="${at(tick)}" y="${SIDE - 8}" text-anchor="middle">${tick}</text>
      <text x="${EDGE - 5}" y="${Number(up(tick)) + 3}" text-anchor="end">${tick}</text>`,
    )}
    <line class="ideal" x1="${at(0)}" y1="${up(0)}" x2="${at(1)}" y2="${up(1)}"/>
    <polyline points="${line}"/>${full.map(point)}</svg>`;
};

/** What `twin_matrix` found, as a card in `place`. */
export const showMatrix = (place, found) => {
  const { run, pairs } = found;
  const accuracy = found.balanced_accuracy;
  const balanced =
    accuracy === null
      ? "none: reality held only one outcome"
      : `${share(accuracy)}${between(found.balanced_accuracy_interval)}`;
  fill(
    place,
    html`<div class="card matrix"><div><h3>Imagined against real verdicts</h3>
      <table><caption class="mute">${integer(pairs)} pairs; a number leads to its episodes</caption>
        <tr><td></td><th scope="col">imagined ✓</th><th scope="col">imagined ✕</th></tr>
        <tr><th scope="row">real ✓</th>${cell(run, "true_success", found, "success", "success")}
          ${cell(run, "false_failure", found, "success", "fail")}</tr>
        <tr><th scope="row">real ✕</th>${cell(run, "false_success", found, "fail", "success")}
          ${cell(run, "true_failure", found, "fail", "fail")}</tr></table>
      <p class="mono">balanced accuracy ${balanced}<br>agreement
        ${share(found.agreement)}${between(found.agreement_interval)}</p></div>
    <figure>${curve(found.calibration)}<figcaption class="mute">how often it came true, by probability,
      with 95 % intervals</figcaption></figure></div>`,
  );
};
