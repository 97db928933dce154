// A new evaluation: policies x tasks x pools, what it would take, and its start.
(() => {
  const NUMBERS = [
    ["episodes", "Episodes each", 100, 1, 1000, 1],
    ["first_start", "First start", 0, 0, 100000, 1],
    ["temperature", "Temperature (0 is greedy)", 0, 0, 10, 0.1],
    ["seeds", "Sampling seeds", 3, 1, 20, 1],
    ["record_episodes", "Videos of the first", 40, 0, 1000, 1],
  ];

  class EvaluationForm {
    constructor(element, server, onStarted) {
      Object.assign(this, { element, server, onStarted, asked: 0 });
      WMPO.fill(element, WMPO.html`<h3>New evaluation</h3><p class="mute">asking what there is…</p>`);
      element.addEventListener("input", () => this.plan());
      element.addEventListener("click", (event) => event.target.closest("[data-do=start]") && this.start());
      this.open();
    }

    async open() {
      const found = await WMPO.ask(this.server, "choices");
      if (!found) return;
      this.found = found;
      const policy = ({ id, name, short }, index) => WMPO.html`<li><label class="row">
          <input type="checkbox" data-policy="${id}" ${WMPO.raw(id.startsWith("demo/") && index < 3 ? "checked" : "")}>
          <span class="grow name">${name}</span><span class="mono mute small">${short.slice(0, 4)}</span></label>
        <input type="text" data-arm="${id}" maxlength="60" placeholder="arm: ${name}" aria-label="Arm of ${name}"></li>`;
      const box = (kind, value, on) => WMPO.html`<label class="chip"><input type="checkbox" data-${WMPO.raw(kind)}="${value}"
        ${WMPO.raw(on ? "checked" : "")}> ${value}</label>`;
      const number = ([name, words, value, low, high, step]) => WMPO.html`<label class="field">${words}
        <input type="number" data-number="${name}" value="${value}" min="${low}" max="${high}" step="${step}"></label>`;
      WMPO.fill(
        this.element,
        WMPO.html`<h3>New evaluation</h3>
        ${found.refusal ? WMPO.html`<p class="banner warn">${found.refusal}</p>` : ""}
        <fieldset><legend>Policies</legend><ul class="policies">${found.policies.map(policy)}</ul>
          <p class="mute small">Policies of one arm are its trainings: give them one name.</p></fieldset>
        <details><summary>Tasks</summary><div class="row">${found.tasks.map((task, i) => box("task", task, i === 0))}</div></details>
        <fieldset><legend>Pools of starts</legend><div class="row">
          ${Object.keys(found.pools).map((pool, i) => box("pool", pool, i === 0))}</div></fieldset>
        <div class="fields two">${NUMBERS.map(number)}</div>
        <p class="said" role="status"></p>
        <button class="primary" data-do="start" disabled>Start the evaluation</button>`,
      );
      this.plan();
    }

    query() {
      const all = (selector) => [...this.element.querySelectorAll(selector)];
      const checked = (kind) => all(`[data-${kind}]:checked`).map((box) => box.dataset[kind]);
      const arm = (id) => all("[data-arm]").find((field) => field.dataset.arm === id).value;
      const numbers = all("[data-number]").map((field) => [field.dataset.number, Number(field.value)]);
      const query = {
        policies: checked("policy").map((id) => ({ id, arm: arm(id) })),
        tasks: checked("task"),
        pools: checked("pool"),
        ...Object.fromEntries(numbers),
      };
      return { ...query, record_episodes: Math.min(query.record_episodes, query.episodes) };
    }

    /** Ask what it would take, once the hand rests. */
    plan() {
      if (!this.found) return;
      const asked = ++this.asked;
      setTimeout(async () => {
        if (asked !== this.asked) return;
        const plan = await this.server.plan(this.query());
        if (asked === this.asked && plan) this.say(plan);
      }, 250);
    }

    say(plan) {
      const place = this.element.querySelector(".said");
      const button = this.element.querySelector("[data-do=start]");
      button.disabled = Boolean(plan.refused || this.found.refusal || !plan.new);
      place.className = `said small ${plan.refused ? "bad" : "mute"}`;
      if (plan.refused) {
        place.textContent = plan.refused;
        return;
      }
      const known = plan.known ? ` ${WMPO.integer(plan.known)} there already.` : "";
      const basis = plan.measured ? "measured here" : "a guess: nothing was measured here yet";
      const work = plan.new
        ? `${WMPO.integer(plan.new)} runs, ${WMPO.integer(plan.episodes)} episodes, about ${WMPO.duration(plan.seconds)} (${basis}).`
        : "All of this has been run.";
      place.textContent = `${work}${known} ${plan.notes.join(" ")}`;
    }

    async start() {
      const button = this.element.querySelector("[data-do=start]");
      button.disabled = true;
      const answer = await WMPO.ask(this.server, "start", this.query());
      if (answer) {
        WMPO.toast(`${answer.runs.length} runs are queued: they go on whatever happens to this page.`, "note");
        document.dispatchEvent(new CustomEvent("wmpo-runs"));
        this.onStarted();
      }
      this.plan();
    }
  }
  WMPO.EvaluationForm = EvaluationForm;

  /** "To see 10 points you need …". */
  class PowerCalculator {
    constructor(element, server) {
      Object.assign(this, { element, server, asked: 0 });
      const field = (name, words, value, low, high) => WMPO.html`<label class="field">${words}
        <input type="number" data-name="${name}" value="${value}" min="${low}" max="${high}" step="1"></label>`;
      WMPO.fill(
        element,
        WMPO.html`<h3>What would it take?</h3><div class="fields two">
          ${field("difference", "Difference to see, points", 10, 1, 100)}
          ${field("discordant", "Starts that differ, %", 30, 1, 100)}
          ${field("rate", "Success of the reference, %", 36, 0, 100)}
          ${field("episodes", "Starts you have", 100, 1, 100000)}</div>
          <p class="answer" role="status"></p>`,
      );
      element.addEventListener("input", () => this.reckon());
      this.reckon();
    }

    async reckon() {
      const asked = ++this.asked;
      const fields = [...this.element.querySelectorAll("[data-name]")];
      const values = Object.fromEntries(fields.map((field) => [field.dataset.name, Number(field.value)]));
      const shares = ["difference", "discordant", "rate"].map((name) => [name, values[name] / 100]);
      const found = await this.server.power({ episodes: values.episodes, ...Object.fromEntries(shares) });
      if (asked !== this.asked || !found) return;
      const place = this.element.querySelector(".answer");
      place.classList.toggle("bad", Boolean(found.refused));
      if (found.refused) {
        place.textContent = found.refused;
        return;
      }
      const apart = found.unpaired ? `, or ${WMPO.integer(found.unpaired)} an arm with starts of their own` : "";
      const shown =
        found.detectable === null
          ? "show no difference at all"
          : `show ${(100 * found.detectable).toFixed(1)} points`;
      WMPO.fill(
        place,
        WMPO.html`To see ${values.difference} points you need <b>${WMPO.integer(found.paired)} common starts</b>${apart}.
          ${WMPO.integer(values.episodes)} common starts ${shown}. <span class="mute">80 % power, p &lt; 0.05, one comparison.</span>`,
      );
    }
  }
  WMPO.PowerCalculator = PowerCalculator;
})();
