// HTML made of text: what a value says is escaped before it stands in a page.
const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
/** Text made safe to stand in HTML. */
export const escapeText = (text) => String(text ?? "").replace(/[&<>"']/g, (sign) => escapes[sign]);

/** Template tag: every value is escaped unless wrapped in `raw`. */
export const raw = (html) => ({ html });
export const html = (parts, ...values) =>
  raw(
    parts.reduce((whole, part, index) => {
      const value = values[index - 1];
      const list = Array.isArray(value) ? value : [value];
      return whole + list.map((v) => (v && v.html !== undefined ? v.html : escapeText(v))).join("") + part;
    }),
  );
/** Replace the children of `element`. */
export const fill = (element, content) => {
  element.innerHTML = content.html;
};
