// The little of a browser that modules without a screen reach for.
const stored = new Map();
globalThis.localStorage = {
  getItem: (name) => stored.get(name) ?? null,
  setItem: (name, value) => stored.set(name, String(value)),
  clear: () => stored.clear(),
};
globalThis.window = new EventTarget();
globalThis.document = new EventTarget();
globalThis.HTMLElement = class extends EventTarget {};
globalThis.HTMLInputElement = class extends HTMLElement {};
globalThis.HTMLImageElement = class {};
globalThis.Image = HTMLImageElement;

/** Press a key on the page; whether somebody took it. */
export const press = (key, { target = null, ...more } = {}) => {
  const event = new Event("keydown", { cancelable: true });
  Object.assign(event, { key, code: key, ...more });
  if (target) event.composedPath = () => [target];
  document.dispatchEvent(event);
  return event.defaultPrevented;
};

/** Every promise that waits for nothing else has gone on. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
