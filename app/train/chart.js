// Live charts: skeleton figures come from app/train/plots.py, points [x, value, step] arrive as deltas,
// Plotly.react draws in place, so the zoom stays where the reader put it. One cursor for all charts.
import { measure, metricWords } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { memory } from "../web/memory.js";
import { theme } from "../web/shade.js";

const PALETTE = [
  ..."#4f46e5 #0e7490 #c2410c #067647 #b42318 #7c3aed #a16207 #0369a1 #be185d #4d7c0f".split(" "),
];
const DASHES = ["solid", "dot", "dash"];
const MOST = 3000; // points of a curve kept here; more are thinned, peaks stay
const FEW = 600; // of a curve where runs are compared
const MARKED = 60; // curves with more points are lines alone
const AXES = { iteration: "iteration", frames: "imagined frames", real: "real episodes", time: "minutes" };

const toolbar = html`<div class="between toolbar"><div class="row">
    <label class="row mute">x <select aria-label="X axis">${Object.entries(AXES).map(
      ([value, text]) => html`<option value="${value}">${text}</option>`,
    )}</select></label>
    <label class="row mute">smooth <input type="range" min="0" max="0.95" step="0.05" aria-label="Smoothing"></label>
    <label class="row mute"><input type="checkbox" aria-label="Logarithmic"> log</label></div>
  <div class="row legend"></div></div><div class="charts"></div>`;

/** Of equal stretches the lowest and the highest point. */
const thin = (points, most) => {
  if (points.length <= most) return points;
  const size = Math.ceil((2 * points.length) / most);
  const kept = [];
  for (let first = 0; first < points.length; first += size) {
    const part = points.slice(first, first + size);
    const low = part.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = part.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...(low === high ? [low] : low[2] < high[2] ? [low, high] : [high, low]));
  }
  return kept;
};

const smoothed = (values, weight) => {
  let mean = values[0];
  return values.map((value) => (mean = weight * mean + (1 - weight) * value));
};

const nearest = (points, x) =>
  points.length ? points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a)) : null;

/** plotly.min.js is large: it comes when the first chart is drawn, and nothing waits for it.
 * @type {Promise<void> | null} */
let plotly = null;
const load = (/** @type {string} */ address) => {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: new URL(address, document.baseURI).href, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return plotly;
};

export class Charts {
  run = "none";
  job = "";
  /** @type {Map<string, Map<string, [number, number, number][]>>} */
  runs = new Map();
  axis = "iteration";
  /** @type {any[]} */
  drawn = [];
  smoothing = 0;
  log = false;
  names = "";
  name = (/** @type {string} */ run) => run;

  /** `onPick(step)` when a point is clicked, `onAxis()` when other points are needed.
   * @param {any} root
   * @param {{figures: any[], other: any, plotly: string}} parts
   * @param {{onPick: (step: number) => void, onAxis: () => void}} listeners */
  constructor(root, { figures, other, plotly: address }, { onPick, onAxis }) {
    fill(root, toolbar);
    this.charts = figures;
    this.other = other;
    this.address = address;
    this.onPick = onPick;
    this.onAxis = onAxis;
    /** @type {number | null} */
    this.cursor = null;
    /** @type {number | null} */
    this.step = null;
    this.root = root.querySelector(".charts");
    this.legend = root.querySelector(".legend");
    const [axis, smoothing, log] = root.querySelectorAll("select, input");
    Object.assign(this, memory.get("charts", { axis: "iteration", smoothing: 0, log: false }));
    axis.value = this.axis;
    smoothing.value = String(this.smoothing);
    log.checked = this.log;
    const remember = () =>
      memory.set("charts", { axis: this.axis, smoothing: this.smoothing, log: this.log });
    axis.addEventListener("change", () => {
      this.axis = axis.value;
      remember();
      this.onAxis();
    });
    smoothing.addEventListener("input", () => {
      this.smoothing = Number(smoothing.value);
      remember();
      this.draw();
    });
    log.addEventListener("change", () => {
      this.log = log.checked;
      remember();
      this.draw();
    });
    this.root.addEventListener("click", ({ target }) => {
      const figure = target.closest(".wide")?.closest("figure");
      if (figure) this.widen(figure.classList.contains("whole") ? null : figure);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.widen(null);
    });
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerleave", () => this.point(null));
    this.root.addEventListener("pointerdown", (event) => this.press(event), true);
    document.addEventListener("wmpo-theme", () => {
      if (root.isConnected) this.draw();
    });
    this.reset("none");
  }

  /** Forget all points; `run` is the one whose iterations can be picked. */
  reset(run, job = this.charts[0]?.job) {
    Object.assign(this, { run, job, runs: new Map([[run, new Map()]]) });
    this.draw();
  }

