// A calm line while judgements are kept in the browser because the studio does not take them.
/** @param {number} count @param {boolean} away whether the studio does not answer at all */
export const keptWords = (count, away) => {
  if (!count) return "";
  const [number, verb] = count === 1 ? ["1 judgement", "is"] : [`${count} judgements`, "are"];
  return away
    ? `Offline: ${number} ${verb} kept in this browser and sent when the studio answers.`
    : `${number} ${verb} kept in this browser: the studio could not store what was said yet.`;
};

/** @param {{kept: number, away: boolean}} outbox */
export const showKept = ({ kept, away }) => {
  let line = document.querySelector(".wm-kept");
  if (!line) {
    if (!kept) return;
    line = document.createElement("p");
    line.className = "wm wm-kept";
    line.setAttribute("role", "status");
    document.body.append(line);
  }
  line.textContent = keptWords(kept, away);
};
