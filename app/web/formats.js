// How the studio writes numbers, amounts and times.
const number = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });
export const integer = (value) => number(0).format(value);
/** A measured number in the fewest digits that still say something. */
export const measure = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  return number(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).format(value);
};
export const fixed = (value, digits = 2) =>
  value === null || value === undefined ? "–" : Number(value).toFixed(digits);
export const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(2);
/** Seconds in words: 40 s, 6 min, 2.5 h. */
export const duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};
/** Bytes as the studio's sentences have them, such as 4.9 GB. */
export const bytes = (size) => {
  for (const [unit, scale] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ])
    if (size >= scale) return `${(size / scale).toFixed(1)} ${unit}`;
  return `${size} bytes`;
};
export const clock = (time) => {
  const date = typeof time === "number" ? new Date(time * 1000) : new Date(time);
  return Number.isNaN(date.getTime()) ? String(time ?? "") : date.toLocaleTimeString("en-GB");
};
export const ago = (time) => {
  const date = typeof time === "number" ? time * 1000 : Date.parse(time);
  const seconds = (Date.now() - date) / 1000;
  return Number.isNaN(seconds) ? "" : seconds < 3 ? "now" : `${duration(seconds)} ago`;
};
