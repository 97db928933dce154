// A wall of any length: only what is near the screen exists, pages come when they are scrolled to. A cell
// keeps its nodes for as long as its item is shown: what a press began, the same button ends.
import { film } from "../player/film.js";
import { draw } from "../web/view.js";

const PAGE = 60;
const GAP = 12;
const KEPT_FILMS = 4000;

export class Grid {
  /** `shape(width)` gives {columns, height} of a cell; `fetch(offset, limit)` an array or null; `key(item)`
   * its name, `cell(item, index)` its view; `films(ids)` pictures for [data-film] elements. */
  constructor(element, { shape, fetch, key, cell, films }) {
    this.element = element;
    this.shape = shape;
    this.fetch = fetch;
    this.key = key;
    this.cell = cell;
    this.films = films;
    this.total = 0;
    this.items = [];
    this.pages = new Map();
    this.shown = new Map();
    this.pictures = new Map();
    this.wanted = new Set();
    this.edition = 0;
    element.classList.add("grid");
    element.setAttribute("role", "list");
    const later = () => (this.frame ??= requestAnimationFrame(() => this.draw()));
    document.addEventListener("scroll", later, { capture: true, passive: true });
    new ResizeObserver(later).observe(element);
  }

  /** Show other items, the first of which are known. */
  reset(total, first = []) {
    this.items = [...first];
    this.pages = new Map();
    if (first.length) this.pages.set(0, Promise.resolve());
    this.total = total;
    this.update();
  }

  /** Show in every cell what its item says now. */
  update() {
    this.edition += 1;
    this.draw();
  }

  draw() {
    this.frame = null;
    const width = this.element.clientWidth;
    if (!this.element.isConnected || !width) return;
    const { columns, height } = this.shape(width);
    const row = height + GAP;
    this.element.style.height = `${Math.ceil(this.total / columns) * row}px`;
    const top = -this.element.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor((top - 2 * row) / row)) * columns;
    const to = Math.min(this.total, Math.ceil((top + innerHeight + 2 * row) / row) * columns);
    const before = new Map([...this.shown.values()].map((node) => [node.dataset.key, node]));
    this.shown = new Map();
    for (let index = from; index < to; index += 1) {
      const item = this.items[index];
      const key = item ? this.key(item) : `place ${index}`;
      const node = before.get(key) ?? this.make(key, item);
      before.delete(key);
      this.shown.set(index, node);
      const left = ((index % columns) * (width + GAP)) / columns;
      node.style.cssText = `width:${(width - GAP * (columns - 1)) / columns}px;height:${height}px;
        transform:translate(${left}px,${Math.floor(index / columns) * row}px)`;
      this.tell(node, item, index);
      if (!item) this.need(Math.floor(index / PAGE));
    }
    before.forEach((node) => node.remove());
  }

  make(key, item) {
    const node = document.createElement("div");
    node.setAttribute("role", "listitem");
    node.dataset.key = key;
    if (!item) node.dataset.empty = "";
    this.element.append(node);
    return node;
  }

  /** What a cell says, where that may have changed. */
  tell(node, item, index) {
    const edition = `${this.edition} ${index} ${this.total}`;
    if (node.dataset.edition === edition) return;
    node.dataset.edition = edition;
    node.setAttribute("aria-posinset", String(index + 1));
    node.setAttribute("aria-setsize", String(this.total));
    if (!item) return;
    draw(node, this.cell(item, index));
    this.picture(node);
  }

  need(page) {
    if (this.pages.has(page)) return this.pages.get(page);
    const { pages } = this;
    const coming = this.fetch(page * PAGE, PAGE).then((items) => {
      if (pages !== this.pages) return;
      if (!items) pages.delete(page);
      else {
        items.forEach((item, index) => (this.items[page * PAGE + index] = item));
        this.draw();
      }
    });
    pages.set(page, coming);
    return coming;
  }

  /** The item of an index, fetched where it is not there yet; null beyond the ends. */
  async at(index) {
    if (index < 0 || index >= this.total) return null;
    if (!this.items[index]) await this.need(Math.floor(index / PAGE));
    return this.items[index] ?? null;
  }

  /** Films are asked for together, a moment later, and only for what is still to be seen. */
  picture(node) {
    node.querySelectorAll("[data-film]").forEach((place) => {
      const known = this.pictures.get(place.dataset.film);
      if (known) film(place, known);
      else this.wanted.add(place.dataset.film);
    });
    if (this.wanted.size) this.timer ??= setTimeout(() => this.develop(), 60);
  }

  async develop() {
    const seen = [...this.wanted].filter((id) => this.places(id).length).slice(0, 24);
    this.wanted = new Set([...this.wanted].filter((id) => this.places(id).length && !seen.includes(id)));
    const answer = seen.length ? await this.films(seen) : {};
    Object.entries(answer ?? {}).forEach(([id, source]) => {
      this.pictures.set(id, source);
      this.places(id).forEach((place) => film(place, source));
    });
    while (this.pictures.size > KEPT_FILMS) this.pictures.delete(this.pictures.keys().next().value);
    this.timer = this.wanted.size ? setTimeout(() => this.develop(), 20) : null;
  }

  places(id) {
    return [...this.element.querySelectorAll(`[data-film="${CSS.escape(id)}"]`)];
  }
}
Grid.PAGE = PAGE;
