// The keyboard: one map (keys.json) for all pages, re-bindable, silent while someone types.
import keyMap from "./keys.json" with { type: "json" };
import { memory } from "./memory.js";

/** @typedef {import("./types.d.ts").Key} Key */
/** @typedef {Key & {name: string}} Bound */
/** @typedef {Record<string, () => unknown>} Handlers */
/** @typedef {{groups: string[], handlers: Handlers, released: Handlers}} Layer */

/** @type {Record<string, Key[]>} */
const map = keyMap;
/** @type {Record<string, string>} */
const names = { " ": "Space" };
/** @type {Record<string, string>} */
const shown = {
  Space: "space",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  "Shift+ArrowLeft": "shift ←",
  "Shift+ArrowRight": "shift →",
  "Shift+Space": "shift space",
  Z: "shift z",
  Backspace: "⌫",
  Enter: "↵",
  Escape: "esc",
};
const REPEATING = ["back", "forward", "chunkBack", "chunkForward"];
// What is on top of the page (a drawer) hears a key first; each layer: {groups, handlers, released}.
/** @type {Layer[]} */
const layers = [{ groups: [], handlers: {}, released: {} }];
/** @type {Map<string, {layer: Layer, action: string}>} */
const down = new Map();

const typing = (/** @type {Event} */ event) => {
  const [target] = event.composedPath();
  if (target instanceof HTMLInputElement) return !["range", "button", "checkbox"].includes(target.type);
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
};
const spell = (/** @type {KeyboardEvent} */ event) => {
  const key = names[event.key] ?? event.key;
  return event.shiftKey && key.length > 1 ? `Shift+${key}` : key;
};

/** The key of an entry: chosen in this browser, else that of the map. */
const own = () => memory.get("keys", {});
/** @type {(group: string, entry: Key) => string} */
const keyOf = (group, entry) => own()[`${group}.${entry.action}.${entry.key}`] ?? entry.key;

const find = (/** @type {string} */ key) => {
  for (const layer of [...layers].reverse())
    for (const group of layer.groups) {
      const entry = map[group].find((item) => layer.handlers[item.action] && keyOf(group, item) === key);
      if (entry) return { layer, action: entry.action };
    }
  return null;
};

const onDown = (/** @type {KeyboardEvent} */ event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event)) return;
  const key = spell(event);
  const found = find(key);
  if (!found) return;
  const target = /** @type {Element} */ (event.composedPath()[0]);
  const pressesButton =
    ["Space", "Enter"].includes(key) && target.closest?.("button, a, [role=option], [role=listbox]");
  if (pressesButton && !target.closest(".wm-keyed")) return;
  event.preventDefault();
  if (event.repeat && !REPEATING.includes(found.action)) return;
  down.set(event.code, found);
  found.layer.handlers[found.action]();
};
const onUp = (/** @type {{code: string}} */ event) => {
  const found = down.get(event.code);
  down.delete(event.code);
  found?.layer.released[found.action]?.();
};
const releaseAll = () => [...down.keys()].forEach((code) => onUp({ code }));

document.addEventListener("keydown", (event) => !event.defaultPrevented && onDown(event));
document.addEventListener("keyup", onUp);
window.addEventListener("blur", releaseAll);

/** What is written on a key. */
const label = (/** @type {string} */ key) => shown[key] ?? key;

export const keys = {
  /** Bind actions of some groups of the map for the page; earlier groups win.
   * @type {(wanted: string[], handlers: Handlers, released?: Handlers) => void} */
  use: (wanted, handlers, released = {}) => {
    const page = layers[0];
    page.groups = [...wanted, ...page.groups.filter((group) => !wanted.includes(group))];
    Object.assign(page.handlers, handlers);
    Object.assign(page.released, released);
  },
  /** Bind them above the page, until the returned function is called.
   * @type {(groups: string[], handlers: Handlers) => () => void} */
  over: (groups, handlers) => {
    const layer = { groups, handlers, released: {} };
    layers.push(layer);
    return () => {
      if (layers.includes(layer)) layers.splice(layers.indexOf(layer), 1);
    };
  },
  /** The groups that work now, uppermost first: [{group, entries}].
   * @type {() => {group: string, entries: Bound[]}[]} */
  active: () => {
    const taken = new Set();
    return [...layers].reverse().flatMap(({ groups, handlers }) =>
      groups.map((group) => ({
        group,
        entries: map[group]
          .filter((item) => handlers[item.action])
          .map((item) => ({
            ...item,
            key: keyOf(group, item),
            name: `${group}.${item.action}.${item.key}`,
          }))
          .filter((item) => !taken.has(item.key) && taken.add(item.key)),
      })),
    );
  },
  /** Give an action another key in this browser; the sentence that refuses it, or null.
   * @type {(group: string, name: string, event: KeyboardEvent) => string | null} */
  rebind: (group, name, event) => {
    if (event.ctrlKey || event.altKey || event.metaKey)
      return "Keys with Ctrl, Alt or Meta belong to the browser.";
    const key = spell(event);
    const other = map[group].find(
      (item) => keyOf(group, item) === key && `${group}.${item.action}.${item.key}` !== name,
    );
    if (other) return `${label(key)} already means “${other.text}” here.`;
    memory.set("keys", { ...own(), [name]: key });
    return null;
  },
  /** What to write beside a button: the first key of an action. */
  keyFor: (/** @type {string} */ group, /** @type {string} */ action) => {
    const entry = map[group].find((item) => item.action === action);
    return entry ? label(keyOf(group, entry)) : "";
  },
  restore: () => memory.set("keys", {}),
  label,
};
