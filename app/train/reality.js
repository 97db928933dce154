// Exploitability of a run: dreamt minus real success of one policy, against how far it has moved from
// its base. Above the line of zero, dreams promise what reality does not hold.
import { fixed } from "../web/formats.js";
import { fill, html } from "../web/html.js";

/** @typedef {[number, number, number]} Share */
/** @typedef {{updates: number, kl: number | null, dreamt: Share, real: Share, gap: Share}} Look */
/** @typedef {{looks: Look[], parts: number | null, words: string}} Report */

const [WIDTH, HEIGHT, LEFT, BOTTOM, EDGE] = [360, 190, 34, 26, 8];
const points = (value) => `${Math.round(100 * value)}`;
const between = ([value, low, high]) => `${points(value)} [${points(low)}, ${points(high)}]`;

/** Places of values on the two axes. */
const scales = (/** @type {Look[]} */ looks, /** @type {number[]} */ far) => {
  const low = Math.min(-0.1, ...looks.map((look) => look.gap[1]));
  const high = Math.max(0.1, ...looks.map((look) => look.gap[2]));
  const most = Math.max(...far) || 1;
  return {
    most,
    x: (value) => LEFT + (value / most) * (WIDTH - LEFT - 2 * EDGE) + EDGE,
    y: (value) => EDGE + ((high - value) / (high - low)) * (HEIGHT - BOTTOM - EDGE),
  };
};

const said = ({ updates, dreamt, real }) =>
  `after ${updates} iterations: dreamt ${points(dreamt[0])} %, real ${points(real[0])} %`;

const curve = (/** @type {Report} */ { looks, parts }) => {
  const told = looks.every((look) => look.kl !== null);
  const far = looks.map((look) => (told ? Number(look.kl) : look.updates));
  const { x, y, most } = scales(looks, far);
  const parted = looks.findIndex((look) => look.updates === parts);
  const spot = (look, i) => html`<g class="${parts !== null && look.updates >= parts ? "parted" : ""}">
    <title>${said(look)}</title>
    <line class="spread" x1="${x(far[i]).toFixed(1)}" x2="${x(far[i]).toFixed(1)}"
      y1="${y(look.gap[1]).toFixed(1)}" y2="${y(look.gap[2]).toFixed(1)}"/>
    <circle cx="${x(far[i]).toFixed(1)}" cy="${y(look.gap[0]).toFixed(1)}" r="4"/></g>`;
  const line = looks.map((look, i) => `${x(far[i]).toFixed(1)},${y(look.gap[0]).toFixed(1)}`).join(" ");
  const zero = y(0).toFixed(1);
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"
      aria-label="Dreamt minus real success by ${told ? "KL from the base" : "iterations"}">
    <line class="ideal" x1="${LEFT}" x2="${WIDTH - EDGE}" y1="${zero}" y2="${zero}"/>
    <text x="${LEFT - 4}" y="${Number(zero) + 3}" text-anchor="end">0</text>
    <text x="${LEFT + EDGE}" y="${HEIGHT - 8}">0</text>
    <text x="${WIDTH - EDGE}" y="${HEIGHT - 8}" text-anchor="end">${
      told ? `${fixed(most, 3)} nats a token` : `${most} iterations`
    }</text>
    ${
      parted < 0
        ? ""
        : html`<line class="parting" x1="${x(far[parted]).toFixed(1)}" x2="${x(far[parted]).toFixed(1)}"
            y1="${EDGE}" y2="${HEIGHT - BOTTOM}"/>`
    }
    <polyline points="${line}"/>${looks.map(spot)}</svg>`;
};

/** The report as a card. */
export const realityCard = (/** @type {Report} */ report) => html`<div class="card matrix reality"><div>
    <h3>Dreamt minus real success</h3><p>${report.words}</p>
    <table class="mono"><tr><th scope="col">iterations</th><th scope="col">KL</th><th scope="col">dreamt %</th>
      <th scope="col">real %</th><th scope="col">gap</th></tr>
    ${report.looks.map(
      (look) => html`<tr><td>${look.updates}</td><td>${look.kl === null ? "–" : fixed(look.kl, 3)}</td>
        <td>${between(look.dreamt)}</td><td>${between(look.real)}</td><td>${between(look.gap)}</td></tr>`,
    )}</table></div>
  <figure>${curve(report)}<figcaption class="mute">points by KL from the base, with 95 %
    intervals</figcaption></figure></div>`;

/** Show what looks at reality say, or nothing where there were none.
 * @param {Element} place
 * @param {Report | null} report */
export const showReality = (place, report) => {
  if (report?.looks.length) fill(place, realityCard(report));
  else place.replaceChildren();
};
