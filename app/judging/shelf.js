// What was said and has not arrived yet, kept in the browser: one entry for each stroke, so that two
// tabs never overwrite what the other one keeps.
import { store } from "../web/memory.js";

/** @typedef {import("../web/types.d.ts").Stroke} Stroke */
/** @typedef {{clip: string, stroke: Stroke}} Entry a stroke, and the clip that it is said of */
/** @typedef {{place: number, key: string} & Entry} Kept */

const PREFIX = "wmpo.unsent.";

export class Shelf {
  /** @param {import("../web/memory.js").Store} place */
  constructor(place = store) {
    this.place = place;
  }

  /** Everything that is kept, oldest first.
   * @returns {Kept[]} */
  get all() {
    return this.place.entries
      .map(([key, text]) => read(key, text))
      .filter((kept) => kept !== null)
      .sort((one, other) => one.place - other.place);
  }

  /** Keep a stroke behind all others, until it is taken.
   * @param {Entry} entry @returns whether it outlives the page */
  put(entry) {
    const place = Math.max(Date.now(), (this.all.at(-1)?.place ?? 0) + 1);
    return this.write(`${PREFIX}${place}.${entry.stroke.event_id}`, entry);
  }

  /** Put another stroke where this one is kept.
   * @param {Kept} kept @param {Stroke} stroke */
  replace({ key, clip }, stroke) {
    this.write(key, { clip, stroke });
  }

  /** @param {Kept} kept */
  take({ key }) {
    this.place.delete(key);
  }

  /** @param {string} key @param {Entry} entry */
  write(key, entry) {
    return this.place.set(key, JSON.stringify(entry));
  }
}

/** @param {string} key @param {string} text @returns {Kept | null} */
const read = (key, text) => {
  if (!key.startsWith(PREFIX)) return null;
  const place = Number(key.slice(PREFIX.length).split(".")[0]);
  try {
    const { clip, stroke } = JSON.parse(text);
    return Number.isFinite(place) && stroke?.event_id ? { place, key, clip, stroke } : null;
  } catch {
    return null; // not written by us
  }
};