  add(run, series) {
    const known = this.runs.get(run) ?? new Map();
    this.runs.set(run, known);
    const scale = this.axis === "time" ? 1 / 60 : 1;
    for (const [name, fresh] of Object.entries(series)) {
      const points = fresh.map(([x, value, step]) => [x * scale, value, step]);
      // A resumed run says again what it said before: the later word stands.
      const before = (known.get(name) ?? []).filter((point) => point[2] < points[0][2]);
      known.set(name, thin(before.concat(points), this.compares ? FEW : MOST));
    }
    this.draw();
  }

  /** How runs are called where two of them meet. */
  call(name) {
    const names = [...this.runs.keys()].map(name).join();
    this.name = name;
    if (names !== this.names) this.draw();
    this.names = names;
  }

  drop(run) {
    this.runs.delete(run);
    this.draw();
  }

  get compares() {
    return this.runs.size > 1;
  }

  colour(run) {
    return PALETTE[[...this.runs.keys()].indexOf(run) % PALETTE.length];
  }

  /** Known charts that have points (all of them before there are any), then one for each other metric. */
  shown() {
    const names = new Set([...this.runs.values()].flatMap((series) => [...series.keys()]));
    const metrics = (chart) => chart.light.data.map((trace) => trace.meta);
    const has = (chart) => metrics(chart).some((name) => names.has(name));
    const own = (chart) => chart.job === this.job;
    // Of another job's charts those that show what none of the job's own does.
    const mine = new Set(this.charts.filter(own).flatMap(metrics));
    const adds = (chart) => metrics(chart).some((name) => names.has(name) && !mine.has(name));
    const known = this.charts.filter((chart) => (own(chart) ? has(chart) || !names.size : adds(chart)));
    if (known.length && this.charts.some(own)) return known;
    const taken = new Set(this.charts.flatMap(metrics));
    const others = [...names].filter((name) => !taken.has(name)).map((name) => this.another(name));
    return [...known, ...others];
  }

  another(name) {
    const drawn = (figure) => ({
      ...figure,
      data: [{ ...figure.data[0], meta: name, name: metricWords(name.split("/").at(-1)) }],
    });
    const { light, dark } = this.other;
    const id = name.replace(/\W/g, "-");
    return {
      name: id,
      title: metricWords(name),
      help: `the metric ${name}`,
      light: drawn(light),
      dark: drawn(dark),
    };
  }

  draw() {
    this.due ??= requestAnimationFrame(async () => {
      this.outline();
      await load(this.address);
      this.due = null;
      const begin = performance.now();
      this.render();
      this.root.dataset.milliseconds = (performance.now() - begin).toFixed(1);
    });
  }

  /** The frames of the charts, which stand before what draws in them has come. */
  outline() {
    const charts = this.shown();
    const wanted = charts.map((chart) => chart.name).join();
    if (wanted !== this.laid) {
      this.laid = wanted;
      this.root.querySelectorAll(".js-plotly-plot").forEach((place) => Plotly.purge(place));
      fill(
        this.root,
        html`${charts.map(
          (chart) => html`<figure class="card chart" aria-label="${chart.title}">
          <div class="between"><h3 title="${chart.help}">${chart.title}</h3><button class="quiet wide"
            aria-label="${chart.title} over the whole screen" title="Whole screen (Escape ends it)">⤢</button></div>
          <div class="frame"><div class="plot" id="plot-${chart.name}"></div>
          <i class="at" hidden></i><i class="step" hidden></i></div>
          <figcaption class="mono mute">&nbsp;</figcaption></figure>`,
        )}`,
      );
    }
    this.drawn = charts;
  }

  render() {
    this.outline();
    this.drawn.forEach((chart) => this.one(chart));
    this.lines();
    this.captions();
    const runs = [...this.runs.keys()];
    fill(
      this.legend,
      this.compares
        ? html`${runs.map(
            (run) => html`<span><i class="key"
          style="background:${this.colour(run)}"></i>${this.name(run)}</span>`,
          )}`
        : html``,
    );
  }

