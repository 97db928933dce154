// The strip on top of every page: where you are, what runs, on what machine, light or dark, help.
import { ask } from "../web/calls.js";
import { duration, reached } from "../web/formats.js";
import { showKeys } from "../web/help/help.js";
import { giveTips } from "../web/help/words.js";
import { together } from "../web/memory.js";
import { every } from "../web/polling.js";
import { theme } from "../web/shade.js";
import { draw, none, view } from "../web/view.js";

const MARKS = { system: "◐", light: "☀", dark: "☾" };

/** What is left of a run, in words. */
const rest = (run) => {
  if (run.state !== "running") return run.state;
  if (run.phase && !run.total) return run.phase;
  return run.seconds_left ? `${duration(run.seconds_left)} left` : "running";
};

/** One pill for all that runs: the first run by name, and how many more there are. */
const dock = (runs, control) => {
  const [run] = runs;
  const share = run.total ? Math.min(100, (100 * run.done) / run.total) : 0;
  const pause = run.state === "paused" ? ["run", "▶", "Resume the run"] : ["pause", "❚❚", "Pause the run"];
  return view`<span class="chip dock"><i class="dot ${run.state}"></i>
    <a href="train?run=${run.id}" title="${run.name ?? run.job}: ${reached(run) || run.state}"
      ><span class="name">${run.name ?? run.job}</span>
      <span class="mono">${run.total ? `${run.done} of ${run.total} · ` : ""}${rest(run)}</span></a>
    <span class="bar" role="progressbar" aria-label="Progress of the run" aria-valuenow="${Math.round(share)}">
      <i style="width:${share}%"></i></span>
    <button @click=${() => control(run.id, pause[0])} aria-label="${pause[2]}">${pause[1]}</button>
    <button @click=${() => control(run.id, "stop")} aria-label="Stop the run">■</button>
    ${
      runs.length > 1
        ? view`<a class="more" href="train?run=${runs[1].id}" title="${runs
            .slice(1)
            .map((each) => each.name)
            .join(", ")}">+${runs.length - 1}</a>`
        : none
    }</span>`;
};

export const mountHeader = (element, server) => {
  theme.apply();
  giveTips();
  for (const page of ["imagine", "train"])
    element.querySelectorAll(`nav a[href="./${page}"]`).forEach((link) => {
      link.href = together.link(`./${page}`);
    });
  const place = element.querySelector(".jobs");
  const troubles = element.querySelector(".troubles");
  const toggle = element.querySelector("[data-do=theme]");
  const name = () => {
    toggle.textContent = MARKS[theme.choice()];
    toggle.setAttribute("aria-label", `Theme: ${theme.choice()}. Change`);
    toggle.title = `Theme: ${theme.choice()}`;
  };
  name();
  toggle.addEventListener("click", () => {
    theme.next();
    name();
  });
  element.querySelector("[data-do=help]").addEventListener("click", () => showKeys());
  element.querySelector("header").classList.add("ready"); // its buttons are seen now
  const wake = every(
    element,
    () => (place.childElementCount ? 2000 : 5000),
    async () => {
      const answer = await ask(server, "jobs", {}, true);
      if (!answer) return;
      const alive = answer.runs.filter((run) => run.busy || run.state === "paused");
      // What computes stands before what waits.
      alive.sort((one, other) => Number(other.state === "running") - Number(one.state === "running"));
      draw(place, alive.length ? dock(alive, control) : none);
      draw(troubles, view`${answer.troubles.map((sentence) => view`<p>${sentence}</p>`)}`);
      troubles.hidden = !answer.troubles.length;
    },
  );
  const control = async (run, wanted) => {
    await ask(server, "control", { run, control: wanted });
    document.dispatchEvent(new CustomEvent("wmpo-runs"));
  };
  document.addEventListener("wmpo-runs", wake);
  // A mouse click leaves no focus behind: the next key belongs to the page, not to the button.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target instanceof Element)
      /** @type {HTMLElement | null} */ (event.target.closest(".wm button"))?.blur();
  });
};
