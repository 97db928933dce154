// Label: one clip, one key, next clip. The screen never waits for the server; nothing is lost.
(() => {
  const AHEAD = 10; // clips fetched before they are needed

  const template = WMPO.html`<div class="wm judge-page"><div class="card">
    <div class="between"><div class="question"><b>Did it succeed?</b> <span class="mute instruction"></span></div>
      <div class="row"><select aria-label="Which clips" class="kind"></select>
        <select aria-label="Order of the queue" class="order"></select>
        <button data-do="blind" aria-pressed="true">Blind <kbd>h</kbd></button><span class="mono mute pace">
        </span></div></div>
    <div class="board"><div class="screen"></div>
      <div class="aside"><div class="model"></div><h3>Next up</h3><div class="upcoming"></div><dl class="facts">
        </dl></div></div>
    <div class="verdicts">
      <button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
        <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
      <button data-do="unsure">? Unsure <kbd>u</kbd></button>
        <button data-do="broke" class="warn" aria-pressed="false">Dream broke <kbd>w</kbd></button></div>
    <div class="between foot"><span class="mono mute saved" role="status">&nbsp;</span>
      <span class="row"><button class="quiet" data-do="undo">Undo <kbd>z</kbd></button>
        <button class="quiet" data-do="skip">Skip <kbd>k</kbd></button>
        <button class="quiet" data-do="whole">Whole clip <kbd>shift space</kbd></button></span></div>
    <div class="strip"></div></div>
    <div class="card rail"><h3>Last judgements</h3><ul class="history"></ul><h3>So far</h3>
      <dl class="facts counts"></dl></div></div>`;

  class Judge {
    constructor(element, props, server, send) {
      WMPO.fill(element, template);
      Object.assign(this, {
        element,
        server,
        send,
        queue: [],
        clips: new Map(),
        seen: new Set(),
        history: [],
        full: false,
        flag: false,
        started: 0,
        strokes: [],
      });
      this.find = (selector) => element.querySelector(selector);
      for (const [name, words] of [
        ["kind", props.kinds],
        ["order", props.orders],
      ]) {
        const options = words.map((word) => WMPO.html`<option>${word}</option>`);
        WMPO.fill(this.find(`select.${name}`), WMPO.html`${options}`);
        this.find(`select.${name}`).addEventListener("change", () => this.restart());
      }
      this.blindfold = WMPO.memory.get("blind", true);
      this.strips = new WMPO.Strips(this.find(".strip"), {
        onSeek: (frame) => this.player.jump(frame),
      });
      this.player = new WMPO.Player(this.find(".screen"), {
        label: "Clip frame",
        onCursor: (frame) => this.strips.cursor(frame),
        onSwipe: (way) => this.swipe(way),
      });
      this.outbox = new WMPO.Outbox(
        "unsent",
        (strokes) => this.send({ strokes }),
        (ack) => this.onAck(ack),
      );
      element.addEventListener("click", (event) => this.onClick(event));
      const actions = this.player.actions();
      for (const name of [
        "success",
        "fail",
        "unsure",
        "broke",
        "agree",
        "disagree",
        "undo",
        "skip",
        "blind",
        "whole",
      ])
        actions[name] = () => this[name]();
      WMPO.keys.use(["label", "player"], actions);
      this.begin();
    }

    async begin() {
      await this.refill();
      const asked = WMPO.address.get("episode");
      const record = asked && (await WMPO.ask(this.server, "episode", { episode: asked }));
      if (record) this.queue = [record, ...this.queue.filter((item) => item.id !== record.id)];
      this.open();
      this.outbox.flush();
      const answer = await WMPO.ask(this.server, "rail", {}, true);
      if (answer) this.take(answer);
    }

    async refill() {
      const answer = await WMPO.ask(this.server, "queue", {
        kind: this.find("select.kind").value,
        order: this.find("select.order").value,
      });
      if (!answer) return;
      const known = new Set([...this.queue.map((item) => item.id), ...this.seen]);
      this.queue.push(...answer.items.filter((item) => !known.has(item.id)));
    }

    async restart() {
      this.queue = [];
      this.seen.clear();
      await this.refill();
      this.open();
    }

    fetch(item) {
      if (!this.clips.has(item.id)) {
        const promise = WMPO.ask(this.server, "clip", { episode: item.id }, true).then((clip) => {
          if (clip) clip.images = WMPO.images(clip.frames);
          return clip;
        });
        this.clips.set(item.id, promise);
        if (this.clips.size > 40) this.clips.delete(this.clips.keys().next().value);
      }
      return this.clips.get(item.id);
    }

    get item() {
      return this.queue[0];
    }

    async open() {
      const { item } = this;
      this.flag = Boolean(item?.label?.dream_broke);
      this.clip = null;
      this.show();
      this.queue.slice(0, AHEAD + 1).forEach((next) => this.fetch(next));
      if (!item) {
        this.player.clear();
        return;
      }
      const clip = await this.fetch(item);
      if (item !== this.item) return;
      if (!clip) {
        this.queue.shift();
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
      this.queue.push(this.queue.shift());
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
      const best = clip.probabilities?.length ? Math.max(...clip.probabilities) : null;
      const stroke = {
        event_id: WMPO.uuid(),
        episode_id: item.id,
        outcome,
        dream_broke: this.flag ? true : item.label ? false : null,
        mode: this.blindfold ? "blind" : "review",
        model_probability: best,
        threshold: clip.threshold ?? null,
        latency_ms: Math.round(performance.now() - this.started),
        supersedes: item.label?.event_id ?? null,
      };
      this.strokes.push({ at: Date.now(), stroke, item });
      this.seen.add(item.id);
      this.history.unshift({
        ...stroke,
        imagined: clip.imagined,
        model_success: clip.success,
        probability: best,
        image: clip.frames[Math.max(0, (clip.end_step ?? 1) - 1)],
        pending: true,
      });
      WMPO.address.set("episode", null);
      this.queue.shift();
      this.open();
      this.rail();
      this.outbox.add(stroke);
      if (this.queue.length <= AHEAD)
        this.refill().then(() => {
          if (!this.clip) this.open();
          else this.show();
        });
    }

    undo() {
      const last = this.strokes.pop() ?? this.fromHistory();
      if (!last) {
        WMPO.toast("There is nothing to undo.", "note");
        return;
      }
      this.outbox.add({ event_id: WMPO.uuid(), undo: last.stroke.event_id });
      this.history = this.history.filter((entry) => entry.event_id !== last.stroke.event_id);
      this.seen.delete(last.item.id);
      this.queue = [
        { ...last.item, label: last.item.label ?? null },
        ...this.queue.filter((item) => item.id !== last.item.id),
      ];
      this.open();
      this.rail();
    }

    fromHistory() {
      const [entry] = this.history;
      return entry ? { stroke: entry, item: { id: entry.episode_id, label: null } } : null;
    }

    again(entry) {
      const label = { event_id: entry.event_id, outcome: entry.outcome, dream_broke: entry.dream_broke };
      this.queue = [
        { id: entry.episode_id, label },
        ...this.queue.filter((item) => item.id !== entry.episode_id),
      ];
      this.open();
    }

    onClick(event) {
      const entry = event.target.closest("[data-event]");
      if (entry) this.again(this.history.find((item) => item.event_id === entry.dataset.event));
      const action = event.target.closest("button[data-do]")?.dataset.do;
      if (action && this[action] && !event.target.closest(".scrub")) this[action]();
    }

    onAck(ack) {
      if (ack.refused) {
        WMPO.toast(ack.refused);
        return;
      }
      this.find(".saved").textContent = `saved #${WMPO.integer(ack.seq)} at ${WMPO.clock(ack.at)}`;
    }

    take(answer) {
      if (answer.history) {
        const waiting = new Set(this.outbox.waiting.map((stroke) => stroke.event_id));
        const pictures = new Map(this.history.map((entry) => [entry.event_id, entry.image]));
        const pending = this.history.filter((entry) => entry.pending && waiting.has(entry.event_id));
        const stored = answer.history.filter(
          (entry) => !pending.some((item) => item.event_id === entry.event_id),
        );
        this.history = [
          ...pending,
          ...stored.map((entry) => ({ ...entry, image: pictures.get(entry.event_id) })),
        ].slice(0, 20);
      }
      if (answer.counts) this.counts = answer.counts;
      this.rail();
      this.picture();
    }

    /** Pictures for the first judgements of an earlier visit. */
    picture() {
      const bare = this.history.slice(0, 8).find((entry) => !entry.image && !entry.lost);
      if (!bare) return;
      this.fetch({ id: bare.episode_id }).then((clip) => {
        bare.image = clip?.frames[Math.max(0, (clip.end_step ?? 1) - 1)];
        bare.lost = !clip;
        this.rail();
        this.picture();
      });
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
      WMPO.showUpcoming(this.find(".upcoming"), this.item ? this.queue.slice(1, 7) : null, (next) =>
        this.fetch(next),
      );
      WMPO.showModel(this.find(".model"), clip, this.blindfold);
      WMPO.showFacts(this.find(".aside .facts"), this.facts());
      const strip = this.find(".strip");
      strip.hidden = this.blindfold || !clip;
      if (clip) this.strips.show(WMPO.stripsOf(clip, { window: this.decisive() }));
    }

    /** What the aside says of the clip. */
    facts() {
      const { clip, item } = this;
      if (!clip) return [];
      const window = this.decisive();
      return [
        ["episode", item.id],
        ["kind", clip.imagined ? "imagined" : "real"],
        ["start", clip.start_id < 0 ? "uploaded image" : WMPO.integer(clip.start_id)],
        ["looping", this.full || !window ? "whole clip" : `frames ${window[0]}–${window[1]}`],
      ];
    }

    rail() {
      WMPO.showHistory(this.find(".history"), this.history);
      WMPO.showCounts(this.find(".counts"), this.counts ?? {});
      const recent = this.strokes.filter((stroke) => Date.now() - stroke.at < 60000).length;
      this.find(".pace").textContent = recent > 1 ? `${recent} in the last minute` : "";
    }
  }

  WMPO.mountJudge = ({ element, props, server, send, watch }) => {
    const judge = new Judge(element, props, server, send);
    watch("value", () => judge.acknowledge(props.value));
  };
})();
