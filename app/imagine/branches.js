// Branches: the tree of a dream with a verdict at each leaf, and its futures as a wall in step.
import { images, Stage } from "../player/stage.js";
import { counted, fixed } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const ROW = 26;
const KINDS = { policy: "policy noise", world: "world noise", nudge: "nudge" };
const tone = (verdict) => (verdict === "success" ? "ok" : verdict === "fail" ? "bad" : "open");
const driver = (node) =>
  node.vary === "nudge"
    ? "nudged"
    : node.driver === "human"
      ? "you"
      : node.driver === "shared"
        ? "shared"
        : "";

export class Branches {
  constructor(element, futures, dream) {
    this.element = element;
    this.futures = futures;
    this.dream = dream;
    this.nodes = [];
    this.current = 0;
    this.stages = [];
    this.leaves = [];
    this.paths = [];
    fill(
      element,
      html`<h3>Branches</h3><div class="tree"></div>
        <div class="row grow-form"><select aria-label="What varies" class="vary">${Object.entries(KINDS).map(
          ([value, text]) => html`<option value="${value}">${text}</option>`,
        )}</select>
        <select aria-label="Number of futures"
          class="count">${[1, 2, 4, 8].map((n) => html`<option>${n}</option>`)}</select>
        <span class="row nudge" hidden><select aria-label="Nudged dimension" class="dimension"></select>
          <input type="number" aria-label="Size of the nudge" class="amount" value="0.5" step="0.1" min="-2"
            max="2"></span>
        <button data-do="branch">Branch here <kbd>b</kbd></button></div>`,
    );
    this.find = (selector) => element.querySelector(selector);
    this.find(".count").value = "4";
    this.find(".vary").addEventListener("change", () => {
      this.find(".nudge").hidden = this.find(".vary").value !== "nudge";
    });
    element.addEventListener("click", (event) => {
      const node = event.target.closest("[data-node]")?.dataset.node;
      if (node !== undefined) this.go(Number(node));
    });
    element.addEventListener("keydown", (event) => {
      const node = event.target.closest("[data-node]")?.dataset.node;
      if (node === undefined || !["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      this.go(Number(node));
    });
    futures.addEventListener("click", (event) => {
      const leaf = event.target.closest("[data-leaf]")?.dataset.leaf;
      if (leaf !== undefined) this.go(Number(leaf), 0);
    });
    dream.watch((kind) => this.heard(kind));
  }

  heard(kind) {
    if (kind === "cleared") {
      Object.assign(this, { nodes: [], leaves: [], stages: [], paths: [], known: "" });
      this.futures.hidden = true;
    }
    if (kind !== "taken") return;
    const known = `${this.dream.epoch}/${this.dream.nodes.at(-1)}/${this.dream.state}`;
    if (known !== this.known && this.dream.state !== "running") this.fetch();
    this.known = known;
  }

  async fetch() {
    const { turn } = this.dream;
    const answer = await this.dream.ask("dream_tree", {}, true);
    if (!answer || turn !== this.dream.turn) return;
    Object.assign(this, { nodes: answer.nodes, current: answer.current });
    this.show();
  }

  async go(node, at = /** @type {number | null} */ (null)) {
    if (!(await this.dream.select(node))) return;
    if (at !== null) {
      this.dream.player.clock.jump(Math.max(at, this.from ?? 0));
      this.dream.player.clock.play();
    }
    await this.fetch();
  }

  /** Futures from the cursor's chunk: all are imagined, the first is shown, the others beside it. */
  async grow() {
    const { dream } = this;
    if (dream.busy || !(await dream.ready())) return;
    if (dream.state === "running") await dream.act("pause");
    let node = dream.nodeAt(dream.player.clock.cursor);
    const ended = dream.state === "done" && node === dream.nodes.at(-1);
    if (ended) node = dream.nodes.at(-2) ?? 0;
    const question = { node, vary: this.find(".vary").value, count: Number(this.find(".count").value) };
    if (question.vary === "nudge")
      Object.assign(question, {
        dimension: this.find(".dimension").value,
        amount: Number(this.find(".amount").value),
      });
    dream.busy = `imagining ${counted(question.count, "future")}…`;
    dream.tell("shown");
    const answer = await dream.ask("branch_dream", question);
    dream.busy = null;
    dream.tell("shown");
    if (!answer) return;
    this.from = node === 0 ? 0 : (dream.nodes.indexOf(node) + 1) * dream.chunkSize;
    await this.wall(answer.leaves, KINDS[question.vary]);
    await this.go(answer.leaves[0], this.from);
  }

  async wall(leaves, kind) {
    const paths = await Promise.all(leaves.map((node) => this.dream.ask("pull_dream", { node }, true)));
    const known = paths.map((path, index) => path && { ...path, leaf: leaves[index] }).filter(Boolean);
    this.futures.hidden = false;
    fill(
      this.futures,
      html`<h3>${counted(known.length, "future")} from frame ${this.from} · ${kind}</h3><div
        class="future-wall">
        ${known.map(
          ({ leaf }) => html`<button class="future" data-leaf="${leaf}"><span class="place"></span>
            <span class="between"><span class="mono"></span><b></b></span></button>`,
        )}</div>`,
    );
    this.paths = known;
    this.stages = [...this.futures.querySelectorAll(".place")].map((place, index) => ({
      stage: new Stage(place, { label: `Future ${index + 1}` }),
      images: images(known[index].frames),
    }));
    this.leaves = leaves;
    this.cursor(this.dream.player.clock.cursor);
  }

  cursor(frame) {
    for (const { stage, images } of this.stages) {
      const at = Math.min(frame, images.length - 1);
      stage.paint(images[at], at);
    }
    const from = this.dream.nodeAt(frame);
    this.element.querySelector(".at")?.classList.remove("at");
    this.element.querySelector(`[data-node="${from}"]`)?.classList.add("at");
  }

  show() {
    const dims = this.dream.dims.map((name) => html`<option>${name}</option>`);
    const menu = this.find(".dimension");
    if (menu.childElementCount !== dims.length) fill(menu, html`${dims}`);
    this.draw();
    for (const tile of this.futures.querySelectorAll("[data-leaf]")) this.badge(tile);
  }

  /** A future's verdict at the threshold of the screen. */
  badge(tile) {
    const leaf = Number(tile.dataset.leaf);
    const path = this.paths.find((one) => one.leaf === leaf);
    if (!path) return;
    const { probabilities, outcome, next } = path;
    const own = this.dream.tried === null;
    const success = (own ? outcome : this.dream.verdictOf({ ...path, after: next, status: path }))?.success;
    const best = fixed(probabilities.length ? Math.max(...probabilities) : null);
    tile.className = `future ${success ? "ok" : "bad"}`;
    tile.classList.toggle("current", leaf === this.dream.nodes.at(-1));
    const words = success ? "success" : "fail";
    tile.setAttribute("aria-label", `Future ${leaf}, ${words}, probability ${best}`);
    tile.querySelector(".mono").textContent = best;
    tile.querySelector("b").textContent = success ? "✓" : "✕";
  }

  /** The verdicts of the tree at the threshold of the screen, by node. */
  verdicts(nodes) {
    const { tried } = this.dream;
    if (tried === null) return new Map(nodes.map((node) => [node.id, node.verdict]));
    const best = new Map();
    for (const node of nodes) best.set(node.id, Math.max(best.get(node.parent) ?? 0, node.probability ?? 0));
    return new Map(
      nodes.map(({ id, verdict }) => [id, best.get(id) >= tried ? "success" : verdict && "fail"]),
    );
  }

  /** Depth to the right, one row for each leaf; a node stands beside its first child. */
  draw() {
    const place = this.find(".tree");
    const nodes = this.nodes.length ? this.nodes : [{ id: 0, parent: null, chunk: 0, leaf: true }];
    const children = new Map(
      nodes.map((node) => [node.id, nodes.filter((other) => other.parent === node.id)]),
    );
    const depth = Math.max(1, ...nodes.map((node) => node.chunk));
    const step = Math.min(34, 170 / depth);
    const at = new Map();
    let row = 0;
    const lay = (node) => {
      const below = children.get(node.id) ?? [];
      const rows = below.map(lay);
      const y = below.length ? (rows[0] + rows[rows.length - 1]) / 2 : 14 + ROW * row++;
      at.set(node.id, [10 + step * node.chunk, y]);
      return y;
    };
    lay(nodes[0]);
    const path = new Set(this.dream.nodes);
    const verdicts = this.verdicts(nodes);
    const edges = nodes.slice(1).map((node) => {
      const [[x1, y1], [x2, y2]] = [at.get(node.parent), at.get(node.id)];
      const middle = (x1 + x2) / 2;
      return html`<path d="M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}"
        class="${this.fate(node, children, verdicts)}
        ${path.has(node.id) ? "path" : ""} ${driver(node) ? "human" : ""}"/>`;
    });
    const dots = nodes.map((node) => {
      const [x, y] = at.get(node.id);
      const verdict = verdicts.get(node.id);
      const words = `Frame ${node.chunk * this.dream.chunkSize}${verdict ? `, ${verdict}` : ""}, go there`;
      const value =
        node.probability === null || node.probability === undefined
          ? ""
          : fixed(node.probability).replace("0.", ".");
      const mark = verdict === "success" ? "✓" : verdict === "fail" ? "✕" : "";
      const said = [mark, value, driver(node)].join(" ");
      const text = html`<text x="${x + 9}" y="${y + 4}" class="${tone(verdict)}">${said}</text>`;
      return html`<g data-node="${node.id}" role="button" tabindex="0" aria-label="${words}" class="${
        node.id === (this.dream.nodes.at(-1) ?? 0) ? "current" : ""
      }"><circle cx="${x}" cy="${y}" r="${
        node.leaf || (children.get(node.id)?.length ?? 0) > 1 || !node.chunk ? 4.5 : 3
      }"/>${node.leaf && node.chunk ? text : ""}</g>`;
    });
    fill(place, html`<svg width="252" height="${Math.max(1, row) * ROW + 8}">${edges}${dots}</svg>`);
  }

  /** The colour of an edge: that of the leaves behind it, where they agree. */
  fate(node, children, verdicts) {
    const below = children.get(node.id) ?? [];
    if (!below.length) return tone(verdicts.get(node.id));
    const fates = new Set(below.map((child) => this.fate(child, children, verdicts)));
    return fates.size === 1 ? [...fates][0] : "open";
  }
}
