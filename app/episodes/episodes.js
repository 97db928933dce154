// Episodes: a wall of last windows under a filter, a drawer for one of them, and what is done to many.
import { Judging } from "../judging/judging.js";
import { Drawer } from "../player/drawer.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { handOver } from "../web/errands/exports.js";
import { counted, fixed, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { toast } from "../web/toast.js";
import { view } from "../web/view.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { importer } from "./imports.js";

const template = html`<div class="wm episodes">
  <div class="card filters"></div>
  <div class="between bulk"><span class="mono total" role="status"></span><span class="row chosen">
    <b class="count"></b>
    <button data-all="success" class="ok">✓ Success</button><button data-all="fail" class="bad">✕ Fail</button>
    <button data-all="broke" class="warn">Dream broke</button><button data-all="queue">Add to queue</button>
    <button data-all="export">Export list</button><button data-all="lerobot">Export LeRobot</button><button
      class="quiet" data-all="none">Choose none</button></span><span class="import"></span></div>
  <div class="import-answer"></div>
  <div class="episode-wall"></div>
  <p class="empty" hidden><b>No episode fits</b> Widen the filter, <a href="imagine">imagine an episode</a> or
    <a href="train">start a run</a>.</p></div>`;
const MARKS = { success: ["ok", "✓"], fail: ["bad", "✕"], unsure: ["warn", "?"] };
const COLUMNS = ["id", "task", "start_id", "imagined", "success", "end_step", "probability", "threshold"];
const MORE = ["drift", "run", "iteration", "group", "member", "reward", "advantage", "created"];
const FARTHEST = 1200; // episodes of a wall that are looked through for one that was opened by its link

class Episodes {
  constructor(element, props, server) {
    fill(element, template);
    this.element = element;
    this.server = server;
    this.chosen = new Map();
    this.drawer = null;
    this.epoch = 0;
    this.place = 0;
    this.find = (selector) => element.querySelector(selector);
    this.judging = new Judging(server, {
      mode: "episodes",
      onSaid: (clip) => this.relabel(clip),
      onAck: (ack, clip) => this.onAck(ack, clip),
    });
    this.grid = new Grid(this.find(".episode-wall"), {
      shape: (width) => this.shape(width),
      fetch: (offset, limit) => this.page(offset, limit),
      key: (item) => item.id ?? [item.run, item.iteration, item.start_id].join(" "),
      cell: (item, index) => (this.filters.grouped ? this.group(item) : this.tile(item, index)),
      films: (ids) => ask(server, "films", { ids }, true),
    });
    this.filters = new Filters(this.find(".filters"), {
      orders: props.orders,
      onChange: () => this.search(),
      saveView: (view) => ask(server, "save_view", view),
    });
    this.filters.draw();
    if (props.imports)
      importer(this.find(".import"), this.find(".import-answer"), {
        take: (data) => ask(server, "import_episodes", { data }),
        onTaken: (ids) => this.taken(ids),
      });
    element.addEventListener("click", (event) => this.onClick(event));
    const move = (by) => () => this.focus(by);
    const across = () => this.shape(this.grid.element.clientWidth).columns;
    keys.use(["episodes"], {
      next: move(1),
      previous: move(-1),
      rowDown: () => this.focus(across()),
      rowUp: () => this.focus(-across()),
      choose: () => this.toggle(this.grid.items[this.place]),
      open: () => this.show(this.grid.items[this.place]?.id),
    });
    this.begin();
  }

  async begin() {
    this.search();
    const asked = address.get("ep");
    const at = address.get("t");
    if (asked) this.show(asked, at === null ? {} : { at: Number(at) });
    const answer = await ask(this.server, "facets", {}, true);
    if (!answer) return;
    this.filters.show(answer.facets, answer.views);
    this.grid.update(); // with the names of runs
  }

  ask(offset, limit, quiet) {
    const { grouped, query } = this.filters;
    return ask(this.server, grouped ? "find_groups" : "find", { ...query, offset, limit }, quiet);
  }

  search() {
    this.searched = this.fill();
    return this.searched;
  }

  async fill() {
    const epoch = ++this.epoch;
    const { grouped } = this.filters;
    const answer = await this.ask(0, grouped ? 12 : Grid.PAGE, false);
    if (!answer || epoch !== this.epoch) return;
    const total = grouped ? answer.num_groups : answer.total;
    this.place = 0;
    this.grid.reset(total, grouped ? [] : answer.episodes);
    if (grouped) answer.groups.forEach((group, index) => (this.grid.items[index] = group));
    this.grid.update();
    const episodes = counted(answer.total, "episode");
    const groups = grouped ? ` in ${counted(total, "group")}` : "";
    this.find(".total").textContent = episodes + groups;
    this.find(".empty").hidden = total > 0;
  }

  /** Groups are fetched in smaller parts than a page of the wall. */
  async page(offset, limit) {
    if (!this.filters.grouped) return (await this.ask(offset, limit, true))?.episodes ?? null;
    const parts = [];
    for (let from = offset; from < Math.min(offset + limit, this.grid.total); from += 20)
      parts.push(...((await this.ask(from, 20, true))?.groups ?? []));
    return parts;
  }

  shape(width) {
    if (this.filters.grouped) {
      const members = Math.max(3, Math.min(8, Math.floor(width / 118)));
      return { columns: 1, height: (width - 28 - 10 * (members - 1)) / members + 86 };
    }
    const columns = Math.max(2, Math.floor((width + 12) / 164));
    return { columns, height: (width - 12 * (columns - 1)) / columns + 44 };
  }

  tile(item, index) {
    const [tone, mark] = item.label
      ? (MARKS[item.label.outcome] ?? (item.label.dream_broke ? ["warn", "broke"] : ["", ""]))
      : ["", ""];
    const verdict = item.judged ? (item.success ? "success" : "fail") : "nobody judged";
    const [sign, colour] = item.judged ? (item.success ? ["✓", "ok"] : ["✕", "bad"]) : ["?", "mute"];
    const human = item.label ? `, judged ${item.label.outcome ?? "dream broke"}` : "";
    const run = item.run ? this.filters.runName(item.run) : "";
    const words = `${item.id}, ${item.imagined ? "imagined" : "real"} ${verdict}${human}`;
    return view`<button class="shot" data-open="${item.id}" data-index="${index ?? ""}" aria-label="${words}">
        <span class="film" data-film="${item.id}"></span>
        <span class="between"><b class="${colour}">${sign} <span
          class="mono">${(item.probability ?? null) === null ? verdict : fixed(item.probability)}</span></b>${
            item.label ? view`<span class="tag ${tone}" title="human label">${mark}</span>` : ""
          }</span>
        <span class="mute where" title="${run}">${item.imagined ? "" : "real · "}${
          item.iteration === null ? "" : `iteration ${item.iteration} · `
        }${item.run ? run : integer(item.start_id)}</span></button>
      <button class="pick" data-pick="${item.id}" role="checkbox" aria-checked="${String(this.chosen.has(item.id))}"
        aria-label="Choose ${item.id}"></button>`;
  }

  group({ start_id: start, kept, reason, run, iteration, members }) {
    const cell = (item) => view`<div class="member">${this.tile(item)}</div>`;
    const name = run ? this.filters.runName(run) : "demo";
    return view`<section class="card family ${kept ? "" : "dropped"}"><div class="between"><span
      class="mono">start ${integer(start)} · ${name} · iteration ${iteration ?? "–"}</span>
      <span class="tag ${kept ? "ok" : ""}">${reason}</span></div><div
        class="members">${members.map(cell)}</div></section>`;
  }

  items() {
    const known = this.grid.items.filter(Boolean);
    return this.filters.grouped ? known.flatMap((group) => group.members) : known;
  }

  onClick(event) {
    const { open, pick, all } = event.target.closest("[data-open], [data-pick], [data-all]")?.dataset ?? {};
    if (pick)
      this.toggle(
        this.items().find((item) => item.id === pick),
        event.shiftKey,
      );
    else if (open && (event.ctrlKey || event.metaKey))
      this.toggle(this.items().find((item) => item.id === open));
    else if (open) this.show(open);
    else if (all) this.bulk(all);
  }

  toggle(item, range = false) {
    if (!item?.id) return;
    const items = this.items();
    const to = items.indexOf(item);
    const from = range && this.picked !== undefined ? this.picked : to;
    const on = !this.chosen.has(item.id);
    for (const one of items.slice(Math.min(from, to), Math.max(from, to) + 1))
      on ? this.chosen.set(one.id, one) : this.chosen.delete(one.id);
    this.picked = to;
    this.mark();
  }

  mark() {
    this.grid.update();
    this.find(".count").textContent = `${this.chosen.size} chosen`;
    this.element.firstElementChild.classList.toggle("choosing", this.chosen.size > 0);
  }

  /** Keys walk over the wall. */
  async focus(by) {
    if (this.filters.grouped) return;
    const active = document.activeElement?.getAttribute("data-index");
    const next = !active && by === 1 && this.place === 0 ? 0 : this.place + by;
    if (!(await this.grid.at(next))) return;
    this.place = next;
    const { columns, height } = this.shape(this.grid.element.clientWidth);
    const top = this.grid.element.getBoundingClientRect().top + Math.floor(next / columns) * (height + 12);
    if (top < 60 || top + height > innerHeight) window.scrollBy(0, top - innerHeight / 3);
    this.grid.draw();
    this.grid.shown.get(next)?.querySelector(".shot")?.focus({ preventScroll: true });
  }

  async show(id, where = {}) {
    if (!id) return;
    this.drawer ??= new Drawer({
      server: this.server,
      clip: (name) => this.clip(name),
      move: (by) => this.neighbour(by),
      judging: this.judging,
      siblings: async (clip) => (await this.siblings(clip)) ?? [],
      onClose: () => {
        this.drawer = null;
        this.element.querySelector(`[data-open="${CSS.escape(this.last ?? "")}"]`)?.focus();
      },
    });
    this.last = id;
    await this.drawer.open(id, where);
  }

  /** A clip with the label that stands, which the wall may know better. */
  async clip(id) {
    const clip = await ask(this.server, "clip", { episode: id });
    return clip && { ...clip, label: this.items().find((item) => item.id === id)?.label ?? clip.label };
  }

  async neighbour(by) {
    await this.searched; // a key may come before the wall does
    const { grouped } = this.filters;
    const items = grouped ? this.items() : this.grid.items;
    const found = () => items.findIndex((item) => item?.id === this.drawer.id);
    // An episode by its link may stand far down a wall of which only the top is known.
    const most = grouped ? 0 : Math.min(this.grid.total, FARTHEST);
    for (let first = Grid.PAGE; found() < 0 && first < most; first += Grid.PAGE)
      if (!(await this.grid.at(first))) break;
    const index = found() + by;
    const item = grouped ? items[index] : await this.grid.at(index);
    this.place = item ? index : this.place;
    this.last = item?.id ?? this.last;
    return item?.id ?? null;
  }

  async siblings(clip) {
    const { group } = clip;
    if (group === null || group === undefined) return [];
    return (await ask(this.server, "siblings", { episode: clip.id }, true))?.members;
  }

  /** The wall shows the label that stands at a clip now. */
  relabel(clip) {
    const known = this.items().find((one) => one.id === clip.id);
    if (known) known.label = clip.label;
  }

  onAck(ack, clip) {
    if (clip) this.relabel(clip);
    this.drawer?.acknowledge(ack, clip);
    clearTimeout(this.redraw);
    this.redraw = setTimeout(() => this.grid.update(), 50);
  }

  async bulk(action) {
    const items = [...this.chosen.values()];
    if (action === "none") this.chosen.clear();
    if (action === "success" || action === "fail")
      items.forEach((item) => this.judging.say(item, { outcome: action }));
    if (action === "broke") items.forEach((item) => this.judging.say(item, { dream_broke: true }));
    if (action === "export") this.download(items);
    if (action === "lerobot") {
      const episodes = items.map((item) => item.id);
      const answer = await ask(this.server, "export_episode", { episodes, format: "lerobot" });
      if (answer) handOver(answer.data, answer.name);
    }
    if (action === "queue") {
      const answer = await ask(this.server, "queue", { ids: items.map((item) => item.id) });
      if (answer) toast(`${answer.added} more to judge: Label, “queue first”`, "note");
    }
    this.mark();
  }

  /** Episodes from a file are there: the wall shows them, and a single one is opened. */
  async taken(ids) {
    await this.search();
    if (ids.length === 1) this.show(ids[0]);
  }

  download(items) {
    const quote = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
    const names = [...COLUMNS, ...MORE];
    const rows = items.map((item) => [
      ...names.map((name) => item[name]),
      item.label?.outcome,
      item.label?.dream_broke,
    ]);
    const text = [[...names, "human", "dream_broke"], ...rows]
      .map((row) => row.map(quote).join(","))
      .join("\n");
    const address = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    handOver(address, "episodes.csv");
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}

export const mountEpisodes = ({ element, props, server }) => new Episodes(element, props, server);
