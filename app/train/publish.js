// Publish: where a checkpoint goes, what would be written and its card; then how far it is, and where.
import { Errands } from "../web/errands/errands.js";
import { bytes } from "../web/formats.js";
import { fill, html } from "../web/html.js";

const TARGETS = {
  hub: { name: "Hub repository", like: "owner/name", about: "Private, if it has to be made." },
  folder: {
    name: "Folder of this machine",
    like: "/shelf/my-policy",
    about: "A new one: nothing is overwritten.",
  },
  bucket: {
    name: "Bucket",
    like: "s3://bucket/my-policy",
    about: "s3:// or gs://, with the login of this machine.",
  },
};

const template = (checkpoint) => html`<div class="between"><h3>Publish step ${checkpoint.step}</h3>
      <button class="quiet close" type="button" aria-label="Close">✕</button></div>
    <p class="mute mono name">${checkpoint.id}</p>
    <div class="row"><select name="kind" aria-label="Where to">${Object.entries(TARGETS).map(
      ([kind, { name }]) => html`<option value="${kind}">${name}</option>`,
    )}</select>
      <input type="text" class="grow mono" name="target" aria-label="Target" autocomplete="off" spellcheck="false"
        maxlength="400"></div>
    <p class="mute small about"></p>
    <p class="size" role="status">Reading the checkpoint…</p>
    <details><summary>Card</summary><pre class="card-text" tabindex="0" aria-label="Card"></pre></details>
    <div class="outcome"></div>
    <div class="row"><span class="grow"></span><button class="primary go" type="button"
      disabled>Publish</button></div>`;

/** One dialog, gone when it is closed; an errand goes on without it. */
class Publish {
  constructor(server, checkpoint) {
    const dialog = document.createElement("dialog");
    Object.assign(dialog, { className: "wm publish" });
    dialog.setAttribute("aria-label", `Publish step ${checkpoint.step}`);
    fill(dialog, template(checkpoint));
    this.dialog = dialog;
    this.server = server;
    this.checkpoint = checkpoint;
    this.find = (selector) => dialog.querySelector(selector);
    const errands = {
      follow: (question) => server.errands(question),
      cancel: (question) => server.call_off(question),
    };
    this.errands = new Errands(dialog, errands);
    this.find("select").addEventListener("change", () => this.choose());
    this.find(".close").addEventListener("click", () => dialog.close());
    this.find(".go").addEventListener("click", () => this.publish());
    this.find("input").addEventListener("keydown", ({ key }) => key === "Enter" && this.publish());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    this.choose();
    this.read();
  }

  /** A question whose refusal is told here: a toast would lie behind the dialog. */
  async ask(name, question) {
    const answer = await this.server[name](question).catch(() => null);
    const refused = answer ? answer.refused : "The studio does not answer: try again.";
    if (!refused) return answer;
    fill(this.find(".outcome"), html`<p class="bad" role="alert">${refused}</p>`);
    return null;
  }

  choose() {
    const { like, about } = TARGETS[this.find("select").value];
    const needs = this.find("select").value === "hub" && this.login === false;
    this.find("input").placeholder = like;
    this.find(".about").textContent = needs ? `${about} Needs a login: set HF_TOKEN.` : about;
  }

  async read() {
    const found = await this.ask("publication", { checkpoint: this.checkpoint.id });
    this.find(".size").textContent = found
      ? `${found.files} files, ${bytes(found.bytes)}: the model alone, without its training state.`
      : "";
    if (!found) return;
    this.login = found.login;
    this.find(".card-text").textContent = found.card;
    this.find(".go").disabled = false;
    this.choose();
  }

  async publish() {
    const button = this.find(".go");
    if (button.disabled) return;
    button.disabled = true;
    const question = { checkpoint: this.checkpoint.id, target: this.find("input").value };
    const errand = await this.ask("publish", question);
    button.disabled = false;
    if (errand) this.errands.follow(errand, this.find(".outcome"));
  }
}

/** Ask where a checkpoint {id, step} is to go, and follow it there. */
export const openPublish = (server, checkpoint) => new Publish(server, checkpoint);
