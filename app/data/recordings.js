// Recordings of a robot: what is in them, what will be done, and then the run that takes them in.
import { ask } from "../web/calls.js";
import { sendFile } from "../web/errands/errands.js";
import { bytes, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { every } from "../web/polling.js";
import { draw, none, view } from "../web/view.js";

const number = (value) => Number(value.toPrecision(3)).toString();
const PEAK = 22; // pixels of a histogram's height

const bars = ({ counts }) => {
  const most = Math.max(...counts, 1);
  const wide = 3 * counts.length;
  const path = counts
    .map((count, at) => `M${3 * at + 1.5} ${PEAK}v${-Math.round((PEAK * count) / most)}`)
    .join("");
  return view`<svg width="${wide}" height="${PEAK}" viewBox="0 0 ${wide} ${PEAK}" role="img"
    aria-label="how often"><path d="${path}" stroke="currentColor" stroke-width="2"></path></svg>`;
};

export class Recordings {
  constructor(element, { server, errands, props, onTaken }) {
    this.server = server;
    this.errands = errands;
    this.offered = props.recordings;
    this.onTaken = onTaken;
    /** @type {any} */
    this.found = null;
    this.run = "";
    /** @type {any} */
    this.state = null;
    /** @type {any} */
    this.plan = {};
    /** @type {any} */
    this.of = {};
    this.intended = { open: "", words: [], bytes: 0, run: "" };
    fill(
      element,
      html`<h3>Recordings of your robot</h3><p class="mute">LeRobot (v3.0, v2.1; a zip, a folder, or on the Hub:
        hf://datasets/OWNER/NAME@REVISION), robomimic,
        MimicGen or LIBERO HDF5, WMPO tars, or a folder of videos with a table beside each. First you see what is
          in them and what would be done; a dataset comes in whole or not at all.</p>
        <div class="fields"><button type="button" class="choose">Choose recordings…</button>
        <input type="text" name="path" placeholder="or a folder of this machine, or hf://datasets/…, then Enter"
          aria-label="File or folder of this machine"></div>
        <input type="file" hidden aria-label="Recordings to look at" accept=".zip,.tar,.hdf5,.h5">
        <div class="answer"></div><div class="found"></div>`,
    );
    this.answer = element.querySelector(".answer");
    this.place = element.querySelector(".found");
    const [path, file] = element.querySelectorAll("input");
    element.querySelector(".choose").addEventListener("click", () => file.click());
    path.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" && path.value.trim()) this.look({ path: path.value.trim() });
    });
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      if (chosen) await this.send(chosen);
      file.value = "";
    });
    this.wake = every(
      element,
      () => (this.run && (this.state?.busy ?? true) ? 1000 : Infinity),
      () => this.poll(),
    );
  }

  async send(file) {
    fill(this.answer, html`<p class="mono mute" role="status">reading ${file.name}</p>`);
    const line = this.answer.firstElementChild;
    const upload = await sendFile(this.server, file, (done, total) => {
      line.textContent = `${bytes(done)} of ${bytes(total)}`;
    });
    if (upload) this.look({ upload, name: file.name });
    else fill(this.answer, html``);
  }

  async look(question) {
    draw(this.place, view``);
    const errand = await ask(this.server, "look", question);
    if (!errand) return;
    this.run = "";
    this.state = null;
    this.errands.follow(errand, this.answer, ({ result }) => this.show(result));
  }

  show(found) {
    this.found = found;
    fill(this.answer, html``);
    this.intended = { open: "", words: [], bytes: 0, run: "" };
    this.plan = {
      camera: found.views.length === 1 ? found.views[0].name : "",
      turn: this.offered.turns[0],
      size: 0,
      stride: 1,
      combine: found.actions.map(() => ""),
      success: found.success_found ? "flag" : "nobody yet",
      instruction: "",
    };
    this.of = { task: "", new_task: "", use: this.offered.uses[0], policy: "" };
    this.draw();
    this.intend();
  }

  get question() {
    const { combine, ...plan } = this.plan;
    const chosen = plan.stride > 1 && combine.every(Boolean) ? combine : [];
    return { dataset: this.found.dataset, ...this.of, plan: { ...plan, combine: chosen } };
  }

  async intend() {
    const asked = {};
    this.asked = asked;
    const answer = await this.server.intend(this.question).catch(() => null);
    if (asked !== this.asked || !answer) return;
    this.intended = answer.refused ? { open: answer.refused, words: [], bytes: 0, run: "" } : answer;
    this.draw();
  }

  change(name, value) {
    if (name in this.of) this.of[name] = value;
    else this.plan[name] = value;
    this.draw();
    this.intend();
  }

  async take() {
    const begun = await ask(this.server, "take", this.question);
    if (!begun) return;
    this.run = begun.run;
    this.draw();
    this.wake();
  }

  async poll() {
    if (!this.run) return;
    const state = await ask(this.server, "taken", { run: this.run }, true);
    if (!state) return;
    const ended = this.state?.busy !== false && !state.busy;
    this.state = state;
    this.draw();
    if (ended && state.state === "done") this.onTaken();
  }

  draw() {
    draw(this.place, view`${this.facts()}${this.form()}${this.run ? this.progress() : this.doing()}`);
  }

  facts() {
    const { kind, episodes, lengths, fps, views, strips, actions, states, instructions, notes } = this.found;
    const [least, middle, most] = lengths.map(integer);
    const { succeeded, failed, unknown } = this.found;
    const said = [
      [succeeded, "succeeded"],
      [failed, "failed"],
      [unknown, "without a word on success"],
    ].filter(([count]) => count);
    return view`<p><b>${this.found.name}</b> <span class="mute">${kind}, ${integer(episodes)} recordings of
      ${least} to ${most} steps (half of them up to ${middle})${fps ? `, ${fps} a second` : ""};
      ${said.map(([count, words]) => `${integer(count)} ${words}`).join(", ")}</span></p>
      <div class="cameras" role="radiogroup" aria-label="Camera">${views.map(
        ({ name, height, width, stored }, at) => view`<label class="camera">
          <input type="radio" name="camera" .value="${name}" ?checked="${this.plan.camera === name}"
            @change="${() => this.change("camera", name)}"><span><b>${name}</b>
          <span class="mute">${height}×${width}, ${stored}</span></span>
          <img src="data:image/png;base64,${strips[at]}" alt="${name}: the first recording, begin to end"
            class="${{ "upside down": "flipped", "half turn": "turned", mirrored: "mirrored" }[this.plan.turn] ?? ""}">
          </label>`,
      )}</div>
      <div class="scroll"><table class="dims"><thead><tr><th>action</th><th>from</th><th>to</th><th>how often</th>
        ${this.plan.stride > 1 ? view`<th>over a stride</th>` : none}</tr></thead>
        <tbody>${actions.map(
          (one, at) => view`<tr><td class="mono">${one.name}</td><td class="mono">${number(one.low)}</td>
          <td class="mono">${number(one.high)}</td><td>${bars(one)}</td>
          ${this.plan.stride > 1 ? view`<td>${this.combined(one, at)}</td>` : none}</tr>`,
        )}</tbody></table></div>
      <p class="small mute">${Object.entries(instructions).map(
        ([text, count]) => view`<span>“${text || "no instruction"}” ×${integer(count)}</span> `,
      )}${Object.keys(states).length ? view`· states: ${Object.keys(states).join(", ")}` : none}</p>
      ${notes.map((note) => view`<p class="small">${note}</p>`)}`;
  }

  combined({ name }, at) {
    return view`<select aria-label="${name} over a stride" @change="${({ target }) => {
      this.plan.combine[at] = target.value;
      this.change("combine", this.plan.combine);
    }}"><option value="">choose</option>${this.offered.combine.map(
      (how) =>
        view`<option value="${how}" ?selected="${this.plan.combine[at] === how}">${
          how === "sum" ? "sum (a displacement)" : "last (absolute)"
        }</option>`,
    )}</select>`;
  }

  form() {
    const select = (name, text, options, chosen) => view`<label>${text}<select name="${name}"
      @change="${({ target }) => this.change(name, target.value)}">${options.map(
        (value) =>
          view`<option value="${value}" ?selected="${value === chosen}">${value || "a new one"}</option>`,
      )}</select></label>`;
    const whole = (name, text, least) => view`<label>${text}<input type="number" name="${name}" min="${least}"
      .value="${String(this.plan[name])}"
      @change="${({ target }) => this.change(name, Math.max(least, Number(target.value) || 0))}"></label>`;
    const { of, plan, offered } = this;
    const flags = this.found.success_found ? offered.success : offered.success.slice(1);
    return view`<div class="fields">
      ${select("task", "task", ["", ...offered.tasks], of.task)}
      ${
        of.task
          ? none
          : view`<label>name of the new task<input type="text" name="new_task" .value="${of.new_task}"
        placeholder="my-drawer" @change="${({ target }) => this.change("new_task", target.value.trim())}"></label>`
      }
      ${select("use", "what they are", offered.uses, of.use)}
      ${
        of.use === "world model"
          ? view`<label>rollouts of which policy<input type="text" name="policy" .value="${of.policy}"
        @change="${({ target }) => this.change("policy", target.value.trim())}"></label>`
          : none
      }
      ${select("success", "success", flags, plan.success)}${select("turn", "frames", offered.turns, plan.turn)}
      ${whole("size", "side in pixels (0: the task's)", 0)}${whole("stride", "recorded steps an action", 1)}
      <label>instruction, if not their own<input type="text" name="instruction" .value="${plan.instruction}"
        @change="${({ target }) => this.change("instruction", target.value.trim())}"></label></div>`;
  }

  doing() {
    const { open, words, bytes: size, run } = this.intended;
    if (open)
      return view`<p class="warn" role="status">${open}
        ${run ? view`<a href="./episodes?run=${run}">Look at them</a>` : none}</p>`;
    return view`<div class="banner" role="status"><div><b>What will be done</b>
      <ul>${words.map((line) => view`<li>${line}</li>`)}</ul>
      <div class="between"><span class="mute">at most ${bytes(size)} on the disk</span>
      <button type="button" class="primary" ?disabled="${!words.length}" @click="${() => this.take()}">
        Take in ${integer(this.found.episodes)} recordings</button></div></div></div>`;
  }

  progress() {
    const {
      state = "queued",
      busy = true,
      done = 0,
      total = 0,
      seconds_left: left,
      error,
      result,
    } = this.state ?? {};
    if (state === "failed")
      return view`<div class="banner bad" role="alert"><div><b>Nothing came in.</b> ${error}</div></div>`;
    if (busy)
      return view`<p role="status" class="mono">${state} · ${total ? Math.round((100 * done) / total) : 0} %${
        left ? ` · about ${Math.ceil(left)} s left` : ""
      }</p>`;
    const unlabelled = result?.["import/unlabelled"] ?? 0;
    return view`<div class="banner" role="status"><div><b>${state === "done" ? "All came in" : state}:</b>
      ${integer(result?.["import/episodes"] ?? 0)} episodes. <a href="./episodes?run=${this.run}">Look at them</a>
      ${
        unlabelled
          ? view`<br>Nobody has said yet which of them succeeded.
        <a href="./label">Label ${integer(unlabelled)} clips</a>`
          : none
      }</div></div>`;
  }
}
