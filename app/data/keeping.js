// What keeps the data: space and clean-up, backup and restore, files against database, sync of labels.
import { ask } from "../web/calls.js";
import { fetchFile, sendFile } from "../web/errands/errands.js";
import { ago, bytes, counted, integer } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";
import { showImport } from "./exchange.js";

export class Keeping {
  constructor({ space, backup, sync }, { server, errands, props, onTaken }) {
    this.places = { space, backup, sync };
    this.server = server;
    this.errands = errands;
    this.props = props;
    this.onTaken = onTaken;
    fill(space, html`<h3>On the disk</h3><div class="kinds"></div><div class="left"></div>`);
    backup.hidden = sync.hidden = props.public;
    if (!props.public) this.atHome();
    for (const card of Object.values(this.places))
      card.addEventListener("click", ({ target }) => this.click(target.closest("button[data-act]")));
    this.load();
  }

  atHome() {
    const { space, backup, sync } = this.places;
    space.insertAdjacentHTML(
      "beforeend",
      html`<div class="between"><span class="mute">Do the files say what the database says?</span>
        <button type="button" data-act="verify">Verify</button></div><div class="answer"></div>`.html,
    );
    fill(
      backup,
      html`<h3>Backup</h3><div class="between"><label class="row"><input type="checkbox" checked> with
        checkpoints</label>
        <span class="row"><button type="button" data-act="bring">Take one in…</button>
        <button type="button" class="primary" data-act="back_up">Back up now</button></span></div>
        <input type="file" hidden aria-label="Backup file" accept=".tar"><div class="answer"></div><ul
          class="backups"></ul>`,
    );
    const [file] = backup.querySelectorAll("input[type=file]");
    file.addEventListener("change", async () => {
      if (file.files[0]) await this.bring(file.files[0]);
      file.value = "";
    });
    fill(
      sync,
      html`<h3>Labels elsewhere</h3><p class="mute">Every label and A/B preference as part of a file that is never
        changed again, in a
        folder, a bucket or a Hub dataset. The database stays here.</p>
        <form class="between"><input type="text" name="target" aria-label="Where" spellcheck="false" autocomplete="off"
        placeholder="a folder, s3://, gs:// or OWNER/DATASET"><span class="row">
        <button type="button" data-act="look">Take in from there</button>
        <button type="submit" class="primary">Sync now</button></span></form>
        <p class="mono mute state" role="status"></p><div class="answer"></div>`,
    );
    sync.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run("sync", { target: this.target }, sync);
    });
  }

  get target() {
    return this.places.sync.querySelector("[name=target]").value;
  }

  async load() {
    const answer = await ask(this.server, "kept", {}, true);
    if (!answer) return;
    this.space(answer.space);
    if (this.props.public) return;
    this.backups(answer.backups);
    const { target, at, logs } = answer.sync;
    const field = this.places.sync.querySelector("[name=target]");
    if (document.activeElement !== field && !field.value) field.value = target;
    const words = Object.entries(logs).map(([name, { synced, events }]) => {
      const here = `${integer(Math.max(0, events - synced))} only here`;
      return target ? `${name}: ${integer(synced)} there, ${here}` : `${name}: ${here}`;
    });
    words.push(target ? `last ${ago(at)}` : "never synced");
    this.places.sync.querySelector(".state").textContent = words.join(" · ");
  }

  space({ kinds, free, leftovers, place }) {
    const total = kinds.reduce((sum, { bytes }) => sum + bytes, 0);
    const most = Math.max(1, ...kinds.map(({ bytes }) => bytes));
    const row = ({ kind, files, bytes: size }) => html`<li><span>${kind}</span>
      <span class="bar"><i style="width:${Math.max(1, (100 * size) / most)}%"></i></span>
      <span class="mono">${bytes(size)}</span><span class="mono mute">${counted(files, "file")}</span></li>`;
    fill(
      this.places.space.querySelector(".kinds"),
      html`<ul class="kinds">${[...kinds].sort((a, b) => b.bytes - a.bytes).map(row)}</ul>
        <p class="mute small">${bytes(total)} here, ${bytes(free)} free${
          place
            ? html` · <span
          class="mono">${place}</span>`
            : ""
        }</p>`,
    );
    const piece = ({
      kind,
      why,
      count,
      bytes: size,
    }) => html`<div class="between"><span>${integer(count)} ${why}</span>
      <button type="button" data-act="clean" data-kind="${kind}">Delete, ${bytes(size)}</button></div>`;
    fill(this.places.space.querySelector(".left"), html`${leftovers.map(piece)}`);
  }

  backups(list) {
    const row = ({ name, bytes: size, at }) => html`<li data-name="${name}"><div class="between"><span>
      <b class="mono">${name}</b><br><span class="mute small">${bytes(size)}, ${ago(at)}</span></span><span class="row">
      <button type="button" data-act="check">Check</button><button type="button" data-act="download">Download</button>
      <button type="button" data-act="open">Restore…</button>
      <button type="button" class="quiet" data-act="ask" aria-label="Delete ${name}">Delete</button></span></div>
      <div class="more"></div></li>`;
    fill(
      this.places.backup.querySelector(".backups"),
      list.length
        ? html`${list.map(row)}`
        : html`<li class="empty"><b>No backup yet</b>One file with labels, episodes, runs and the database.</li>`,
    );
  }

  /** Begin an errand; it is shown in the card, or in `place`. */
  async run(
    call,
    query,
    card,
    place = card.querySelector(".answer"),
    onDone = (/** @type {any} */ _errand) => {
      this.load();
    },
  ) {
    const errand = await ask(this.server, call, query);
    if (errand) this.errands.follow(errand, place, onDone);
  }

  /** Take in what is elsewhere: first, as a dry run, what that would be. */
  takeIn(target, dry = true) {
    const { sync } = this.places;
    this.run("restore_parts", { target, dry_run: dry }, sync, undefined, ({ result }) => {
      showImport(sync.querySelector(".answer"), result, () => this.takeIn(target, false));
      if (!dry) this.onTaken();
    });
  }

  async bring(file) {
    const place = this.places.backup.querySelector(".answer");
    fill(place, html`<p class="mono mute" role="status"></p>`);
    const line = place.firstElementChild;
    const upload = await sendFile(this.server, file, (done, total) => {
      line.textContent = `${bytes(done)} of ${bytes(total)}`;
    });
    if (upload) this.run("take_backup", { upload }, this.places.backup);
  }

  click(button) {
    if (!button) return;
    const { space, backup } = this.places;
    const item = button.closest("li[data-name]");
    const more = item?.querySelector(".more");
    const name = item?.dataset.name;
    const acts = {
      clean: () => this.clean(button.dataset.kind),
      verify: () =>
        this.run("verify", {}, space, undefined, ({ result }) =>
          this.verified(result, space.querySelector(".answer")),
        ),
      back_up: () =>
        this.run("back_up", { checkpoints: backup.querySelector("[type=checkbox]").checked }, backup),
      bring: () => backup.querySelector("input[type=file]").click(),
      check: () => this.run("check_backup", { backup: name }, backup, more, () => {}),
      download: () => fetchFile(this.server, { backup: name }, name),
      open: () => this.open(more),
      restore: () =>
        this.run(
          "restore",
          { backup: name, folder: more.querySelector("input").value },
          backup,
          more,
          () => {},
        ),
      ask: () =>
        fill(
          more,
          html`<div class="row">Delete this backup? <button type="button" class="bad" data-act="remove">Delete
            it</button>
            <button type="button" data-act="keep">Keep it</button></div>`,
        ),
      keep: () => fill(more, html``),
      remove: () => this.remove(name),
      look: () => this.takeIn(this.target),
    };
    acts[button.dataset.act]();
  }

  open(place) {
    fill(
      place,
      html`<div class="between"><input type="text" aria-label="New folder" spellcheck="false" autocomplete="off"
        placeholder="an empty or new folder"><button type="button" data-act="restore">Restore there</button></div>
        <p class="mute small">The backup is checked and unpacked beside this studio, which goes on with its own data
          until it is
        started with the new folder.</p>`,
    );
    place.querySelector("input").focus();
  }

  async clean(kind) {
    const answer = await ask(this.server, "clean_up", { kinds: [kind] });
    if (!answer) return;
    toast(answer.text, "note");
    this.space(answer.space);
  }

  async remove(name) {
    const answer = await ask(this.server, "remove_backup", { backup: name });
    if (answer) this.backups(answer.backups);
  }

  verified({ equal, kinds, text }, place) {
    const row = ({ kind, database, files, equal: same, differences }) => html`<tr><td>${kind}</td>
      <td class="mono">${integer(database)}</td><td class="mono">${integer(files)}</td>
      <td class="${same ? "ok" : "bad"}">${same ? "equal" : differences.slice(0, 4).join("; ")}</td></tr>`;
    fill(
      place,
      html`<p class="${equal ? "ok" : "bad"}" role="status">${text}</p><table><thead><tr><th></th><th>database</th>
        <th>files</th><th></th></tr></thead><tbody>${kinds.map(row)}</tbody></table>`,
    );
  }
}
