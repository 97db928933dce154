// Live charts: skeleton figures come from app/plots.py, points arrive as deltas, Plotly.react draws
// in place: the zoom stays where the reader put it.
(() => {
  class Charts {
    constructor(root, charts) {
      this.root = root;
      this.charts = charts;
      WMPO.fill(
        root,
        WMPO.html`${charts.map(
          (chart) => WMPO.html`<figure class="card chart" aria-label="${chart.title}">
          <h3>${chart.title}</h3><div class="plot" id="plot-${chart.name}"></div>
          <figcaption class="mono mute">&nbsp;</figcaption></figure>`,
        )}`,
      );
      document.addEventListener("wmpo-theme", () => {
        if (root.isConnected) this.draw();
      });
      this.reset("none");
    }

    reset(run) {
      this.run = run;
      this.series = new Map();
      this.draw();
    }

    add(series) {
      for (const [name, points] of Object.entries(series)) {
        const known = this.series.get(name) ?? [];
        this.series.set(name, known.concat(points));
      }
      this.draw();
    }

    draw() {
      const mode = WMPO.theme.isDark() ? "dark" : "light";
      this.charts.forEach((chart) => {
        const place = this.root.querySelector(`#plot-${chart.name}`);
        const figure = chart[mode];
        const data = figure.data.map((trace) => {
          const points = this.series.get(trace.meta) ?? [];
          return { ...trace, x: points.map((point) => point[0]), y: points.map((point) => point[1]) };
        });
        const steps = Math.max(0, ...data.flatMap((trace) => trace.x));
        const xaxis = {
          ...figure.layout.xaxis,
          ...(steps < 8 ? { dtick: 1 } : {}),
          ...(steps ? {} : { range: [0, 4] }),
        };
        Plotly.react(
          place,
          data,
          { ...figure.layout, xaxis, uirevision: this.run },
          { displayModeBar: false, responsive: true, scrollZoom: false },
        );
        place.dataset.points = String(Math.max(0, ...data.map((trace) => trace.x.length)));
        this.caption(place.parentElement.querySelector("figcaption"), figure.data);
      });
    }

    caption(place, traces) {
      const parts = traces.flatMap((trace) => {
        const last = this.series.get(trace.meta)?.at(-1);
        return last
          ? [
              WMPO.html`<span><i style="background:${trace.line?.color ?? trace.marker?.color}">
                </i>${trace.name} ${WMPO.measure(last[1])}</span>`,
            ]
          : [];
      });
      WMPO.fill(place, parts.length ? WMPO.html`${parts}` : WMPO.html`<span>no points yet</span>`);
    }
  }
  WMPO.Charts = Charts;
})();
