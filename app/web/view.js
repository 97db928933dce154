// Views: templates that touch only what changed where they are drawn again, so focus, typing and open
// menus stay. `html` is for what is drawn once.
import { html, nothing, render } from "./vendor/lit-html.js";

/** @typedef {import("./types.d.ts").View} View */

/** @type {(parts: TemplateStringsArray, ...values: any[]) => View} */
export const view = html;
/** @type {any} */
export const none = nothing;

const drawn = new WeakSet();
/** Show a view as all that is in `place`, now and whenever it is called again.
 * @param {Element} place
 * @param {View | View[]} content */
export const draw = (place, content) => {
  if (!drawn.has(place)) place.replaceChildren();
  drawn.add(place);
  render(content, place);
};
