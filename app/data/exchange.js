// Export and import: how large it is first, then the work; what is in a file first, then the import.
import { ask } from "../web/calls.js";
import { fetchFile, sendFile } from "../web/errands/errands.js";
import { bytes, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const NAMES = {
  lerobot: "LeRobotDataset v3.0 (zip)",
  wmpo: "WMPO WebDataset (tar)",
  robomimic: "robomimic (HDF5)",
  jsonl: "JSON lines",
  csv: "CSV table",
  parquet: "Parquet",
  "label-studio": "Label Studio (JSON)",
};
const option = (value, text) => html`<option value="${value}">${text}</option>`;
const select = (name, text, options) =>
  html`<label>${text}<select name="${name}">${options}</select></label>`;
const any = option("", "any");

const whats = [
  option("episodes", "episodes"),
  option("labels", "labels"),
  option("preferences", "A/B preferences"),
];

export class Export {
  constructor(element, { server, errands, props }) {
    this.element = element;
    this.server = server;
    this.errands = errands;
    this.props = props;
    fill(
      element,
      html`<h3>Export</h3><form class="fields">
        ${select("what", "what", whats)}
        ${select("format", "format", [])}
        <span class="which fields">${select("view", "saved view", [option("", "none")])}
        ${select("kind", "kind", [any, option("imagined", "imagined"), option("real", "real")])}
        ${select("label", "human label", [
          any,
          ...["any", "none", "success", "fail", "unsure"].map((v) => option(v, v === "any" ? "has one" : v)),
        ])}
        ${select("run", "run", [any])}${select("task", "task", [any])}</span></form>
        <div class="between"><span class="size mono" role="status"></span>
        <button class="primary" type="button">Export</button></div><div class="answer"></div>`,
    );
    this.form = element.querySelector("form");
    this.form.addEventListener("change", ({ target }) => this.change(target.name));
    element.querySelector("button").addEventListener("click", () => this.start());
    this.change("what");
    this.choices();
  }

  async choices() {
    const answer = await ask(this.server, "choices", {}, true);
    if (!answer) return;
    const add = (name, pairs) =>
      pairs.forEach(([value, text]) => this.form[name].add(new Option(text, value)));
    for (const name of ["run", "task"])
      add(
        name,
        (answer.facets[name] ?? []).map(([value, count, said]) => [value, `${said} · ${integer(count)}`]),
      );
    add(
      "view",
      answer.views.map((name) => [name, name]),
    );
  }

  /** @returns {import("../web/wire.d.ts").Choice} */
  get query() {
    const { what, format, view, ...rest } = /** @type {Record<string, string>} */ (
      Object.fromEntries(new FormData(this.form))
    );
    if (what !== "episodes") return { what, format };
    const filter = Object.fromEntries(Object.entries(rest).filter(([, value]) => value));
    return view ? { what, format, view } : { what, format, filter };
  }

  change(name) {
    const { what, format, view } = this.form;
    const episodes = what.value === "episodes";
    if (name === "what") {
      const formats = episodes ? this.props.datasets : this.props.logs[what.value];
      fill(format, html`${formats.map((value) => option(value, NAMES[value]))}`);
    }
    this.element.querySelector(".which").hidden = !episodes;
    for (const one of ["kind", "label", "run", "task"]) this.form[one].disabled = Boolean(view.value);
    this.plan();
  }

  async plan() {
    const asked = {};
    this.asked = asked;
    const size = this.element.querySelector(".size");
    size.textContent = "weighing…";
    const answer = await this.server.plan(this.query).catch(() => null);
    if (asked !== this.asked) return;
    size.className = `size mono ${answer?.refused ? "warn" : ""}`;
    size.textContent = answer ? (answer.refused ?? answer.text) : "";
    this.element.querySelector(".primary").disabled = !answer || Boolean(answer.refused);
  }

  async start() {
    const errand = await ask(this.server, "export", this.query);
    if (!errand) return;
    const place = this.element.querySelector(".answer");
    this.errands.follow(errand, place, ({ id, result }) => {
      fill(
        place,
        html`<div class="between"><span><b class="mono">${result.name}</b> ${bytes(result.bytes)}</span>
          <button type="button">Download</button></div>`,
      );
      const button = place.querySelector("button");
      button.onclick = () => fetchFile(this.server, { errand: id }, result.name);
      button.click();
    });
  }
}

export class Import {
  constructor(element, { server, errands, onTaken }) {
    this.element = element;
    this.server = server;
    this.errands = errands;
    this.onTaken = onTaken;
    fill(
      element,
      html`<h3>Import</h3><p class="mute">Episodes that a studio exported (exact copy, LeRobot, WMPO tar,
        robomimic), or labels and preferences (JSONL, CSV, Parquet; labels also of Label Studio). First you see
        what is in the file; nothing is ever half imported.</p>
        <div class="fields"><button type="button" class="choose">Choose a file…</button></div>
        <input type="file" hidden aria-label="File to import" accept=".zip,.tar,.hdf5,.jsonl,.csv,.parquet,.json">
        <div class="answer"></div>`,
    );
    this.answer = element.querySelector(".answer");
    const input = element.querySelector("input");
    element.querySelector(".choose").addEventListener("click", () => input.click());
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (file) await this.take(file);
      input.value = "";
    });
  }

  async take(file) {
    fill(this.answer, html`<p class="mono mute" role="status">reading ${file.name}</p>`);
    const line = this.answer.firstElementChild;
    const upload = await sendFile(this.server, file, (done, total) => {
      line.textContent = `${bytes(done)} of ${bytes(total)}`;
    });
    if (upload) this.examine({ upload, name: file.name });
    else fill(this.answer, html``);
  }

  async examine(query, dry = true) {
    const errand = await ask(this.server, "examine", { ...query, dry_run: dry });
    if (!errand) return;
    this.errands.follow(errand, this.answer, ({ result }) => {
      showImport(this.answer, result, () => this.examine(query, false));
      if (!dry && !result.problems.length) this.onTaken();
    });
  }
}

/** What an import did or, as a dry run, would do; `take()` then does it. */
export const showImport = (place, { problems, more, text, dry_run: dry, added, labels = 0 }, take) => {
  if (problems.length) {
    fill(
      place,
      html`<div class="banner bad" role="alert"><div><b>Nothing is imported.</b>
        <ul>${problems.map((problem) => html`<li>${problem}</li>`)}</ul>
        ${more ? `and ${integer(more)} more` : ""}</div></div>`,
    );
    return;
  }
  const useful = dry && added + labels > 0;
  fill(
    place,
    html`<div class="banner" role="status"><div class="between"><span><b>${dry ? "It holds" : "Imported:"}</b>
      ${text}</span>${useful ? html`<button type="button" class="primary">Import</button>` : ""}</div></div>`,
  );
  const button = place.querySelector("button");
  if (button) button.onclick = take;
};
