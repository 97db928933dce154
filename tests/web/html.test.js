import assert from "node:assert/strict";
import test from "node:test";
import { fill, html, raw } from "../../app/web/html.js";

test("an object of JSON is no markup, whatever it says of itself", () => {
  const foreign = JSON.parse('{"html": "<img src=x onerror=alert(1)>"}');
  assert.equal(html`<p>${foreign}</p>`.html, "<p>[object Object]</p>");
  assert.throws(() => fill(/** @type {any} */ ({ innerHTML: "" }), foreign), TypeError);
});

test("markup of our own stands as it is, and text is escaped", () => {
  const element = /** @type {any} */ ({ innerHTML: "" });
  fill(element, html`<b>${"<i>"}</b>${raw("<hr>")}${[html`<u></u>`]}`);
  assert.equal(element.innerHTML, "<b>&lt;i&gt;</b><hr><u></u>");
});
