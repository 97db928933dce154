// A calm line while judgements are kept in the browser because the studio does not take them.
import { counted } from "../web/formats.js";

/** @param {number} count @param {boolean} away whether the studio does not answer at all */
export const keptWords = (count, away) => {
  if (!count) return "";
  const kept = `${counted(count, "judgement")} kept here`;
  return away ? `Offline: ${kept}` : `${kept}: the studio could not store what was said yet`;
};

/** @param {{kept: number, away: boolean}} outbox */
export const showKept = ({ kept, away }) => {
  /** @type {HTMLElement | null} */
  let line = document.querySelector(".wm-kept");
  if (!line) {
    if (!kept) return;
    line = document.createElement("p");
    line.className = "wm wm-kept";
    line.setAttribute("role", "status");
    line.title = "Kept in this browser, and sent as soon as the studio takes it";
    document.body.append(line);
  }
  line.textContent = keptWords(kept, away);
};
