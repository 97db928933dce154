// The player: a canvas, a cursor, and time. A live dream appends frames; a stored clip brings all.
(() => {
  const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
  const FRAMES_PER_SECOND = 10;
  const FAR_BEHIND = 40; // a live viewer this far behind jumps to the newest second

  const template = (label) => WMPO.html`<div class="player">
    <div class="stage"><canvas width="64" height="64" role="img" aria-label="${label}"></canvas>
      <div class="note"></div><div class="verdict"></div></div>
    <div class="scrub">
      <button class="quiet" data-do="back" aria-label="Previous frame">‹</button>
      <button class="quiet" data-do="play" aria-label="Play the recording">▶</button>
      <button class="quiet" data-do="forward" aria-label="Next frame">›</button>
      <input type="range" min="0" max="0" value="0" step="1" aria-label="Frame">
      <output class="mono">– / –</output>
      <select aria-label="Speed">${SPEEDS.map((speed) => WMPO.html`<option value="${speed}">${speed}×</option>`)}</select>
    </div></div>`;

  class Player {
    constructor(root, { label = "Episode frame", onCursor = () => {} } = {}) {
      WMPO.fill(root, template(label));
      this.root = root.firstElementChild;
      this.canvas = root.querySelector("canvas");
      this.note = root.querySelector(".note");
      this.verdict = root.querySelector(".verdict");
      this.range = root.querySelector("input");
      this.counter = root.querySelector("output");
      this.select = root.querySelector("select");
      this.playButton = root.querySelector("[data-do=play]");
      this.onCursor = onCursor;
      this.onEdge = null; // called instead of stepping past the last frame
      this.clear();
      this.setSpeed(1);
      this.range.addEventListener("input", () => {
        this.pause();
        this.seek(Number(this.range.value));
      });
      this.select.addEventListener("change", () => this.setSpeed(Number(this.select.value)));
      root.querySelector(".scrub").addEventListener("click", (event) => {
        const action = event.target.closest("[data-do]")?.dataset.do;
        if (action === "play") this.toggle();
        if (action === "back") this.step(-1);
        if (action === "forward") this.step(1);
      });
    }

    clear() {
      this.frames = [];
      this.cursor = 0;
      this.total = null;
      this.chunk = 8;
      this.loop = null;
      this.live = false;
      this.playing = false;
      this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.refresh();
    }

    /** A whole clip at once; `loop` is [first, last] frame or null. */
    load(frames, { chunk = 8, loop = null, total = null, at = 0, play = false } = {}) {
      this.clear();
      Object.assign(this, { chunk, loop, total: total ?? frames.length - 1 });
      this.append(frames);
      this.seek(loop ? loop[0] : at);
      if (play) this.play();
    }

    append(frames) {
      for (const source of frames) {
        const image = source instanceof HTMLImageElement ? source : new Image();
        if (image !== source) image.src = source;
        const index = this.frames.push(image) - 1;
        if (!image.complete)
          image.addEventListener("load", () => {
            if (index === this.cursor) this.paint();
          });
      }
      this.refresh();
    }

    get last() {
      return Math.max(0, this.frames.length - 1);
    }
    get atEnd() {
      return this.cursor >= this.last;
    }

    seek(frame) {
      this.cursor = Math.min(Math.max(0, Math.round(frame)), this.last);
      this.refresh();
    }

    step(frames) {
      this.pause();
      if (frames > 0 && this.atEnd && this.onEdge) this.onEdge();
      else this.seek(this.cursor + frames);
    }

    setSpeed(speed) {
      this.speed = speed;
      this.select.value = String(speed);
    }

    faster(direction) {
      const index = SPEEDS.indexOf(this.speed) + direction;
      this.setSpeed(SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)]);
    }

    setLoop(loop) {
      this.loop = loop;
      if (loop) this.seek(loop[0]);
    }

    toggle() {
      this.playing ? this.pause() : this.play();
    }

    pause() {
      this.playing = false;
      this.refresh();
    }

    play() {
      if (this.playing || (!this.frames.length && !this.live)) return;
      if (this.frames.length && this.atEnd && !this.live) this.seek(this.loop ? this.loop[0] : 0);
      this.playing = true;
      this.due = performance.now() + this.period();
      this.refresh();
      requestAnimationFrame((now) => this.tick(now));
    }

    period() {
      const behind = this.live ? this.last - this.cursor : 0;
      const hurry = behind > 16 ? 2 : behind > 8 ? 1.4 : 1;
      return 1000 / (FRAMES_PER_SECOND * this.speed * hurry);
    }

    tick(now) {
      if (!this.playing || !this.root.isConnected) return;
      if (now >= this.due) {
        const late = Math.min(3, Math.floor((now - this.due) / this.period()));
        this.advance(1 + late);
        this.due = Math.max(this.due + this.period(), now - 200);
      }
      requestAnimationFrame((next) => this.tick(next));
    }

    advance(frames) {
      const [first, last] = this.loop ?? [0, this.last];
      if (this.live && this.last - this.cursor > FAR_BEHIND) this.cursor = this.last - FRAMES_PER_SECOND;
      if (this.cursor + frames <= last) {
        this.seek(this.cursor + frames);
        return;
      }
      if (this.cursor < last) {
        this.seek(last);
        return;
      }
      if (this.loop) {
        this.seek(first);
        this.due += 350;
        return;
      }
      if (!this.live) this.pause();
    }

    refresh() {
      const total = this.total ?? this.last;
      this.range.max = String(this.last);
      this.range.value = String(this.cursor);
      this.range.style.setProperty("--filled", total ? this.last / total : 1);
      this.counter.textContent = this.frames.length ? `${this.cursor} / ${total}` : "– / –";
      this.playButton.textContent = this.playing ? "❚❚" : "▶";
      this.playButton.setAttribute("aria-label", this.playing ? "Pause the recording" : "Play the recording");
      this.paint();
      this.onCursor(this.cursor);
    }

    paint() {
      const image = this.frames[this.cursor];
      if (!image?.complete || !image.naturalWidth) return;
      if (this.canvas.width !== image.naturalWidth || this.canvas.height !== image.naturalHeight) {
        this.canvas.width = image.naturalWidth;
        this.canvas.height = image.naturalHeight;
      }
      const pen = this.canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(image, 0, 0);
      this.canvas.dataset.frame = String(this.cursor);
    }

    /** What the shared keys do to this player. */
    actions() {
      return {
        toggle: () => this.toggle(),
        back: () => this.step(-1),
        forward: () => this.step(1),
        chunkBack: () => this.step(-(this.cursor % this.chunk || this.chunk)),
        chunkForward: () => this.step(this.chunk - (this.cursor % this.chunk)),
        first: () => {
          this.pause();
          this.seek(0);
        },
        last: () => {
          this.pause();
          this.seek(this.last);
        },
        slower: () => this.faster(-1),
        faster: () => this.faster(1),
      };
    }
  }

  WMPO.Player = Player;
  WMPO.verdict = (outcome) =>
    outcome.success
      ? WMPO.html`<span class="tag ok">✓ success at ${outcome.end_step}</span>`
      : WMPO.html`<span class="tag bad">✕ fail</span>`;
})();
