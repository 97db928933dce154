// A wall of any length: only what is near the screen exists, pages come when they are scrolled to.
import { film } from "../player/film.js";
import { fill } from "../web/html.js";

const PAGE = 60;
const GAP = 12;
const KEPT_FILMS = 4000;

export class Grid {
  /** `shape(width)` gives {columns, height} of a cell; `fetch(offset, limit)` an array or null;
   * `cell(item, index)` the content of a cell; `films(ids)` pictures for [data-film] elements. */
  constructor(element, { shape, fetch, cell, films }) {
    this.element = element;
    this.shape = shape;
    this.fetch = fetch;
    this.cell = cell;
    this.films = films;
    this.total = 0;
    this.items = [];
    this.pages = new Map();
    this.shown = new Map();
    this.pictures = new Map();
    this.wanted = new Set();
    element.classList.add("grid");
    element.setAttribute("role", "list");
    const later = () => (this.frame ??= requestAnimationFrame(() => this.draw()));
    document.addEventListener("scroll", later, { capture: true, passive: true });
    new ResizeObserver(later).observe(element);
  }

  reset(total, first = []) {
    this.items = [...first];
    this.pages = new Map();
    if (first.length) this.pages.set(0, Promise.resolve());
    this.total = total;
    this.clear();
  }

  /** Draw every cell anew, with the items as they are. */
  clear() {
    this.shown.forEach((node) => node.remove());
    this.shown.clear();
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
    this.shown.forEach((node, index) => {
      if (index >= from && index < to && this.width === width) return;
      node.remove();
      this.shown.delete(index);
    });
    this.width = width;
    for (let index = from; index < to; index += 1) {
      const known = this.shown.get(index);
      const item = this.items[index];
      if (known && (known.dataset.empty === undefined || !item)) continue;
      known?.remove();
      const node = document.createElement("div");
      node.setAttribute("role", "listitem");
      node.setAttribute("aria-posinset", String(index + 1));
      node.setAttribute("aria-setsize", String(this.total));
      const left = ((index % columns) * (width + GAP)) / columns;
      node.style.cssText = `width:${(width - GAP * (columns - 1)) / columns}px;height:${height}px;
        transform:translate(${left}px,${Math.floor(index / columns) * row}px)`;
      if (item) fill(node, this.cell(item, index));
      else node.dataset.empty = "";
      this.shown.set(index, node);
      this.element.append(node);
      this.picture(node);
      if (!item) this.need(Math.floor(index / PAGE));
    }
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
