// HTML made of text: what a value says is escaped before it stands in a page.
/** @type {Record<string, string>} */
const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
/** Text made safe to stand in HTML. */
export const escapeText = (/** @type {unknown} */ text) =>
  String(text ?? "").replace(/[&<>"']/g, (sign) => escapes[sign]);

/** HTML that code made: no JSON, whatever it says of itself, is one of these. */
class Markup {
  constructor(/** @type {string} */ html) {
    this.html = html;
  }
}
/** A text of our own that stands in HTML as it is; never a value from elsewhere. */
export const raw = (/** @type {string} */ html) => new Markup(html);
/** Template tag: every value is escaped unless it is markup of `raw` or of this tag.
 * @type {(parts: TemplateStringsArray, ...values: any[]) => Markup} */
export const html = (parts, ...values) =>
  raw(
    parts.reduce((whole, part, index) => {
      const value = values[index - 1];
      const list = Array.isArray(value) ? value : [value];
      return whole + list.map((v) => (v instanceof Markup ? v.html : escapeText(v))).join("") + part;
    }),
  );
/** Replace the children of `element`.
 * @type {(element: Element, content: Markup) => void} */
export const fill = (element, content) => {
  if (!(content instanceof Markup)) throw new TypeError("only markup of our own is shown");
  element.innerHTML = content.html;
};
