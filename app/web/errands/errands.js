// Errands: what takes a while is shown where it was begun, and files of any size go part by part.
import { ask } from "../calls.js";
import { bytes, integer } from "../formats.js";
import { fill, html } from "../html.js";
import { every } from "../polling.js";
import { handOver } from "./exports.js";

/** @typedef {import("../types.d.ts").Server} Server */
/** @typedef {(done: number, total: number) => void} Progress */

const LIVE = ["queued", "running"];
const encode = async (/** @type {Blob} */ blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768)
    text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
};
const decode = (/** @type {string} */ text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

/** Send a file; the name under which the studio holds it, or null. `progress(done, total)`.
 * @type {(server: Server, file: File, progress: Progress) => Promise<string | null>} */
export const sendFile = async (server, file, progress) => {
  const part = 4 * 2 ** 20;
  let upload = null;
  let offset = 0;
  do {
    const data = await encode(file.slice(offset, offset + part));
    /** @type {any} */
    const answer = await ask(server, "take_part", upload ? { upload, offset, data } : { data });
    if (!answer) return null;
    ({ upload, offset } = answer);
    progress(offset, file.size);
  } while (offset < file.size);
  return upload;
};

/** Fetch what an errand or a backup is and hand it to the reader.
 * @type {(server: Server, what: object, name: string, progress?: Progress) => Promise<void>} */
export const fetchFile = async (
  server,
  what,
  name,
  progress = (/** @type {number} */ _done, /** @type {number} */ _total) => {},
) => {
  const parts = [];
  let offset = 0;
  while (offset !== null) {
    const answer = await ask(server, "part", { ...what, offset });
    if (!answer) return;
    parts.push(decode(answer.data));
    offset = answer.next;
    progress(offset ?? answer.total, answer.total);
  }
  const address = URL.createObjectURL(new Blob(parts, { type: "application/octet-stream" }));
  handOver(address, name);
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
};

const amount = (/** @type {any} */ { unit, done, total }) => {
  if (!total) return "";
  if (unit === "bytes") return `${bytes(done)} of ${bytes(total)}`;
  return `${integer(done)} of ${integer(total)} ${unit}`;
};

/** Follows errands; each is drawn into the place where it was begun. */
export class Errands {
  /** @param {Element} element
   * @param {any} server of which it asks `follow` and `cancel` */
  constructor(element, server) {
    this.server = server;
    this.places = new Map();
    this.wake = every(
      element,
      () => (this.places.size ? 400 : Infinity),
      () => this.poll(),
    );
  }

  /** Show an errand in `place` until it ends; then `onDone(errand)`, if it ended well.
   * @param {any} errand
   * @param {any} place */
  follow(errand, place, onDone = (/** @type {any} */ _errand) => {}) {
    this.places.set(errand.id, { place, onDone });
    this.draw(errand, place);
    this.wake();
  }

  async poll() {
    const ids = [...this.places.keys()];
    if (!ids.length) return;
    const answer = await ask(this.server, "follow", { ids }, true);
    for (const errand of answer?.errands ?? []) {
      const { place, onDone } = this.places.get(errand.id);
      if (LIVE.includes(errand.state)) {
        this.draw(errand, place);
        continue;
      }
      this.places.delete(errand.id);
      this.draw(errand, place);
      if (errand.state === "done") onDone(errand);
    }
  }

  draw(/** @type {any} */ errand, /** @type {any} */ place) {
    const { state, done, total } = errand;
    if (!LIVE.includes(state)) {
      /** @type {Record<string, string>} */
      const all = { failed: errand.error, cancelled: "Called off.", done: errand.result.text ?? "" };
      const words = all[state];
      fill(
        place,
        html`<p class="${state === "failed" ? "bad" : ""}"
        role="${state === "failed" ? "alert" : "status"}">${words}</p>`,
      );
      return;
    }
    const percent = total ? Math.round((100 * done) / total) : 0;
    if (place.dataset.errand !== errand.id) {
      place.dataset.errand = errand.id;
      fill(
        place,
        html`<div class="errand"><div class="bar" role="progressbar"
          aria-label="Progress of ${errand.title}"><i></i></div>
          <span class="between"><span class="mono mute amount" role="status"></span>
          <button class="quiet" type="button">Stop</button></span></div>`,
      );
      place.querySelector("button").onclick = () => ask(this.server, "cancel", { id: errand.id });
    } else if (!place.querySelector(".errand")) delete place.dataset.errand;
    const bar = place.querySelector(".bar");
    if (!bar) return;
    bar.setAttribute("aria-valuenow", String(percent));
    bar.firstElementChild.style.width = `${percent}%`;
    place.querySelector(".amount").textContent = state === "queued" ? "waits for its turn" : amount(errand);
  }
}
