// Data: cards for what comes in and goes out, who said what, what keeps it, and use from scripts.
import { copy } from "../web/copy.js";
import { Errands } from "../web/errands/errands.js";
import { fill, html } from "../web/html.js";
import { Audit } from "./audit.js";
import { Export, Import } from "./exchange.js";
import { Keeping } from "./keeping.js";
import { Recordings } from "./recordings.js";

const template = html`<div class="wm data">
  <section class="card export" aria-label="Export"></section>
  <section class="card import" aria-label="Import"></section>
  <section class="card recordings" id="recordings" aria-label="Recordings of your robot"></section>
  <section class="card audit" aria-label="Who said what"></section>
  <section class="card space" aria-label="On the disk"></section>
  <section class="card backup" aria-label="Backup"></section>
  <section class="card sync" aria-label="Labels elsewhere"></section>
  <section class="card scripts" aria-label="From a script"></section></div>`;

const scripts = (element, texts) => {
  const here = location.href.replace(/\/data\/?([?#].*)?$/, "");
  const block = ([language, text]) => html`<div><div class="between"><b>${language}</b>
    <button type="button" class="quiet" data-copy="${language}">Copy</button></div>
    <pre class="mono" tabindex="0" aria-label="${language} example">${text.replaceAll("{address}", here)}</pre></div>`;
  fill(
    element,
    html`<h3>From a script</h3><p class="mute">The same checks and the same sentences as on the pages. <span
      class="mono">next_item</span>, <span class="mono">label</span> and <span class="mono">rm_audit</span> do label
        work;
      the rest of the API is at <a href="./?view=api">view=api</a>.</p>
      <div class="blocks">${Object.entries(texts).map(block)}</div>`,
  );
  element.addEventListener("click", ({ target }) => {
    const language = target.closest("button")?.dataset.copy;
    if (language) copy(element.querySelector(`[aria-label="${language} example"]`).textContent);
  });
};

export const mountData = ({ element, props, server }) => {
  fill(element, template);
  const card = (name) => element.querySelector(`.card.${name}`);
  const errands = new Errands(element, server);
  const tools = { server, errands, props };
  new Export(card("export"), tools);
  const audit = new Audit(card("audit"), tools);
  const onTaken = () => {
    audit.load();
    keeping.load();
  };
  const places = { space: card("space"), backup: card("backup"), sync: card("sync") };
  const keeping = new Keeping(places, { ...tools, onTaken });
  card("import").hidden = props.public;
  if (!props.public) new Import(card("import"), { ...tools, onTaken });
  card("recordings").hidden = props.public;
  if (!props.public) new Recordings(card("recordings"), { ...tools, onTaken });
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
  scripts(card("scripts"), props.snippets);
};
