// The little of a browser that modules without a screen reach for.
class Kept {
  getItem(name) {
    return this[name] ?? null;
  }
  setItem(name, value) {
    this[name] = String(value);
  }
  clear() {
    for (const name of Object.keys(this)) delete this[name];
  }
}
globalThis.localStorage = new Kept();
globalThis.window = new EventTarget();
globalThis.document = Object.assign(new EventTarget(), { querySelector: () => null });
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
