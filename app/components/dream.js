// Imagine: one live dream at a time, opened with the settings beside it and followed by a cursor.
(() => {
  const template = WMPO.html`<div class="wm dream">
    <div class="card"><div class="dream-grid">
      <div><div class="screen"></div>
        <div class="row transport">
          <button class="primary" data-do="toggle"><span>▶ Run</span> <kbd>space</kbd></button>
          <button data-do="frame">Frame <kbd>→</kbd></button><button data-do="chunk">Chunk <kbd>e</kbd></button>
          <button data-do="reset">Reset <kbd>r</kbd></button></div></div>
      <div class="readout">
        <div class="meter"><span class="cap">success probability</span><b class="mono value">–</b>
          <span class="mute threshold"></span></div>
        <dl class="facts"></dl>
        <div class="judge"><h3>Judge</h3><div class="choices">
          <button data-do="success" class="ok">✓ Success <kbd>s</kbd></button>
            <button data-do="fail" class="bad">✕ Fail <kbd>f</kbd></button>
          <button data-do="unsure">? Unsure <kbd>u</kbd></button>
            <button data-do="broke" class="warn">Dream broke <kbd>w</kbd></button></div>
          <p class="mute said" role="status"></p></div>
        <div class="row keep"><button data-do="save">Save episode</button>
          <button data-do="link">Copy link</button></div>
      </div></div></div>
    <div class="card"><div class="between"><h3>Success probability by window · actions</h3>
      <span class="mute legend"><i class="plus"></i>positive <i class="minus"></i>negative</span></div>
      <div class="strip"></div></div></div>`;

  class Dream {
    constructor(element, server, send) {
      WMPO.fill(element, template);
      Object.assign(this, { element, server, send, id: null, epoch: 0, status: null, stale: false });
      this.find = (selector) => element.querySelector(selector);
      this.strips = new WMPO.Strips(this.find(".strip"), {
        onSeek: (frame) => {
          this.player.pause();
          this.player.seek(frame);
        },
      });
      this.player = new WMPO.Player(this.find(".screen"), {
        label: "Imagined frame",
        onCursor: (frame) => this.cursor(frame),
      });
      this.player.onEdge = () => this.frame();
      this.forget();
      element.addEventListener("click", (event) => {
        const action = event.target.closest("button[data-do]")?.dataset.do;
        if (this[action]) this[action]();
      });
      const actions = { ...this.player.actions(), toggle: () => this.toggle(), peak: () => this.peak() };
      for (const name of ["chunk", "reset", "success", "fail", "unsure", "broke"])
        actions[name] = () => this[name]();
      WMPO.keys.use(["imagine", "player"], actions);
      document.addEventListener("wmpo-settings", () => this.onSettings());
      document.addEventListener("wmpo-start", () => this.preview());
      const attached = WMPO.address.get("dream");
      if (attached) this.attach(attached);
      this.wake = WMPO.every(
        element,
        () => (this.status?.state === "running" ? 220 : 900),
        () => this.pull(),
      );
    }

    forget() {
      Object.assign(this, { after: 0, status: null, episode: null, judgement: {}, said: null });
      Object.assign(this, { ends: [], probabilities: [], actions: [], entropy: [] });
      this.epoch += 1;
      this.player?.clear();
      this.player.live = true;
      this.show();
    }

    onSettings() {
      if (this.id && !this.stale && this.opened && this.opened !== JSON.stringify(WMPO.settings.values)) {
        this.stale = true;
        this.show();
      }
    }

    /** Before a dream: the chosen start frame, if there is a picture of it. */
    preview() {
      if (this.id && !this.stale) return;
      if (this.stale) {
        this.id = null;
        this.stale = false;
        WMPO.address.set("dream", null);
        this.forget();
      }
      const image = WMPO.settings.preview;
      if (image) this.player.load([image], { total: this.blank().total });
      else this.player.clear();
      this.player.live = true;
      this.show();
    }

    attach(id) {
      this.id = id;
      this.forget();
      this.player.play();
    }

    /** The dream to act on: the open one, or a new one with the settings of now. */
    async ready() {
      if (this.id && !this.stale) return true;
      this.busy = "waking the models…";
      this.show();
      const settings = JSON.stringify(WMPO.settings.values);
      const answer = await WMPO.ask(this.server, "open_dream", JSON.parse(settings));
      this.busy = null;
      if (answer) {
        Object.assign(this, { id: answer.dream, stale: false, opened: settings });
        WMPO.address.set("dream", answer.dream);
        WMPO.memory.set("dream", { id: answer.dream, settings: JSON.parse(settings) });
        this.forget();
      }
      this.show();
      return answer !== null;
    }

    async control(action) {
      if (this.busy || !(await this.ready())) return;
      if (action === "reset") this.forget();
      const answer = await WMPO.ask(this.server, "control_dream", { dream: this.id, action });
      if (!answer) return;
      this.status = { ...this.status, state: answer.state };
      if (action !== "pause" && action !== "reset") this.player.play();
      this.show();
      this.wake();
    }

    async toggle() {
      if (this.status?.state === "done" && !this.stale) {
        this.player.toggle();
        return;
      }
      const running = this.status?.state === "running" && !this.stale;
      if (running) this.player.pause();
      await this.control(running ? "pause" : "run");
    }

    frame() {
      if (this.status?.state !== "done" || this.stale) return this.control("frame");
    }
    chunk() {
      if (this.status?.state !== "done" || this.stale) return this.control("chunk");
    }
    reset() {
      return this.control("reset");
    }
    success() {
      return this.judge({ outcome: "success" });
    }
    fail() {
      return this.judge({ outcome: "fail" });
    }
    unsure() {
      return this.judge({ outcome: "unsure" });
    }
    broke() {
      return this.judge({ dream_broke: !this.judgement.dream_broke });
    }

    peak() {
      const best = this.probabilities.indexOf(Math.max(...this.probabilities));
      if (best >= 0) {
        this.player.pause();
        this.player.seek(this.ends[best] - 1);
      }
    }

    async pull() {
      if (!this.id || this.stale) return;
      const { id, epoch, after } = this;
      const answer = await WMPO.ask(this.server, "pull_dream", { dream: id, after }, after > 0);
      if (epoch !== this.epoch) return;
      if (!answer) {
        if (after === 0) this.lost();
        return;
      }
      this.take(answer, after);
    }

    lost() {
      this.id = null;
      WMPO.address.set("dream", null);
      this.preview();
    }

    take(answer, after) {
      this.after = answer.next;
      this.status = answer;
      for (const name of ["ends", "probabilities", "actions", "entropy"])
        this[name] = answer[name] ?? this[name];
      Object.assign(this.player, {
        total: answer.horizon,
        chunk: answer.chunk_size,
        live: answer.state !== "done",
      });
      if (after === 0 && answer.frames.length) this.player.frames = [];
      this.player.append(answer.frames);
      if (after === 0 && answer.state !== "running" && answer.frames.length > 1)
        this.player.seek(this.player.last);
      if (answer.state === "failed" && answer.error) WMPO.toast(answer.error);
      this.show();
    }

    cursor(frame) {
      this.strips?.cursor(frame);
      const index = this.ends?.findLastIndex((end) => end - 1 <= frame) ?? -1;
      const value = index >= 0 ? this.probabilities[index] : null;
      const meter = this.find(".meter");
      meter.querySelector(".value").textContent = WMPO.fixed(value);
      meter.classList.toggle("none", value === null);
      meter.classList.toggle("over", value !== null && value >= (this.status?.threshold ?? 2));
    }

    show() {
      const state = this.stale ? "stale" : (this.status?.state ?? "idle");
      const outcome = this.stale ? null : this.status?.outcome;
      const running = state === "running";
      const done = state === "done";
      WMPO.fill(this.player.verdict, outcome ? WMPO.verdict(outcome) : WMPO.html``);
      this.player.note.textContent =
        this.busy ??
        (state === "idle"
          ? WMPO.settings.preview
            ? "press space: the policy acts from here"
            : "press space: the simulator draws this start, then the policy acts"
          : this.stale
            ? "settings changed: the next run starts a new dream"
            : state === "failed"
              ? "the dream stopped"
              : "");
      this.find("[data-do=toggle] span").textContent = running ? "❚❚ Pause" : done ? "▶ Replay" : "▶ Run";
      for (const name of ["frame", "chunk"])
        this.find(`[data-do=${name}]`).disabled = Boolean(this.busy) || (done && !this.stale);
      for (const button of this.element.querySelectorAll(".readout button"))
        button.disabled = !this.id || this.stale || this.after < 2;
      this.find(".threshold").textContent = this.status?.threshold
        ? `τ ${this.status.threshold.toFixed(2)}`
        : "";
      this.facts(state);
      this.cursor(this.player.cursor);
      if (!this.status?.horizon) {
        this.strips.show(this.blank());
        return;
      }
      this.strips.show({
        total: this.status.horizon,
        ends: this.ends,
        probabilities: this.probabilities,
        threshold: this.status.threshold,
        actions: this.actions,
        outcome,
        chunk: this.status.chunk_size,
        window: this.window(outcome),
      });
    }

    blank() {
      return {
        total: Number(WMPO.settings.values.horizon) || 48,
        ends: [],
        probabilities: [],
        threshold: null,
        actions: [],
        chunk: 8,
      };
    }

    window(outcome) {
      if (!outcome?.success) return null;
      const end = this.ends.find((value) => value - 1 >= outcome.end_step);
      return end ? [Math.max(0, end - 8), end - 1] : null;
    }

    /** What produces this dream again: kept beside it, also over a reload. */
    origin() {
      const { id, settings } = WMPO.memory.get("dream", {});
      if (!this.id || id !== this.id) return [];
      return [
        ["start", settings.start_id < 0 ? "uploaded image" : WMPO.integer(settings.start_id)],
        ["seed", settings.seed],
        ["denoising steps", settings.denoising_steps],
        ["temperature", settings.temperature],
      ];
    }

    facts(state) {
      const words = {
        idle: "ready",
        stale: "settings changed",
        running: "imagining",
        paused: "paused",
        done: "finished",
        failed: "failed",
      };
      const { horizon, outcome } = this.status ?? {};
      const entropy = this.entropy.at(-1);
      const rows = [
        ["state", words[state] ?? state],
        ["imagined", this.after ? `${this.after - 1} of ${horizon} frames` : "–"],
        [
          "pace",
          this.status?.frames_per_second ? `${WMPO.measure(this.status.frames_per_second)} frames/s` : "–",
        ],
        [
          "verdict",
          outcome ? (outcome.success ? `success at frame ${outcome.end_step}` : "no window above τ") : "–",
        ],
        ["policy entropy", entropy === undefined ? "–" : `${WMPO.measure(entropy)} nats`],
        ...this.origin(),
      ];
      WMPO.showFacts(this.find(".facts"), rows);
      for (const [name, pressed] of [
        ["success", this.judgement.outcome === "success"],
        ["fail", this.judgement.outcome === "fail"],
        ["unsure", this.judgement.outcome === "unsure"],
        ["broke", Boolean(this.judgement.dream_broke)],
      ]) {
        this.find(`[data-do=${name}]`).setAttribute("aria-pressed", String(pressed));
      }
    }

    async save(quiet = false) {
      if (!this.id || this.stale || this.after < 2) return null;
      if (this.status?.state === "running") await this.control("pause");
      if (this.episode) return this.episode;
      const answer = await WMPO.ask(this.server, "save_dream", { dream: this.id });
      if (!answer) return null;
      this.episode = answer.episode;
      if (quiet !== true) WMPO.toast(`Saved as ${answer.episode}`, "note");
      return this.episode;
    }

    async judge(change) {
      const episode = await this.save(true);
      if (!episode) return;
      const previous = this.said;
      this.judgement = { ...this.judgement, ...change };
      this.said = WMPO.uuid();
      this.show();
      this.find(".said").textContent = "saving…";
      const best = this.probabilities.length ? Math.max(...this.probabilities) : null;
      this.send({
        strokes: [
          {
            event_id: this.said,
            episode_id: episode,
            outcome: this.judgement.outcome ?? null,
            dream_broke: this.judgement.dream_broke ?? null,
            supersedes: previous,
            mode: "imagine",
            model_probability: best,
            threshold: this.status.threshold,
          },
        ],
      });
    }

    acknowledge(answer) {
      const ours = answer?.acks?.find((ack) => ack.saved === this.said);
      if (ours) this.find(".said").textContent = `saved #${WMPO.integer(ours.seq)} at ${WMPO.clock(ours.at)}`;
      for (const ack of answer?.acks ?? []) if (ack.refused) WMPO.toast(ack.refused);
    }

    link() {
      navigator.clipboard.writeText(location.href).then(
        () => WMPO.toast("Link copied", "note"),
        () => WMPO.toast(location.href, "note"),
      );
    }
  }

  WMPO.mountDream = ({ element, props, server, send, watch }) => {
    WMPO.settings.values = { ...props.defaults, ...WMPO.settings.values };
    const dream = new Dream(element, server, send);
    watch("value", () => dream.acknowledge(props.value));
  };
})();
