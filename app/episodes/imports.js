// A button that takes an exported file in; what is wrong with the file is said in place, line by line.
import { counted } from "../web/formats.js";
import { fill, html } from "../web/html.js";
import { toast } from "../web/toast.js";

const LARGEST = 64 * 2 ** 20; // as app/episodes/exports.py has it
const read = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

/** `take(data)` answers {episodes, added, labels, problems} or null; `onTaken(ids)` follows a good one. */
export const importer = (place, answerPlace, { take, onTaken }) => {
  fill(
    place,
    html`<button
        title="Episodes that a studio exported: an exact copy, LeRobot, WMPO tar or robomimic HDF5">Import…</button>
      <input type="file" accept=".zip,.tar,.hdf5" hidden aria-label="Exported episodes (.zip, .tar, .hdf5)">`,
  );
  const [button, input] = place.children;
  const say = (content) => fill(answerPlace, content);
  const refuse = (problems) =>
    say(html`<div class="banner bad" role="alert"><div><b>Nothing was imported.</b>
      <ul>${problems.slice(0, 8).map((problem) => html`<li>${problem}</li>`)}</ul>
      ${problems.length > 8 ? `and ${counted(problems.length - 8, "more problem")}` : ""}</div></div>`);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    say(html``);
    button.disabled = true;
    try {
      if (file.size > LARGEST) {
        refuse([`${file.name} is larger than ${LARGEST / 2 ** 20} MB`]);
        return;
      }
      const answer = await take(await read(file));
      if (answer?.problems.length) refuse(answer.problems);
      else if (answer) {
        const known = answer.episodes.length - answer.added;
        const rest = known ? `, ${counted(known, "episode")} here already` : "";
        toast(
          `${counted(answer.added, "episode")} and ${counted(answer.labels, "label")} imported${rest}`,
          "note",
        );
        onTaken(answer.episodes);
      }
    } finally {
      button.disabled = false;
      input.value = "";
    }
  });
};
