// Files that the studio hands over, and the menu of their formats.
import { ask } from "../calls.js";
import { html } from "../html.js";

const FORMATS = {
  mp4: "video (mp4)",
  gif: "animation (gif)",
  png: "sheet (png)",
  zip: "exact copy (zip)",
  lerobot: "LeRobot v3.0 (zip)",
  wmpo: "WMPO WebDataset (tar)",
  robomimic: "robomimic (hdf5)",
};
export const exportMenu = html`<select class="export" aria-label="Export"><option value="">Export…</option>
  ${Object.entries(FORMATS).map(([value, text]) => html`<option value="${value}">${text}</option>`)}</select>`;
/** Hand a file to the reader: the address of its content and its name. */
export const handOver = (/** @type {string} */ address, /** @type {string} */ name) => {
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: name });
  link.click();
};
/** What was chosen in an export menu, of the episode that `episode()` names; the menu springs back.
 * @param {HTMLSelectElement} menu
 * @param {import("../types.d.ts").Server} server
 * @param {() => string | Promise<string | null> | null} episode */
export const exportFrom = async (menu, server, episode) => {
  const format = menu.value;
  menu.value = "";
  const id = format && (await episode());
  const answer = id && (await ask(server, "export_episode", { episode: id, format }));
  if (answer) handOver(answer.data, answer.name);
};
