// The strips under a video: success probability per window, and every action dimension, one cursor.
(() => {
  const NAMES = { 4: ["x", "y", "z", "grip"], 7: ["x", "y", "z", "roll", "pitch", "yaw", "grip"] };
  const TOP = 12;
  const CURVE = 66;
  const GUTTER = 40;

  class Strips {
    constructor(root, { onSeek = () => {} } = {}) {
      this.root = root;
      this.data = null;
      this.at = 0;
      root.classList.add("strips");
      const seek = (event) => {
        if (!this.data) return;
        const x = event.clientX - root.getBoundingClientRect().left - GUTTER;
        onSeek((x / (root.clientWidth - GUTTER - 6)) * this.data.total);
      };
      root.addEventListener("pointerdown", (event) => {
        root.setPointerCapture(event.pointerId);
        seek(event);
      });
      root.addEventListener("pointermove", (event) => {
        if (event.buttons) seek(event);
      });
      new ResizeObserver(() => this.draw()).observe(root);
    }

    /** {total, ends, probabilities, threshold, actions, outcome, chunk, window} */
    show(data) {
      this.data = data;
      this.draw();
    }

    x(frame) {
      return GUTTER + (frame / this.data.total) * (this.root.clientWidth - GUTTER - 6);
    }

    cursor(frame) {
      this.at = frame;
      const line = this.root.querySelector(".cursor");
      if (!line || !this.data) return;
      const x = this.x(frame).toFixed(1);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      const label = this.root.querySelector(".reading");
      const index = this.data.ends.findLastIndex((end) => end - 1 <= frame);
      label.textContent = index < 0 ? "" : `p ${this.data.probabilities[index].toFixed(2)}`;
      const right = this.x(frame) > this.root.clientWidth - 60;
      label.setAttribute("x", this.x(frame) + (right ? -5 : 5));
      label.setAttribute("text-anchor", right ? "end" : "start");
    }

    draw() {
      const width = this.root.clientWidth;
      if (!this.data || !width) {
        this.root.innerHTML = "";
        return;
      }
      const { total, actions, threshold } = this.data;
      const dimensions = actions[0]?.length ?? 4;
      const rows = TOP + CURVE + 10;
      const height = rows + dimensions * 12 + 20;
      const y = (probability) => TOP + CURVE * (1 - probability);
      const words = `Success probability per window and ${dimensions} action dimensions over ${total} frames`;
      WMPO.fill(
        this.root,
        WMPO.html`<svg width="${width}" height="${height}" role="img" aria-label="${words}">
        ${this.ticks(rows + dimensions * 12)}${this.windowShade()}
        <text x="0" y="${y(1) + 8}">p 1</text><text x="0" y="${y(0)}">0</text>
        <line x1="${GUTTER}" x2="${width - 6}" y1="${y(0)}" y2="${y(0)}" class="axis"/>
        ${
          threshold === null || threshold === undefined
            ? ""
            : WMPO.html`<line x1="${GUTTER}" x2="${width - 6}" y1="${y(threshold)}" y2="${y(threshold)}" class="tau"/>
          <text x="${GUTTER + 5}" y="${y(threshold) - 4}" class="tau">τ ${threshold.toFixed(2)}</text>`
        }
        <path d="${this.curve(y)}" class="curve"/>${this.verdict()}
        ${this.actionRows(rows, dimensions)}
        <line class="cursor" y1="0" y2="${rows + dimensions * 12}"/><text class="reading" y="10"></text></svg>`,
      );
      this.cursor(this.at);
    }

    ticks(bottom) {
      const { total, chunk } = this.data;
      const count = Math.floor(total / chunk);
      const skip = Math.ceil(count / Math.max(1, Math.floor(this.root.clientWidth / 46)));
      return Array.from({ length: count + 1 }, (_, index) => {
        const x = this.x(index * chunk);
        const text =
          index % skip
            ? ""
            : WMPO.html`<text x="${x}" y="${bottom + 14}" text-anchor="middle">${index * chunk}</text>`;
        return WMPO.html`<line x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}" class="tick"/>${text}`;
      });
    }

    windowShade() {
      if (!this.data.window) return "";
      const [first, last] = this.data.window;
      const width = this.x(last) - this.x(first);
      return WMPO.html`<rect x="${this.x(first)}" y="${TOP}" width="${width}" height="${CURVE}" class="window"/>`;
    }

    curve(y) {
      const { ends, probabilities } = this.data;
      return ends
        .map(
          (end, index) =>
            `${index ? "L" : "M"}${this.x(end - 1).toFixed(1)},${y(probabilities[index]).toFixed(1)}`,
        )
        .join(" ");
    }

    verdict() {
      const { outcome } = this.data;
      if (!outcome?.success) return "";
      const x = this.x(outcome.end_step);
      return WMPO.html`<line x1="${x}" x2="${x}" y1="${TOP}" y2="${TOP + CURVE}" class="hit"/>
        <circle cx="${x}" cy="${TOP}" r="3.5" class="hit"/>`;
    }

    actionRows(top, dimensions) {
      const { actions } = this.data;
      const names = NAMES[dimensions] ?? Array.from({ length: dimensions }, (_, index) => `a${index + 1}`);
      const scale = Math.max(1, ...actions.flat().map(Math.abs));
      return names.map((name, row) => {
        const y = top + row * 12;
        const cells = actions.map((action, index) => {
          const value = action[row] / scale;
          const left = this.x(index) + 0.4;
          const width = Math.max(1, this.x(index + 1) - left - 0.4);
          return WMPO.html`<rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="9" rx="1.5"
            class="${value < 0 ? "minus" : "plus"}" opacity="${Math.abs(value).toFixed(2)}"/>`;
        });
        return WMPO.html`<text x="0" y="${y + 8}">${name}</text>${cells}`;
      });
    }
  }

  WMPO.Strips = Strips;
})();
