// Label: one clip, one key, next clip. The screen never waits for the server; nothing is lost.
(() => {
  const RENEW = 45_000; // milliseconds between renewals of what is leased; a lease lasts longer
  const SETTLE = 3_000; // statistics are asked for at most this often

  const template = WMPO.html`<div class="wm judge-page"><div class="card">
    ${WMPO.labelModes("clip")}<div class="queues"></div>
    <div class="between"><div class="question"><b>Did it succeed?</b> <span class="mute instruction"></span></div>
      <div class="row"><button data-do="blind" aria-pressed="true">Blind <kbd>h</kbd></button><span
        class="mono mute pace"></span></div></div>
    <div class="board"><div class="screen"></div>
      <div class="aside"><div class="model"></div><div class="verdicts-of-others"></div><h3>Next up</h3>
        <div class="upcoming"></div><div class="marks"></div><dl class="facts"></dl></div></div>
    <div class="verdicts">
      <button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
        <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
      <button data-do="unsure">? Unsure <kbd>u</kbd></button>
        <button data-do="broke" class="warn" aria-pressed="false">Dream broke <kbd>w</kbd></button></div>
    <div class="between foot"><span class="mono mute saved" role="status">&nbsp;</span>
      <span class="row"><button class="quiet" data-do="undo">Undo <kbd>z</kbd></button>
        <button class="quiet" data-do="redo">Redo <kbd>shift z</kbd></button>
        <button class="quiet" data-do="skip">Skip <kbd>k</kbd></button>
        <button class="quiet" data-do="whole">Whole clip <kbd>shift space</kbd></button></span></div>
    <div class="strip"></div></div>
    <div class="card rail"><h3>Last judgements</h3><ul class="history"></ul><h3>So far</h3>
      <dl class="facts counts"></dl><div class="agreement"></div></div></div>`;

  class Judge {
    constructor(element, props, server, send) {
      WMPO.fill(element, template);
      Object.assign(this, {
        element,
        server,
        strokes: [],
        undone: [],
        back: -1,
        full: false,
        flag: false,
        started: 0,
      });
      this.find = (selector) => element.querySelector(selector);
      this.blindfold = WMPO.memory.get("blind", true);
      this.strips = new WMPO.Strips(this.find(".strip"), {
        onSeek: (frame) => this.player.jump(frame),
      });
      this.player = new WMPO.Player(this.find(".screen"), {
        label: "Clip frame",
        onCursor: (frame) => this.strips.cursor(frame),
        onSwipe: (way) => this.swipe(way),
      });
      this.queues = new WMPO.Queues(this.find(".queues"), {
        props,
        server,
        onChange: () => this.restart(),
      });
      const save = async (modes) => (await WMPO.ask(server, "save_modes", { modes }))?.modes;
      this.marks = new WMPO.Marks(this.find(".marks"), {
        modes: props.modes,
        cursor: () => this.player.cursor,
        loop: () => this.player.loop,
        save: props.public ? null : save,
      });
      this.outbox = new WMPO.Outbox(
        "unsent",
        (strokes) => send({ strokes, actor: this.queues.actor, queue: this.queues.name }),
        (ack) => this.onAck(ack),
      );
      this.supply = new WMPO.Supply(element, server, this.queues, () => this.outbox.waiting);
      this.history = new WMPO.History(this.find(".history"), (item) => this.supply.fetch(item));
      element.addEventListener("click", (event) => this.onClick(event));
      WMPO.keys.use(["label", "player"], { ...this.player.actions(), ...this.actions() });
      this.begin();
    }

    /** What the keys of the page do. */
    actions() {
      const named = ["success", "fail", "unsure", "broke", "agree", "disagree", "undo", "redo"];
      const actions = Object.fromEntries(
        [...named, "skip", "previous", "blind", "whole"].map((name) => [name, () => this[name]()]),
      );
      ["mode1", "mode2", "mode3", "mode4", "mode5", "mode6", "mode7", "mode8"].forEach(
        (name, index) => (actions[name] = () => this.marks.choose(index)),
      );
      return {
        ...actions,
        mark: () => this.marks.frame(),
        span: () => this.marks.span(),
        note: () => this.marks.write(),
      };
    }

    async begin() {
      await this.queues.begin();
      await this.supply.refill();
      const asked = WMPO.address.get("episode");
      const record = asked && (await WMPO.ask(this.server, "episode", { episode: asked }));
      if (record) this.supply.bring(record);
      this.open();
      this.outbox.flush();
      this.remember();
      WMPO.every(this.element, RENEW, () => this.queues.name && this.supply.refill());
    }

    async restart() {
      Object.assign(this, { strokes: [], undone: [], back: -1 });
      this.history.clear();
      this.supply.clear();
      this.open();
      await this.supply.refill();
      this.open();
      this.remember();
    }

    get item() {
      return this.supply.item;
    }

    async open() {
      const { item } = this;
      this.flag = Boolean(item?.label?.dream_broke);
      this.clip = null;
      this.marks.set(item?.label ?? {});
      this.show();
      this.supply.prefetch();
      if (!item) {
        this.player.clear();
        return;
      }
      const clip = await this.supply.fetch(item);
      if (item !== this.item) return;
      if (!clip) {
        this.supply.done(item);
        WMPO.toast(`${item.id} cannot be shown; it is passed over.`);
        this.open();
        return;
      }
      this.clip = clip;
      this.started = performance.now();
      this.full = false;
      this.player.load(clip.images, { loop: this.decisive(), chunk: clip.chunk, peak: WMPO.peakOf(clip) });
      this.player.setSpeed(2);
      this.player.play();
      this.show();
    }

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
      if (this.clip && !this.blindfold) this.say(this.clip.success ? "success" : "fail");
    }
    disagree() {
      if (this.clip && !this.blindfold) this.say(this.clip.success ? "fail" : "success");
    }
    broke() {
      this.flag = !this.flag;
      this.show();
    }
    blind() {
      this.blindfold = !this.blindfold;
      WMPO.memory.set("blind", this.blindfold);
      this.show();
    }
    skip() {
      if (!this.item) return;
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
      this.player.setLoop(this.full ? [0, this.player.last] : this.decisive());
      this.player.play();
      this.show();
    }
    swipe(way) {
      ({ left: () => this.fail(), right: () => this.success(), up: () => this.unsure() })[way]?.();
    }

    say(outcome) {
      const { item, clip } = this;
      if (!item || !clip) return;
      if (this.supply.lapsed(item)) {
        this.recover();
        return;
      }
      const best = clip.probabilities?.length ? Math.max(...clip.probabilities) : null;
      this.undone = [];
      this.put(item, {
        episode_id: item.id,
        outcome,
        dream_broke: this.flag ? true : item.label ? false : null,
        ...this.marks.values(outcome),
        mode: this.queues.deciding ? "adjudicate" : this.blindfold ? "blind" : "review",
        model_probability: best,
        threshold: clip.threshold ?? null,
        checkpoint: clip.lineage?.reward_model ?? null,
        latency_ms: Math.round(performance.now() - this.started),
        supersedes: item.label?.event_id ?? null,
        actor: this.queues.actor,
      });
      WMPO.address.set("episode", null);
      this.open();
      if (this.supply.low)
        this.supply.refill().then(() => {
          if (!this.clip) this.open();
          else this.show();
        });
    }

    /** A judgement on its way: in the outbox, among the strokes that can be undone, in the rail. */
    put(item, said) {
      const stroke = { event_id: WMPO.uuid(), ...said };
      const clip = this.clip?.id === item.id ? this.clip : null;
      this.back = -1;
      this.strokes.push({ at: Date.now(), stroke, item });
      this.supply.done(item);
      this.history.add(stroke, clip);
      this.outbox.add(stroke);
      this.rail();
    }

    /** The lease ran out while nobody touched the page: it is renewed, or the clip is another's. */
    async recover() {
      const { item } = this;
      if (!(await this.supply.refill())) {
        WMPO.toast("The studio does not answer; this clip was held too long to be judged unasked.");
        return;
      }
      if (this.item !== item) WMPO.toast("Somebody else took this clip meanwhile; here is the next.", "note");
      this.open();
    }

    undo() {
      const last = this.strokes.pop() ?? this.fromHistory();
      if (!last) {
        WMPO.toast("There is nothing to undo.", "note");
        return;
      }
      const { actor, event_id: id } = last.stroke;
      this.outbox.add({ event_id: WMPO.uuid(), undo: id, actor: actor ?? this.queues.actor });
      this.undone.push(last);
      this.history.drop(id);
      this.bring({ ...last.item, until: null });
      this.rail();
    }

    /** The judgement taken back last is given again: a new event that says the same. */
    redo() {
      const last = this.undone.pop();
      if (!last) {
        WMPO.toast("There is nothing to redo.", "note");
        return;
      }
      const { event_id: _, ...said } = last.stroke;
      this.put(last.item, said);
      this.open();
    }

    fromHistory() {
      const [entry] = this.history.entries;
      if (!entry) return null;
      const named = ["outcome", "dream_broke", "end_step", "span_first", "span_last", "failure_mode", "note", "mode"];
      const stroke = Object.fromEntries(["event_id", "episode_id", ...named].map((name) => [name, entry[name] ?? null]));
      return { stroke: { ...stroke, actor: this.queues.actor }, item: { id: entry.episode_id, label: null } };
    }

    /** Back at a judged clip; a judgement now corrects the one that stands. */
    again(entry) {
      if (entry) this.bring({ id: entry.episode_id, label: entry });
    }

    bring(item) {
      this.supply.bring(item);
      this.open();
    }

    previous() {
      if (this.back + 1 >= this.history.entries.length) return;
      this.back += 1;
      this.again(this.history.entries[this.back]);
    }

    onClick(event) {
      const entry = event.target.closest("[data-event]");
      if (entry) this.again(this.history.entries.find((item) => item.event_id === entry.dataset.event));
      const action = event.target.closest("button[data-do]")?.dataset.do;
      if (action && this[action] && !event.target.closest(".scrub")) this[action]();
    }

    onAck(ack) {
      if (ack.refused) {
        WMPO.toast(ack.refused);
        return;
      }
      this.find(".saved").textContent = `saved #${WMPO.integer(ack.seq)} at ${WMPO.clock(ack.at)}`;
      this.count();
    }

    take(answer) {
      if (answer.history) this.history.take(answer.history, this.outbox.waiting);
      if (answer.counts) this.counts = answer.counts;
      this.rail();
    }

    /** The rail anew; after a judgement it comes with the answer. */
    async remember() {
      const question = { actor: this.queues.actor, queue: this.queues.name };
      const answer = await WMPO.ask(this.server, "rail", question, true);
      if (answer) this.take(answer);
      this.count();
    }

    /** Progress and agreement anew, once in a while. */
    async count() {
      this.stale = Boolean(this.counting);
      if (this.counting) return;
      this.counting = true;
      const { name } = this.queues;
      const answer = await WMPO.ask(this.server, "statistics", { queue: name }, true);
      if (answer && this.queues.name === name) {
        this.statistics = answer;
        this.queues.count(answer);
        this.rail();
      }
      setTimeout(() => {
        this.counting = false;
        if (this.stale) this.count();
      }, SETTLE);
    }

    acknowledge(answer) {
      if (answer?.acks) this.outbox.acknowledge(answer.acks);
      if (answer) this.take(answer);
    }

    show() {
      const { item, clip } = this;
      this.element.firstElementChild.classList.toggle("blindfold", this.blindfold);
      this.find(".instruction").textContent = clip?.instruction ?? "";
      this.find("[data-do=blind]").setAttribute("aria-pressed", String(this.blindfold));
      this.find("[data-do=broke]").setAttribute("aria-pressed", String(this.flag));
      this.find("[data-do=whole]").setAttribute("aria-pressed", String(this.full));
      for (const button of this.element.querySelectorAll(".verdicts button, [data-do=skip], [data-do=whole]"))
        button.disabled = !item;
      this.player.note.textContent = item ? (clip ? "" : "fetching the clip…") : "";
      this.find(".screen").classList.toggle("nothing", !item);
      WMPO.showUpcoming(this.find(".upcoming"), this.item ? this.supply.items.slice(1, 7) : null, (next) =>
        this.supply.fetch(next),
      );
      WMPO.showModel(this.find(".model"), clip, this.blindfold);
      WMPO.showFacts(this.find(".aside .facts"), this.facts());
      const strip = this.find(".strip");
      strip.hidden = this.blindfold || !clip;
      WMPO.showVerdicts(this.find(".verdicts-of-others"), item?.verdicts ?? []);
      if (clip) this.strips.show(WMPO.stripsOf(clip, { window: this.decisive() }));
    }

    /** What the aside says of the clip. */
    facts() {
      const { clip, item } = this;
      if (!clip) return [];
      const window = this.decisive();
      return [
        ["episode", item.id],
        ...(this.blindfold ? [] : [["kind", clip.imagined ? "imagined" : "real"]]),
        ["start", clip.start_id < 0 ? "uploaded image" : WMPO.integer(clip.start_id)],
        ["looping", this.full || !window ? "whole clip" : `frames ${window[0]}–${window[1]}`],
      ];
    }

    rail() {
      WMPO.showCounts(this.find(".counts"), this.counts ?? {});
      WMPO.showAgreement(this.find(".agreement"), this.statistics, this.queues.actor);
      const recent = this.strokes.filter((stroke) => Date.now() - stroke.at < 60000).length;
      this.find(".pace").textContent = WMPO.pace(recent, this.queues.record, this.statistics?.human_model);
    }
  }

  WMPO.mountJudge = ({ element, props, server, send, watch }) => {
    const judge = new (WMPO.address.get("mode") === "ab" ? WMPO.Compare : Judge)(element, props, server, send);
    watch("value", () => judge.acknowledge(props.value));
  };
})();
