// Train: attach to a run by its id (in the address), follow it by a cursor, look at what it imagined.
(() => {
  const BUSY = ["queued", "starting", "running", "pausing", "stopping"];

  const layout = WMPO.html`<div class="wm runs"><div class="alarms"></div><div class="twins"></div><div class="charts"></div>
    <div class="card wall"><div class="between"><h3 class="title">Imagined in this iteration</h3>
      <div class="row"><button data-do="earlier" aria-label="Earlier iteration">‹</button>
        <label class="row mute">iteration <input type="range" min="0" max="0" step="1" aria-label="Iteration" disabled>
        </label><output class="mono">–</output><button data-do="later" aria-label="Later iteration">›</button>
        </div></div>
      <div class="groups"></div></div></div>`;
  const panel = WMPO.html`<div class="wm runs side"><div class="card now"></div><div class="card"><h3>Runs</h3>
    <ul class="list"></ul></div><div class="card"><h3>Events</h3><ul class="events mono"></ul></div></div>`;

  class Runs {
    constructor(element, charts) {
      WMPO.fill(element, layout);
      this.element = element;
      this.find = (selector) => element.querySelector(selector);
      this.charts = new WMPO.Charts(this.find(".charts"), charts);
      this.slider = this.find("input[type=range]");
      this.slider.addEventListener("input", () => {
        this.following = false;
        this.choose(this.iterations[Number(this.slider.value)]);
      });
      element.addEventListener("click", (event) => {
        const action = event.target.closest("button[data-do]")?.dataset.do;
        if (action) this[action]();
      });
      element.addEventListener("click", (event) => this.closer(event));
      WMPO.keys.use(["train"], { earlier: () => this.earlier(), later: () => this.later() });
      this.forget(null);
    }

    connect(element, server) {
      WMPO.fill(element, panel);
      Object.assign(this, { panel: element, server });
      element.addEventListener("click", (event) => this.onClick(event));
      document.addEventListener("wmpo-runs", () => this.wake());
      const attached = WMPO.address.get("run");
      if (attached) this.forget(attached);
      this.wake = WMPO.every(
        element,
        () => (BUSY.includes(this.status?.state) ? 1000 : 3000),
        () => this.pull(),
      );
    }

    forget(run) {
      Object.assign(this, {
        run,
        after: 0,
        status: null,
        iterations: [],
        iteration: null,
        following: true,
        epoch: (this.epoch ?? 0) + 1,
      });
      this.charts.reset(run ?? "none");
      this.groups([]);
      for (const place of [".alarms", ".twins"]) WMPO.fill(this.find(place), WMPO.html``);
      this.compared = false;
    }

    attach(run) {
      WMPO.address.set("run", run);
      this.forget(run);
      this.wake();
    }

    async pull() {
      const { run, after, epoch } = this;
      const answer = await WMPO.ask(this.server, "follow", { run, after }, after > 0);
      if (!answer || epoch !== this.epoch) return;
      this.list(answer.runs);
      if (!run && answer.runs.length) {
        this.attach(answer.runs[0].id);
        return;
      }
      if (run && !answer.status) {
        WMPO.address.set("run", null);
        this.forget(null);
        return;
      }
      if (!answer.status) {
        this.now();
        return;
      }
      this.status = answer.status;
      this.after = answer.next;
      if (Object.keys(answer.series).length) this.charts.add(answer.series);
      this.events(answer.events);
      this.now();
      this.arrive(answer.iterations);
      this.compare(epoch);
    }

    /** A finished fidelity run is a comparison with reality: shown once. */
    async compare(epoch) {
      const { id, job, state } = this.status;
      if (this.compared || job !== "fidelity" || state !== "done") return;
      this.compared = true;
      const found = await WMPO.ask(this.server, "twin_matrix", { run: id });
      if (found && epoch === this.epoch) WMPO.showMatrix(this.find(".twins"), found);
    }

    arrive(iterations) {
      this.iterations = iterations;
      this.slider.max = String(Math.max(0, iterations.length - 1));
      this.slider.disabled = iterations.length < 2;
      if (iterations.length && (this.following || this.iteration === null)) this.choose(iterations.at(-1));
      else {
        this.mark();
        this.recheck();
      }
    }

    /** Episodes of the newest iteration come in one by one: look again until none is added. */
    async recheck() {
      if (this.settled || this.iteration === null || this.iteration !== this.iterations.at(-1)) return;
      await this.look(this.iteration);
    }

    mark() {
      this.slider.value = String(Math.max(0, this.iterations.indexOf(this.iteration)));
      this.find("output").textContent =
        this.iteration === null ? "–" : `${this.iteration} of ${this.iterations.at(-1)}`;
    }

    async choose(iteration) {
      if (iteration === undefined || iteration === this.iteration) return;
      this.iteration = iteration;
      this.settled = false;
      this.members = -1;
      this.mark();
      await this.look(iteration);
    }

    async look(iteration) {
      const answer = await WMPO.ask(this.server, "strip", { run: this.run, iteration });
      if (!answer || iteration !== this.iteration) return;
      const members = answer.groups.reduce((sum, group) => sum + group.members.length, 0);
      this.settled = members === this.members && members > 0;
      this.members = members;
      if (!this.settled) this.groups(answer.groups);
    }

    earlier() {
      this.move(-1);
    }
    later() {
      this.move(1);
    }
    move(by) {
      const index = this.iterations.indexOf(this.iteration) + by;
      if (index < 0 || index >= this.iterations.length) return;
      this.following = index === this.iterations.length - 1;
      this.choose(this.iterations[index]);
    }

    /** A click on a member opens it here; with Ctrl the link leads to its page, as links do. */
    closer(event) {
      const episode = event.target.closest("[data-episode]")?.dataset.episode;
      if (!episode || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.drawer ??= new WMPO.Drawer({
        server: this.server,
        clip: (id) => WMPO.ask(this.server, "clip", { episode: id }),
        siblings: async (clip) =>
          (await WMPO.ask(this.server, "siblings", { episode: clip.id }, true))?.members,
        onClose: () => (this.drawer = null),
      });
      this.drawer.open(episode);
    }

    groups(groups) {
      WMPO.showGroups(this.find(".groups"), groups);
    }

    now() {
      const place = this.panel.querySelector(".now");
      const run = this.status;
      if (!run) {
        WMPO.fill(
          place,
          WMPO.html`<h3>No run yet</h3>
            <p class="mute">Start one above: it goes on in its own process, whatever happens to this page.</p>`,
        );
        return;
      }
      const share = run.total ? Math.min(100, (100 * run.done) / run.total) : 0;
      const paused = run.state === "paused";
      const alive = BUSY.includes(run.state) || paused;
      WMPO.fill(
        place,
        WMPO.html`<div class="between"><b class="mono name">${run.id}</b>
          <span class="tag ${run.state === "failed" ? "bad" : run.state === "done" ? "ok" : ""}">
          <i class="dot ${run.state}"></i> ${run.state}</span></div>
        <div class="bar" role="progressbar" aria-label="Iterations done" aria-valuenow="${Math.round(share)}">
          <i style="width:${share}%"></i></div>
        <div class="between mono mute"><span>${run.done} of ${run.total || "?"}</span>
          <span>${alive && run.seconds_left ? `${WMPO.duration(run.seconds_left)} left` : ""}</span></div>
        ${
          alive
            ? WMPO.html`<div class="row">
          <button data-control="${paused ? "run" : "pause"}">${paused ? "▶ Resume" : "❚❚ Pause"}</button>
          <button data-control="stop">■ Stop and save</button></div>`
            : ""
        }
        ${run.error ? WMPO.html`<p class="bad">${run.error}</p>` : ""}`,
      );
    }

    list(runs) {
      const rows = runs.map(
        (run) =>
          WMPO.html`<li>
            <button class="quiet" data-run="${run.id}" aria-pressed="${String(run.id === this.run)}">
            <i class="dot ${run.state}"></i><span class="mono grow">${run.id}</span>
            <span class="mute">${run.job} · ${run.state === "running" ? `${run.done}/${run.total || "?"}` : run.state}</span>
            </button></li>`,
      );
      WMPO.fill(
        this.panel.querySelector(".list"),
        rows.length ? WMPO.html`${rows}` : WMPO.html`<li class="mute">None yet.</li>`,
      );
    }

    events(events) {
      const alarms = events.filter((event) => event.kind === "alarm");
      WMPO.fill(
        this.find(".alarms"),
        WMPO.html`${alarms.slice(0, 2).map(
          (alarm) => WMPO.html`<div class="banner warn" role="alert">
          <b class="warn">Alarm</b> ${alarm.text} · <a href="label">judge some clips</a></div>`,
        )}`,
      );
      WMPO.fill(
        this.panel.querySelector(".events"),
        events.length
          ? WMPO.html`${events.slice(0, 12).map(
              (event) => WMPO.html`<li>
            <time>${WMPO.clock(event.at)}</time> <span class="${event.kind === "alarm" ? "warn" : ""}">${event.text}</span>
            </li>`,
            )}`
          : WMPO.html`<li class="mute">None yet.</li>`,
      );
    }

    async onClick(event) {
      const chosen = event.target.closest("[data-run]");
      if (chosen) {
        this.attach(chosen.dataset.run);
        return;
      }
      const button = event.target.closest("[data-control]");
      if (!button) return;
      button.disabled = true;
      await WMPO.ask(this.server, "control", { run: this.run, control: button.dataset.control });
      document.dispatchEvent(new CustomEvent("wmpo-runs"));
    }
  }

  // The panel may be there before the board, whose scripts are larger: it waits for it.
  let found = null;
  const board = new Promise((resolve) => {
    found = resolve;
  });
  WMPO.mountRunBoard = ({ element, props }) => found(new Runs(element, props.figures));
  WMPO.mountRunPanel = ({ element, props, server, watch }) => {
    board.then((runs) => runs.connect(element, server));
    watch("value", () =>
      board.then((runs) => {
        if (props.value?.run) runs.attach(props.value.run);
      }),
    );
  };
})();
