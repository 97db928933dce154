// Take over: a pad for the arm and the gripper; what the policy would do is drawn on it as a ghost.
import { signed } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { keys } from "../web/keys.js";
import { toast } from "../web/toast.js";

// The key map's actions, the dimension they move, and where to.
const MOVES = {
  forward_y: ["y", 1, "+y"],
  back_y: ["y", -1, "−y"],
  left_x: ["x", -1, "−x"],
  right_x: ["x", 1, "+x"],
  up_z: ["z", 1, "+z"],
  down_z: ["z", -1, "−z"],
};
const TURNS = ["roll", "pitch", "yaw"];
const GRIPS = { open: "open", close: "close" };

const key = (action) => keys.keyFor("takeover", action);
const button = (action, text) =>
  html`<button data-move="${action}" class="m-${action}">${text} <kbd>${key(action)}</kbd></button>`;
const template = () => html`<div class="between"><h3>Take over</h3><span class="tag who"></span></div>
  <div class="pad-grid">
    <div class="cross">${Object.entries(MOVES)
      .slice(0, 4)
      .map(([action, [, , text]]) => button(action, text))}
      <svg class="arrow" viewBox="-50 -50 100 100" aria-hidden="true"><circle r="3"/><line/></svg></div>
    <div class="height">${button("up_z", "+z")}<i class="ghost-z"></i>${button("down_z", "−z")}</div>
  </div>
  <div class="turns"></div>
  <div class="row grips">${Object.entries(GRIPS).map(
    ([action, word]) =>
      html`<button data-grip="${action}" aria-pressed="false">${word} <kbd>${key(action)}</kbd></button>`,
  )}</div>
  <div class="row options"><label class="row">size <input type="range" class="size" min="0.1" max="1" step="0.1"
    value="1"
      aria-label="Size of a move"></label>
    <button data-option="hold" aria-pressed="false"
      title="Go on while the key is held, or one chunk for each press">once</button>
    <button data-option="others" aria-pressed="false" title="What dimensions do that you do not press">others
      still</button></div>
  <p class="mute small ghost-words"></p>`;

export class Pad {
  constructor(element, dream) {
    this.element = element;
    this.dream = dream;
    this.held = new Set();
    this.hold = false;
    this.shared = false;
    this.moving = false;
    fill(element, template());
    this.find = (selector) => element.querySelector(selector);
    element.addEventListener("pointerdown", (event) => {
      const move = event.target.closest("[data-move]")?.dataset.move;
      if (move && event.isPrimary) this.press(move);
    });
    for (const kind of ["pointerup", "pointercancel", "pointerleave"])
      element.addEventListener(kind, () => this.held.clear());
    element.addEventListener("click", (event) => this.onClick(event));
  }

  onClick(event) {
    const { move, grip, option, turn } = event.target.closest("button")?.dataset ?? {};
    if (move && event.detail === 0) this.tap(move); // a key or a reader pressed the button
    if (grip) this.grip(grip);
    if (turn) this.step({ [turn.slice(1)]: turn[0] === "+" ? this.size : -this.size });
    if (option === "hold") this.hold = !this.hold;
    if (option === "others") this.shared = !this.shared;
    this.show();
  }

  get size() {
    return Number(this.find(".size").value);
  }

  actions() {
    const moves = Object.keys(MOVES).map((name) => [name, () => this.press(name)]);
    const grips = Object.keys(GRIPS).map((name) => [name, () => this.grip(name)]);
    return Object.fromEntries([...moves, ...grips]);
  }
  released() {
    return Object.fromEntries(Object.keys(MOVES).map((name) => [name, () => this.held.delete(name)]));
  }

  toggle() {
    return this.mode(this.dream.human ? "policy" : "human");
  }

  async mode(mode) {
    if (!(await this.dream.ready())) return;
    if (this.dream.state === "running") await this.dream.act("pause");
    await this.dream.act("steer", { mode });
  }

  async tap(move) {
    await this.press(move);
    this.held.delete(move);
  }

  /** Keys pressed together move together; with “hold” they go on until they are released. */
  async press(move) {
    this.held.add(move);
    if (this.moving) return;
    this.moving = true;
    let moved;
    do {
      const numbers = {};
      for (const name of this.held) {
        const [dimension, sign] = MOVES[name];
        numbers[dimension] = (numbers[dimension] ?? 0) + sign * this.size;
      }
      moved = Object.keys(numbers).length > 0 && (await this.step(numbers));
    } while (this.hold && moved && this.held.size);
    this.moving = false;
  }

  /** One chunk with these numbers; what is not pressed keeps still, or is the policy's. */
  async step(numbers) {
    if (this.dream.state === "running") await this.dream.act("pause");
    if (this.dream.state === "done" && this.dream.player.clock.cursor >= this.dream.player.clock.last) {
      toast("The dream ends here: rewind or branch first.", "note");
      return false;
    }
    const still = this.shared ? [] : this.dream.dims.filter((name) => name !== this.gripper);
    const actions = { ...Object.fromEntries(still.map((name) => [name, 0])), ...numbers };
    await this.dream.act("chunk", { mode: "human", actions, step: true });
    return this.dream.state === "paused";
  }

  get gripper() {
    return this.dream.dims.at(-1);
  }

  async grip(word) {
    if (!(await this.dream.ready())) return;
    if (this.dream.state === "running") await this.dream.act("pause");
    await this.dream.act("steer", { mode: "human", gripper: word });
  }

  show() {
    const { dream } = this;
    const held = dream.status?.steering?.held ?? {};
    const grip = held[this.gripper];
    this.element.classList.toggle("human", dream.human);
    const who = this.find(".who");
    who.textContent = dream.human ? "you drive" : "the policy drives";
    who.classList.toggle("ok", dream.human);
    for (const [name, pressed] of [
      ["open", grip !== undefined && grip < 0],
      ["close", grip !== undefined && grip > 0],
    ])
      this.find(`[data-grip=${name}]`).setAttribute("aria-pressed", String(pressed));
    const hold = this.find("[data-option=hold]");
    hold.textContent = this.hold ? "hold" : "once";
    hold.setAttribute("aria-pressed", String(this.hold));
    const others = this.find("[data-option=others]");
    others.textContent = this.shared ? "others: policy" : "others still";
    others.setAttribute("aria-pressed", String(this.shared));
    this.turns();
    this.ghost();
  }

  turns() {
    const place = this.find(".turns");
    const names = this.dream.dims.filter((name) => TURNS.includes(name));
    if (place.childElementCount === 2 * names.length) return;
    fill(
      place,
      html`${names.flatMap((name) =>
        ["−", "+"].map(
          (sign) => html`<button data-turn="${(sign === "−" ? "-" : "+") + name}">${sign}${name}</button>`,
        ),
      )}`,
    );
  }

  ghost() {
    const { proposal, dims } = this.dream;
    const mean = (name) => {
      const index = dims.indexOf(name);
      if (!proposal || index < 0) return 0;
      return proposal.actions.reduce((sum, step) => sum + step[index], 0) / proposal.actions.length;
    };
    const [x, y, z] = ["x", "y", "z"].map(mean);
    const line = this.find(".arrow line");
    line.setAttribute("x2", (40 * x).toFixed(1));
    line.setAttribute("y2", (-40 * y).toFixed(1));
    this.find(".arrow").classList.toggle("none", !proposal);
    this.find(".ghost-z").style.setProperty("--z", z.toFixed(2));
    const words = dims.map((name) => `${name} ${signed(mean(name))}`).join("  ");
    this.find(".ghost-words").textContent = proposal ? `the policy would: ${words}` : "";
  }
}
