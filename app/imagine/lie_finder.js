// Find a false success: imagine start after start, let the simulator play the same actions, and open
// the first dream that says success where reality failed.
import { ask } from "../web/calls.js";
import { duration, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { settings } from "./settings.js";

const COUNTS = [8, 16, 32];
const template = html`<div class="between"><h3>Where does it lie?</h3></div>
  <div class="row"><button data-do="find" title="Imagine starts one after the other, each beside its real twin">Find
    a false success</button><label class="row mute">in <select class="tries"
    aria-label="Starts to try">${COUNTS.map((n) => html`<option>${n}</option>`)}</select></label></div>
  <p class="mute small found" role="status"></p><div class="bar" hidden><i></i></div>`;

export class LieFinder {
  /** `onFound(dream, settings)` opens the dream that lies. */
  constructor(element, { server, onFound, now = () => performance.now() }) {
    this.server = server;
    this.onFound = onFound;
    this.now = now;
    this.looking = false;
    fill(element, template);
    this.find = (selector) => element.querySelector(selector);
    this.find(".tries").value = "16";
    element.addEventListener("click", (event) => {
      if (!event.target.closest("[data-do=find]")) return;
      if (this.looking) this.looking = false;
      else this.look(Number(this.find(".tries").value));
    });
  }

  /** The starts to try: from the chosen one on, and round. */
  ahead(count) {
    const { starts, values } = settings;
    const first = Math.max(0, starts.indexOf(values.start_id));
    const from = this.last === starts[first] ? first + 1 : first;
    return Array.from(
      { length: Math.min(count, starts.length) },
      (_, n) => starts[(from + n) % starts.length],
    );
  }

  async look(count) {
    await settings.begun;
    const starts = this.ahead(count);
    this.looking = true;
    const began = this.now();
    let [done, agreed] = [0, 0];
    for (const start of starts) {
      this.say(done, starts.length, began);
      const chosen = { ...settings.values, from: undefined, start_id: start };
      const answer = await ask(this.server, "probe_dream", /** @type {any} */ (chosen));
      if (!answer || !this.looking) break;
      done += 1;
      agreed += answer.imagined.success === answer.real.success ? 1 : 0;
      if (answer.lies) {
        this.last = start;
        this.end(`Start ${integer(start)}: dreamt success, really failed. ${done} tried, ${agreed} agreed.`);
        this.onFound(answer.dream, chosen);
        return;
      }
    }
    this.end(done ? `No false success in ${done} starts; ${agreed} verdicts agreed.` : "");
  }

  say(done, total, began) {
    const left = done ? ` · ${duration(((this.now() - began) / 1000 / done) * (total - done))} left` : "";
    this.find(".found").textContent = `${done} of ${total} starts imagined and played${left}`;
    this.find("button").textContent = "Cancel";
    this.find(".bar").hidden = false;
    this.find(".bar i").style.width = `${(100 * done) / total}%`;
  }

  end(text) {
    this.looking = false;
    this.find(".found").textContent = text;
    this.find("button").textContent = "Find a false success";
    this.find(".bar").hidden = true;
  }
}
