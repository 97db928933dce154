// Charts without a library: curves with their intervals under one cursor, and columns of stacked counts.
import { measure } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [420, 190, 40, 22, 8];
const flat = (/** @type {any[]} */ list) =>
  list.filter((value) => value !== null && value !== undefined && Number.isFinite(value));

/** The path of an SVG line through points; a gap where one is null.
 * @param {(readonly [number, number] | null)[]} points */
export const linePath = (points) =>
  points
    .map((point, index) =>
      point ? `${index && points[index - 1] ? "L" : "M"}${point[0].toFixed(1)},${point[1].toFixed(1)}` : "",
    )
    .join(" ");

/** Columns of stacked counts over the floor of a drawing. A column: {title, parts: [[count, class]…]}.
 * @param {{title: string, parts: [number, string][]}[]} columns
 * @param {{width: number, floor: number, top?: number, gap?: number}} room */
export const stacked = (columns, { width, floor, top = 10, gap = 2 }) => {
  const sum = (/** @type {[number, string][]} */ parts) => parts.reduce((all, [count]) => all + count, 0);
  const most = Math.max(1, ...columns.map(({ parts }) => sum(parts)));
  const each = width / columns.length;
  return columns.map(({ title, parts }, index) => {
    let level = floor;
    const bars = parts.map(([count, tone]) => {
      const height = (count / most) * (floor - top);
      level -= height;
      return count
        ? html`<rect class="${tone}" x="${(index * each + gap / 2).toFixed(1)}" y="${level.toFixed(1)}"
          width="${(each - gap).toFixed(1)}" height="${height.toFixed(1)}"/>`
        : "";
    });
    return html`<g><title>${title}</title>${bars}</g>`;
  });
};

/** About four round numbers from low to high.
 * @param {number} low
 * @param {number} high */
const ticks = (low, high) => {
  const rough = (high - low) / 4 || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((value) => value >= rough) ?? 10 * size;
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step)
    found.push(Number(tick.toPrecision(6)));
  return found;
};

/** @typedef {{name: string, tone: string, dashed?: boolean, points: any[]}} Series */

/** `series`: [{name, tone, points: [[mean, low, high, n] or null…], dashed}]; `xs` of the points. */
export class Curves {
  /** @param {any} root
   * @param {any} parts */
  constructor(root, { title, note = "", series, xs, across, unit = "", zero = false, onPick = null }) {
    this.root = root;
    this.title = title;
    /** @type {Series[]} */
    this.series = series;
    /** @type {number[]} */
    this.xs = xs;
    this.across = across;
    this.unit = unit;
    this.onPick = onPick;
    this.cursor = null;
    const values = this.series.flatMap(({ points }) =>
      points.flatMap((/** @type {any} */ point) => (point ? flat(point.slice(0, 3)) : [])),
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
    this.mark(this.xs[this.xs.length - 1]);
  }

  x(/** @type {number} */ value) {
    const [first, last] = [this.xs[0], this.xs[this.xs.length - 1]];
    return LEFT + ((value - first) / (last - first || 1)) * (WIDTH - LEFT - 10);
  }
  y(/** @type {number} */ value) {
    return TOP + ((this.high - value) / (this.high - this.low)) * (HEIGHT - TOP - BOTTOM);
  }
  at(/** @type {number} */ x, /** @type {number} */ y) {
    return `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`;
  }

  drawing() {
    const band = (/** @type {Series} */ { points, tone }) => {
      const there = points.flatMap((/** @type {any} */ point, /** @type {number} */ i) =>
        point && point[1] !== null && point[1] !== undefined ? [[this.xs[i], point]] : [],
      );
      const upper = there.map(([x, point]) => this.at(x, point[2]));
      const lower = there.reverse().map(([x, point]) => this.at(x, point[1]));
      return upper.length > 1
        ? html`<polygon class="tone-${tone}" points="${[...upper, ...lower].join(" ")}"/>`
        : "";
    };
    const line = (/** @type {Series} */ { points, tone, dashed }) => {
      const there = points.flatMap((/** @type {any} */ point, /** @type {number} */ i) =>
        point ? [this.at(this.xs[i], point[0])] : [],
      );
      return html`<polyline class="tone-${tone} ${dashed ? "dashed" : ""}" points="${there.join(" ")}"/>`;
    };
    const level = (
      /** @type {number} */ tick,
    ) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - 10}" y1="${this.y(tick)}" y2="${this.y(tick)}"/>
      <text x="${LEFT - 6}" y="${this.y(tick) + 3}" text-anchor="end">${tick}</text>`;
    const label = (/** @type {number} */ tick) =>
      html`<text x="${this.x(tick)}" y="${HEIGHT - 6}" text-anchor="middle">${tick}</text>`;
    const marks = ticks(this.xs[0], this.xs[this.xs.length - 1]).filter((tick) => Number.isInteger(tick));
    return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${this.title}, by ${this.across}">
      ${ticks(this.low, this.high).map(level)}${marks.map(label)}${this.series.map(band)}${this.series.map(line)}
      <line class="cursor" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/></svg>`;
  }

  listen(/** @type {any} */ drawing) {
    if (!drawing) return;
    const nearest = (/** @type {PointerEvent} */ event) => {
      const box = drawing.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      return this.xs.reduce((best, value) =>
        Math.abs(this.x(value) - x) < Math.abs(this.x(best) - x) ? value : best,
      );
    };
    drawing.addEventListener("pointermove", (/** @type {any} */ event) => this.mark(nearest(event)));
    if (!this.onPick) return;
    drawing.classList.add("picks");
    drawing.addEventListener("click", (/** @type {any} */ event) => this.onPick(nearest(event)));
  }

  /** Put the cursor at the nearest measured place and say what stands there. */
  mark(/** @type {number} */ value) {
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
