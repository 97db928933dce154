// Curves with their intervals, drawn as they were measured: bands, lines, one cursor for all of them.
import { measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [420, 190, 40, 22, 8];
const flat = (list) =>
  list.filter((value) => value !== null && value !== undefined && Number.isFinite(value));

/** About four round numbers from low to high. */
const ticks = (low, high) => {
  const rough = (high - low) / 4 || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((value) => value >= rough) ?? 10 * size;
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step)
    found.push(Number(tick.toPrecision(6)));
  return found;
};

/** `series`: [{name, tone, points: [[mean, low, high, n] or null…], dashed}]; `xs` of the points. */
export class Curves {
  /** @param {any} root
   * @param {any} parts */
  constructor(root, { title, note = "", series, xs, across, unit = "", zero = false, onPick = null }) {
    this.root = root;
    this.title = title;
    this.series = series;
    this.xs = xs;
    this.across = across;
    this.unit = unit;
    this.onPick = onPick;
    this.cursor = null;
    const values = series.flatMap(({ points }) =>
      points.flatMap((point) => (point ? flat(point.slice(0, 3)) : [])),
    );
    const [low, high] = [
      Math.min(...values, ...(zero ? [0] : [])),
      Math.max(...values, ...(zero ? [0] : [])),
    ];
    const room = (high - low || 1) * 0.06;
    this.low = low - room;
    this.high = high + room;
    fill(
      root,
      html`<figure class="card curves" aria-label="${title}"><h3>${title}</h3>
        ${values.length ? this.drawing() : html`<p class="mute empty">nothing to draw here</p>`}
        <figcaption class="mono small"></figcaption>${note ? html`<p class="mute small">${note}</p>` : ""}</figure>`,
    );
    this.caption = root.querySelector("figcaption");
    this.line = root.querySelector(".cursor");
    this.listen(root.querySelector("svg"));
    this.mark(xs.at(-1));
  }

  x(value) {
    const [first, last] = [this.xs[0], this.xs.at(-1)];
    return LEFT + ((value - first) / (last - first || 1)) * (WIDTH - LEFT - 10);
  }
  y(value) {
    return TOP + ((this.high - value) / (this.high - this.low)) * (HEIGHT - TOP - BOTTOM);
  }
  at(x, y) {
    return `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`;
  }

  drawing() {
    const band = ({ points, tone }) => {
      const there = points.flatMap((point, i) =>
        point && point[1] !== null && point[1] !== undefined ? [[this.xs[i], point]] : [],
      );
      const upper = there.map(([x, point]) => this.at(x, point[2]));
      const lower = there.reverse().map(([x, point]) => this.at(x, point[1]));
      return upper.length > 1
        ? html`<polygon class="tone-${tone}" points="${[...upper, ...lower].join(" ")}"/>`
        : "";
    };
    const line = ({ points, tone, dashed }) => {
      const there = points.flatMap((point, i) => (point ? [this.at(this.xs[i], point[0])] : []));
      return html`<polyline class="tone-${tone} ${dashed ? "dashed" : ""}" points="${there.join(" ")}"/>`;
    };
    const level = (
      tick,
    ) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - 10}" y1="${this.y(tick)}" y2="${this.y(tick)}"/>
      <text x="${LEFT - 6}" y="${this.y(tick) + 3}" text-anchor="end">${tick}</text>`;
    const label = (tick) =>
      html`<text x="${this.x(tick)}" y="${HEIGHT - 6}" text-anchor="middle">${tick}</text>`;
    const marks = ticks(this.xs[0], this.xs.at(-1)).filter((tick) => Number.isInteger(tick));
    return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${this.title}, by ${this.across}">
      ${ticks(this.low, this.high).map(level)}${marks.map(label)}${this.series.map(band)}${this.series.map(line)}
      <line class="cursor" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/></svg>`;
  }

  listen(drawing) {
    if (!drawing) return;
    const nearest = (event) => {
      const box = drawing.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      return this.xs.reduce((best, value) =>
        Math.abs(this.x(value) - x) < Math.abs(this.x(best) - x) ? value : best,
      );
    };
    drawing.addEventListener("pointermove", (event) => this.mark(nearest(event)));
    if (!this.onPick) return;
    drawing.classList.add("picks");
    drawing.addEventListener("click", (event) => this.onPick(nearest(event)));
  }

  /** Put the cursor at the nearest measured place and say what stands there. */
  mark(value) {
    if (!this.xs.length) return;
    const near = this.xs.reduce((best, x) => (Math.abs(x - value) < Math.abs(best - value) ? x : best));
    const index = this.xs.indexOf(near);
    this.line?.setAttribute("x1", this.x(near));
    this.line?.setAttribute("x2", this.x(near));
    const said = this.series.map(({ name, tone, points }) => {
      const point = points[index];
      if (!point) return "";
      const spread =
        point[1] === null || point[1] === undefined ? "" : ` ±${measure((point[2] - point[1]) / 2)}`;
      return html`<span><i class="tone-${tone}"></i>${name} ${measure(point[0])}<span
        class="mute">${spread}</span></span>`;
    });
    const n = this.series.map(({ points }) => points[index]?.[3]).find((count) => count);
    fill(
      this.caption,
      html`<span class="mute">${this.across} ${near}${n ? ` · n ${n}` : ""}${
        this.unit ? ` · ${this.unit}` : ""
      }</span>${said}`,
    );
  }
}
