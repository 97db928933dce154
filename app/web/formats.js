// How the studio writes numbers, amounts and times.
const number = (/** @type {number} */ digits) =>
  new Intl.NumberFormat("en", { maximumFractionDigits: digits });
/** A whole number with its thousands apart. */
export const integer = (/** @type {number} */ value) => number(0).format(value);
/** A measured number in the fewest digits that still say something.
 * @param {number | null} [value] */
export const measure = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  return number(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).format(value);
};
/** @param {number | null} [value]
 * @param {number} digits */
export const fixed = (value, digits = 2) =>
  value === null || value === undefined ? "–" : Number(value).toFixed(digits);
export const signed = (/** @type {number} */ value) =>
  (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(2);
/** Seconds in words: 40 s, 6 min, 2.5 h.
 * @param {number | null} [seconds] */
export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};
/** So many things: 1 run, 2 runs. */
export const counted = (/** @type {number} */ number, /** @type {string} */ thing) =>
  `${integer(number)} ${thing}${number === 1 ? "" : "s"}`;
/** How far a run is, from what is known of it: never a number of which the whole is not known.
 * @param {{done: number, total: number, phase?: string}} run
 * @param {string} [things] what is counted */
export const reached = ({ done, total, phase = "" }, things = "") =>
  [phase, total ? `${integer(done)} of ${integer(total)}${things && ` ${things}`}` : ""]
    .filter(Boolean)
    .join(": ");
/** A metric's name as words: `policy/policy/learning_rate` is the policy learning rate. */
export const metricWords = (/** @type {string} */ name) =>
  name
    .split(/[/_]/)
    .filter((word, at, all) => word !== all[at - 1])
    .join(" ");
/** What an episode is called: its run, where that has a name, and its own name within it.
 * @param {string} id RUN.NAME, or a name alone @param {string | null} [run] */
export const episodeWords = (id, run) => (run ? `${run} · ${id.slice(id.indexOf(".") + 1)}` : id);
/** Bytes as the studio's sentences have them, such as 4.9 GB. */
export const bytes = (/** @type {number} */ size) => {
  /** @type {[string, number][]} */
  const units = [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ];
  for (const [unit, scale] of units) if (size >= scale) return `${(size / scale).toFixed(1)} ${unit}`;
  return `${size} bytes`;
};
/** The time of day of seconds since 1970 or of an ISO date. */
export const clock = (/** @type {number | string} */ time) => {
  const date = typeof time === "number" ? new Date(time * 1000) : new Date(time);
  return Number.isNaN(date.getTime()) ? String(time ?? "") : date.toLocaleTimeString("en-GB");
};
/** How long ago seconds since 1970 or an ISO date are. */
export const ago = (/** @type {number | string} */ time) => {
  const date = typeof time === "number" ? time * 1000 : Date.parse(time);
  const seconds = (Date.now() - date) / 1000;
  return Number.isNaN(seconds) ? "" : seconds < 3 ? "now" : `${duration(seconds)} ago`;
};