  one(chart) {
    const place = this.root.querySelector(`#plot-${chart.name}`);
    const figure = chart[theme.isDark() ? "dark" : "light"];
    const data = [...this.runs].flatMap(([run, series]) =>
      figure.data.flatMap((trace, index) =>
        series.has(trace.meta) ? this.traces(run, series.get(trace.meta), trace, index) : [],
      ),
    );
    const longest = Math.max(0, ...data.map((trace) => trace.x.length));
    const last = Math.max(0, ...data.map((trace) => trace.x.at(-1) ?? 0));
    const { xaxis, yaxis } = figure.layout;
    const layout = {
      ...figure.layout,
      xaxis: {
        ...xaxis,
        ...(this.axis === "iteration" && last < 8 ? { dtick: 1 } : {}),
        ...(this.axis === "iteration" ? {} : { tickformat: "~s" }),
        ...(last ? {} : { range: [0, 4] }),
      },
      yaxis: this.log ? { ...yaxis, type: "log", range: undefined, rangemode: "normal" } : yaxis,
      uirevision: `${this.run} ${this.axis} ${this.log}`,
    };
    Plotly.react(place, data, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    place.dataset.points = String(longest);
  }

  traces(run, points, trace, index) {
    const x = points.map((point) => point[0]);
    const y = points.map((point) => point[1]);
    const color = this.compares ? this.colour(run) : trace.line.color;
    const line = { ...trace.line, color, ...(this.compares ? { dash: DASHES[index % 3], width: 1.2 } : {}) };
    const mode = points.length > MARKED ? "lines" : "lines+markers";
    const drawn = { ...trace, x, y, mode, line, marker: { ...trace.marker, color } };
    if (!this.smoothing || points.length < 3 || trace.marker.size > 5) return [drawn];
    const faint = { ...drawn, mode: "lines", opacity: 0.22 };
    return [faint, { ...drawn, y: smoothed(y, this.smoothing), mode: "lines" }];
  }

  /** One chart over the whole screen, or none. */
  widen(figure) {
    const changed = [...this.root.querySelectorAll(".whole"), figure].filter(Boolean);
    for (const each of changed) each.classList.toggle("whole", each === figure);
    for (const each of changed) Plotly.Plots.resize(each.querySelector(".plot"));
  }

  /** The pointer over any chart is a place on the axis of all of them. */
  move(event) {
    const place = event.target.closest?.(".frame")?.querySelector(".plot");
    const axis = place?._fullLayout?.xaxis;
    if (!axis || event.buttons) return;
    const x = axis.p2d(event.clientX - place.getBoundingClientRect().left - axis._offset);
    this.point(x >= axis.range[0] && x <= axis.range[1] ? x : null);
  }

  point(x) {
    if (x === this.cursor) return;
    this.cursor = x;
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.lines();
      this.captions();
    });
  }

  /** A press that is no drag picks the iteration under the cursor. */
  press(event) {
    if (this.cursor === null || event.button !== 0) return;
    const [x, y] = [event.clientX, event.clientY];
    const at = this.cursor;
    window.addEventListener(
      "pointerup",
      (end) => {
        if (Math.hypot(end.clientX - x, end.clientY - y) > 4) return;
        const found = [...(this.runs.get(this.run)?.values() ?? [])].map((points) => nearest(points, at));
        const hit = nearest(found.filter(Boolean), at);
        if (hit) this.onPick(hit[2]);
      },
      { once: true, capture: true },
    );
  }

  /** Mark the iteration that is looked at. */
  mark(step) {
    this.step = step;
    this.lines();
  }

  lines() {
    const series = [...(this.runs.get(this.run)?.values() ?? [])];
    const marked = series.flatMap((points) => points.find((point) => point[2] === this.step) ?? []).at(0);
    for (const frame of this.root.querySelectorAll(".frame")) {
      const axis = frame.firstElementChild._fullLayout?.xaxis;
      for (const [selector, x] of [
        [".at", this.cursor],
        [".step", marked ?? null],
      ]) {
        const line = frame.querySelector(selector);
        const inside = axis && x !== null && x >= axis.range[0] && x <= axis.range[1];
        line.hidden = !inside;
        if (inside) line.style.transform = `translateX(${(axis._offset + axis.d2p(x)).toFixed(1)}px)`;
      }
    }
  }

  captions() {
    for (const chart of this.drawn) {
      const place = this.root.querySelector(`#plot-${chart.name}`)?.closest("figure");
      if (!place) continue;
      const traces = chart[theme.isDark() ? "dark" : "light"].data;
      const parts = [...this.runs].flatMap(([run, series]) =>
        (this.compares ? traces.slice(0, 1) : traces).flatMap((trace) => {
          const points = series.get(trace.meta) ?? [];
          const shown = this.cursor === null ? points.at(-1) : nearest(points, this.cursor);
          const color = this.compares ? this.colour(run) : (trace.line?.color ?? trace.marker?.color);
          const name = this.compares ? "" : trace.name;
          return shown
            ? [html`<span><i style="background:${color}"></i>${name} ${measure(shown[1])}</span>`]
            : [];
        }),
      );
      fill(
        place.querySelector("figcaption"),
        parts.length ? html`${parts}` : html`<span>no points yet</span>`,
      );
    }
  }
}
