// Label: one clip, one key, next clip. The screen never waits for the server; nothing is lost.
import { answerButtons } from "../judging/answers.js";
import { labelOf } from "../judging/label.js";
import {
  nothingLeft,
  showAgreement,
  showCounts,
  showFacts,
  showHistory,
  showModel,
  showUpcoming,
  showVerdicts,
} from "../judging/rail.js";
import { showModes } from "../player/comparisons.js";
import { Player } from "../player/player.js";
import { peakOf, Strips, stripsOf } from "../player/strips.js";
import { address } from "../web/address.js";
import { ask } from "../web/calls.js";
import { integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { memory } from "../web/memory.js";
import { every } from "../web/polling.js";
import { toast } from "../web/toast.js";
import { Compare } from "./compare.js";
import { Marks } from "./marks.js";
import { Practice } from "./practice.js";
import { Queues } from "./queues.js";
import { Session } from "./session.js";
import { Strokes } from "./strokes.js";
import { Supply } from "./supply.js";
import { TaskCard } from "./task.js";

const NAMES = ["success", "fail", "unsure", "broke", "agree", "disagree", "skip", "blind", "whole", "setup"];
const WORDS = "outcome dream_broke end_step span_first span_last failure_mode note mode".split(" ");
const RENEW = 45_000; // milliseconds between renewals of what is leased; a lease lasts longer

const template = html`<div class="wm judge-page"><div class="card desk">
  <div class="top row"><nav class="modes-of-label row" aria-label="Mode"></nav><div class="queues"></div></div>
  <div class="between ask"><div class="question"><b>Did it succeed?</b> <span class="mute instruction"></span></div>
    <div class="row"><span class="row session"></span>
      <button class="quiet narrow" data-do="setup" aria-expanded="false">Which clips…</button>
      <button class="quiet" data-do="blind" aria-pressed="true"
        title="The model's verdict is hidden while you judge">Blind <kbd>h</kbd></button></div></div>
  <div class="practice row" hidden></div>
  <div class="board"><div class="watch"><div class="screen"></div><div
      class="finished" hidden></div><section class="summary" role="status"
      hidden></section><p class="hint narrow">swipe ← fail · success →</p></div>
    <div class="aside"><section class="task-card" aria-label="What counts"></section><div class="model"></div>
      <div class="verdicts-of-others"></div><div class="marks"></div></div></div>
  <div class="verdicts">${answerButtons}</div>
  <div class="between foot"><span class="mono mute saved" role="status">&nbsp;</span>
    <span class="row"><button class="quiet" data-do="undo">Undo <kbd>z</kbd></button>
      <button class="quiet" data-do="redo">Redo <kbd>shift z</kbd></button>
      <button class="quiet" data-do="skip">Skip <kbd>k</kbd></button>
      <button class="quiet" data-do="whole">Whole clip <kbd>shift space</kbd></button></span></div>
  <div class="strip"></div></div>
  <div class="card rail"><h3>Next up</h3><div class="upcoming"></div><dl class="facts this-clip"></dl>
    <h3>Last judgements</h3><ul class="history"></ul><h3>So far</h3>
    <dl class="facts counts"></dl><div class="agreement"></div></div></div>`;

class Judge {
  constructor(element, props, server) {
    fill(element, template);
    this.element = element;
    this.server = server;
    this.asking = true;
    this.full = false;
    this.flag = false;
    this.seen = false; // whether the clip was on the screen: nobody judges what they did not see
    this.started = 0;
    this.pictures = new Map();
    this.find = (selector) => element.querySelector(selector);
    fill(this.find(".finished"), nothingLeft);
    this.blindfold = memory.get("blind", true);
    this.strips = new Strips(this.find(".strip"), {
      onSeek: (frame) => this.player.clock.jump(frame),
    });
    this.player = new Player(this.find(".screen"), {
      label: "Clip frame",
      onCursor: (frame) => this.strips.cursor(frame),
      onSwipe: (way) => this.swipe(way),
    });
    this.queues = new Queues(this.find(".queues"), {
      props,
      server,
      onChange: () => this.restart(),
    });
    const save = async (modes) => (await ask(server, "save_modes", { modes }))?.modes;
    this.marks = new Marks(this.find(".marks"), {
      modes: props.modes,
      cursor: () => this.player.clock.cursor,
      loop: () => this.player.clock.loop,
      save: props.public ? null : save,
    });
    this.practice = new Practice(this.find(".practice"), () => this.strokes && this.open());
    this.strokes = new Strokes(element, server, this);
    this.session = new Session(this.find(".session"), this.find(".summary"), {
      given: () => this.strokes.given,
      goOn: () => this.show(),
    });
    this.task = new TaskCard(this.find(".task-card"), server, (ids) => this.practice.begin(ids));
    this.supply = new Supply(element, server, this.queues, () => this.strokes.judging.waiting);
    element.addEventListener("click", (event) => this.onClick(event));
    keys.use(["label", "player"], { ...this.player.clock.actions(), ...this.actions() });
    this.begin();
  }

  /** What the keys of the page do. */
  actions() {
    const actions = Object.fromEntries(NAMES.map((name) => [name, () => this[name]()]));
    actions.stop = () => this.practice.stop();
    ["mode1", "mode2", "mode3", "mode4", "mode5", "mode6", "mode7", "mode8"].forEach(
      (name, index) => (actions[name] = () => this.marks.choose(index)),
    );
    return {
      ...actions,
      ...this.strokes.actions(),
      mark: () => this.marks.frame(),
      span: () => this.marks.span(),
      note: () => this.marks.write(),
    };
  }

  async begin() {
    await this.queues.begin();
    this.modes();
    await this.refill();
    const asked = address.get("episode");
    const record = asked && (await ask(this.server, "episode", { episode: asked }));
    if (record) this.supply.bring(record);
    this.open();
    this.strokes.remember();
    every(this.element, RENEW, () => this.queues.name && this.supply.refill());
  }

  async restart() {
    this.modes();
    this.strokes.clear();
    this.session.restart();
    this.supply.clear();
    this.rail();
    const coming = this.refill();
    this.open();
    await coming;
    this.open();
    this.strokes.remember();
  }

  /** The first clips; until they are there nobody says that there are none. */
  async refill() {
    this.asking = true;
    await this.supply.refill();
    this.asking = false;
  }

  /** The way to A/B goes to the run that the queue was made of. */
  modes() {
    const run = this.queues.record?.filter.run ?? address.get("run");
    showModes(this.find(".modes-of-label"), "", run);
  }

  get item() {
    return this.practice.item ?? this.supply.item;
  }

  question() {
    return { actor: this.queues.actor, queue: this.queues.name };
  }

  async open() {
    const { item } = this;
    this.flag = Boolean(item?.label?.dream_broke);
    this.clip = null;
    this.seen = false;
    this.marks.set(item?.label ?? {});
    this.player.clear();
    this.show();
    this.supply.prefetch();
    if (!item) return;
    const clip = await this.supply.fetch(item);
    if (item !== this.item) return;
    if (!clip) {
      toast(`${item.id} cannot be shown: the next one follows.`);
      this.supply.done(item);
      if (this.practice.item) this.practice.next();
      else this.open();
      return;
    }
    this.clip = clip;
    this.full = false;
    this.player.load(clip.images, { loop: this.decisive(), chunk: clip.chunk, peak: peakOf(clip) });
    this.player.clock.setSpeed(2);
    this.player.clock.play();
    this.show();
    this.task.show(clip.task);
    await this.player.stage.drawn();
    if (this.seen || clip !== this.clip) return;
    this.seen = true;
    this.started = performance.now();
    this.show();
  }

  /** @returns {[number, number] | null} */
  decisive() {
    const [first, last] = this.clip?.decisive ?? [0, 0];
    return last > first ? [Math.max(0, first), Math.min(last, this.clip.images.length - 1)] : null;
  }

  // What the keys and buttons do.
  success() {
    this.say("success");
  }
  fail() {
    this.say("fail");
  }
  unsure() {
    this.say("unsure");
  }
  agree() {
    if (this.clip && !this.hidden) this.say(this.clip.success ? "success" : "fail");
  }
  disagree() {
    if (this.clip && !this.hidden) this.say(this.clip.success ? "fail" : "success");
  }
  broke() {
    this.flag = !this.flag;
    this.show();
  }
  blind() {
    this.blindfold = !this.blindfold;
    memory.set("blind", this.blindfold);
    this.show();
  }
  skip() {
    if (!this.item) return;
    if (this.practice.item) {
      this.practice.next();
      return;
    }
    if (this.flag) {
      this.say(null);
      return;
    }
    this.supply.skip();
    this.open();
  }
  whole() {
    if (!this.clip) return;
    this.full = !this.full;
    this.player.clock.setLoop(this.full ? [0, this.player.clock.last] : this.decisive());
    this.player.clock.play();
    this.show();
  }
  setup() {
    const open = this.element.firstElementChild.classList.toggle("setting-up");
    this.find("[data-do=setup]").setAttribute("aria-expanded", String(open));
  }
  swipe(way) {
    memory.set("swiped", true);
    ({ left: () => this.fail(), right: () => this.success(), up: () => this.unsure() })[way]?.();
  }

  say(outcome) {
    const { item, clip } = this;
    if (!item || this.session.over) return;
    if (!clip || !this.seen) {
      toast("That was before the clip was on the screen: it is not judged.", "note");
      return;
    }
    if (this.practice.item) {
      this.practice.say(outcome, clip);
      return;
    }
    if (this.supply.lapsed(item)) {
      this.recover();
      return;
    }
    const best = clip.probabilities?.length ? Math.max(...clip.probabilities) : null;
    const { imagined, run_name } = clip;
    const seen = { imagined, run_name, model_success: clip.success, probability: best };
    const broke = this.flag ? true : item.label ? false : null;
    const said = { outcome, dream_broke: broke, ...this.marks.values(outcome) };
    const how = {
      mode: this.queues.deciding ? "adjudicate" : this.blindfold ? "blind" : "review",
      actor: this.queues.actor,
      latency: Math.round(performance.now() - this.started),
    };
    address.set("episode", null);
    this.strokes.say(item, labelOf({ ...clip, id: item.id, label: item.label }, said, how), seen);
    if (this.supply.low)
      this.supply.refill().then(() => {
        if (!this.clip) this.open();
        else this.show();
      });
  }

  /** The lease ran out while nobody touched the page: it is renewed, or the clip is another's. */
  async recover() {
    const { item } = this;
    if (!(await this.supply.refill())) {
      toast("The studio does not answer; this clip was held too long to be judged unasked.");
      return;
    }
    if (this.item !== item) toast("Somebody else took this clip meanwhile; here is the next.", "note");
    this.open();
  }

  recall(entry) {
    const stroke = Object.fromEntries(
      ["event_id", "episode_id", ...WORDS].map((name) => [name, entry[name] ?? null]),
    );
    return { stroke: { ...stroke, actor: this.queues.actor }, item: { id: entry.episode_id, label: null } };
  }

  /** Back at a judged clip; a judgement now corrects the one that stands. */
  again(entry) {
    if (entry) this.bring({ id: entry.episode_id, label: entry });
  }

  bring(item) {
    this.practice.items = [];
    this.practice.show();
    this.supply.bring({ ...item, until: null });
    this.open();
  }

  onClick(event) {
    const action = event.target.closest("button[data-do]")?.dataset.do;
    if (action && !event.target.closest(".scrub")) this.actions()[action]?.();
  }

  count(statistics) {
    this.statistics = statistics;
    this.queues.count(statistics);
  }

  /** Whether the verdict of model and simulator is kept from who judges. */
  get hidden() {
    return this.blindfold || Boolean(this.practice.item);
  }

  show() {
    const { item, clip, hidden } = this;
    const page = this.element.firstElementChild.classList;
    page.toggle("blindfold", hidden);
    page.toggle("swiped", memory.get("swiped", false));
    this.find(".instruction").textContent = clip?.instruction ?? "";
    this.find("[data-do=blind]").setAttribute("aria-pressed", String(this.blindfold));
    this.find("[data-do=broke]").setAttribute("aria-pressed", String(this.flag));
    this.find("[data-do=whole]").setAttribute("aria-pressed", String(this.full));
    for (const button of this.element.querySelectorAll(".verdicts button, [data-do=skip], [data-do=whole]"))
      button.disabled = button.dataset.do === "skip" ? !item : !clip; // nobody answers before they see
    this.player.note.textContent = item && !this.seen ? "fetching the clip…" : "";
    showUpcoming(this.find(".upcoming"), this.supply.items.slice(1, 7), (next) => this.supply.fetch(next));
    this.find(".finished").hidden = Boolean(item) || this.asking;
    showModel(this.find(".model"), clip, hidden);
    showFacts(this.find(".this-clip"), this.facts());
    const strip = this.find(".strip");
    strip.hidden = hidden || !clip;
    showVerdicts(this.find(".verdicts-of-others"), item?.verdicts ?? []);
    if (clip) this.strips.show(stripsOf(clip, { window: this.decisive() }));
  }

  /** What the aside says of the clip. */
  facts() {
    const { clip, item } = this;
    if (!clip) return [];
    const window = this.decisive();
    return [
      ["episode", item.id],
      ...(this.hidden ? [] : [["kind", clip.imagined ? "imagined" : "real"]]),
      ...(this.hidden || !clip.run_name ? [] : [["run", clip.run_name]]),
      ["start", clip.start_id < 0 ? "uploaded image" : integer(clip.start_id)],
      ["looping", this.full || !window ? "whole clip" : `frames ${window[0]}–${window[1]}`],
    ];
  }

  rail() {
    showHistory(this.find(".history"), this.strokes.entries, this.pictures);
    showCounts(this.find(".counts"), this.strokes.counts ?? {});
    showAgreement(this.find(".agreement"), this.statistics, this.queues.actor);
    this.session.show();
    this.picture();
  }

  /** Last frames of the newest judgements, one after another. */
  async picture() {
    const bare = this.strokes.entries.slice(0, 8).find(({ episode_id: id }) => !this.pictures.has(id));
    if (!bare) return;
    this.pictures.set(bare.episode_id, null);
    const clip = await this.supply.fetch({ id: bare.episode_id });
    if (clip) this.pictures.set(bare.episode_id, clip.frames[Math.max(0, (clip.end_step ?? 1) - 1)]);
    this.rail();
  }
}

export const mountJudge = ({ element, props, server }) =>
  new (address.get("mode") === "ab" ? Compare : Judge)(element, props, server);
