// The keys of the page, written from the map; a key is changed by pressing it and then another one.
import { fill, html } from "../html.js";
import { keys } from "../keys.js";
import { words } from "./words.js";

/** @type {Record<string, string>} */
const TITLES = {
  everywhere: "Everywhere",
  player: "Any video",
  imagine: "Imagine",
  takeover: "Take over",
  models: "Models",
  episodes: "Episodes",
  drawer: "Episode",
  label: "Label",
  compare: "A/B",
  reward: "Reward",
  train: "Train",
};
const MODIFIERS = ["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock"];
/** @type {any} */
let overlay = null;
/** @type {any} */
let waiting = null; // the button whose next key is asked for

const part = (/** @type {{group: string, entries: import("../keys.js").Bound[]}} */ { group, entries }) =>
  entries.length
    ? html`<div><h3>${TITLES[group]}</h3><dl>${entries.map(
        (item) => html`<dt><button class="key" data-name="${item.name}" data-group="${group}"
          aria-label="${item.text}: ${keys.label(item.key)}. Change the key"><kbd>${keys.label(item.key)}</kbd></button>
          </dt><dd>${item.text}</dd>`,
      )}</dl></div>`
    : "";

const show = (sentence = "Keys rest while you type in a field. Press a key here to give it another one.") => {
  waiting = null;
  fill(
    overlay,
    html`<div><div class="between"><b>Keys</b><span class="row"><button class="quiet" data-do="restore">Restore
      all</button>
      <button class="quiet" data-do="close" aria-label="Close">✕</button></span></div>
      <div class="cols">${keys.active().map(part)}</div><p class="mute" role="status">${sentence}</p>
      <details class="words"><summary>Words</summary><dl>${words().map(
        ([word, meaning]) => html`<dt>${word}</dt><dd>${meaning}</dd>`,
      )}</dl></details></div>`,
  );
  overlay.querySelector("[data-do=close]").focus();
};

const close = () => {
  overlay?.remove();
  overlay = null;
  waiting = null;
};

const onClick = (/** @type {any} */ event) => {
  if (event.target === overlay || event.target.closest("[data-do=close]")) return close();
  if (event.target.closest("[data-do=restore]")) {
    keys.restore();
    return show("Every key is as it was.");
  }
  const button = event.target.closest("[data-name]");
  if (!button) return undefined;
  waiting = button;
  button.firstElementChild.textContent = "…";
  overlay.querySelector("[role=status]").textContent = "Press the new key, or Escape to leave it.";
  return button.focus();
};

// In the capture phase: while the overlay is open, the page's own keys rest.
const onKey = (/** @type {KeyboardEvent} */ event) => {
  if (!overlay || MODIFIERS.includes(event.key)) return;
  if (!waiting) {
    if (event.key === "Escape" || event.key === "?") {
      event.preventDefault();
      close();
    } else if (!["Tab", "Enter", " "].includes(event.key)) event.preventDefault();
    return;
  }
  event.preventDefault();
  if (event.key === "Escape") show();
  else show(keys.rebind(waiting.dataset.group, waiting.dataset.name, event) ?? "Changed, in this browser.");
};

export const showKeys = () => {
  if (overlay?.isConnected) return close();
  overlay = document.createElement("div");
  overlay.className = "wm wm-help";
  overlay.setAttribute("role", "dialog");
  overlay.setAttribute("aria-label", "Keyboard");
  overlay.setAttribute("aria-modal", "true");
  overlay.addEventListener("click", onClick);
  document.body.append(overlay);
  return show();
};
document.addEventListener("keydown", onKey, true);
keys.use(["everywhere"], { help: () => showKeys() });
