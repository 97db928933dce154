// What this browser remembers.

/** Texts by name, in a storage that lasts. Where the browser forbids it, as in a frame of another site,
 * or has no room left, they last as long as the page. */
export class Store {
  /** @param {() => Record<string, string>} open */
  constructor(open) {
    /** @type {Map<string, string>} */
    this.passing = new Map();
    this.lasting = opened(open);
  }

  /** @returns {[string, string][]} */
  get entries() {
    return [...new Map([...Object.entries(this.lasting ?? {}), ...this.passing])];
  }

  /** @param {string} name @returns {string | null} */
  get(name) {
    return this.passing.get(name) ?? this.lasting?.[name] ?? null;
  }

  /** @param {string} name @param {string} text @returns whether it lasts */
  set(name, text) {
    try {
      if (this.lasting) {
        this.lasting[name] = text;
        this.passing.delete(name);
        return true;
      }
    } catch {
      // The browser has no room for more.
    }
    this.passing.set(name, text);
    return false;
  }

  /** @param {string} name */
  delete(name) {
    this.passing.delete(name);
    if (this.lasting) delete this.lasting[name];
  }
}

/** @param {() => Record<string, string>} open */
const opened = (open) => {
  try {
    const storage = open();
    Object.keys(storage); // some give it and forbid every use
    return storage;
  } catch {
    return null;
  }
};

export const store = new Store(() => localStorage);

export const memory = {
  /** @type {(name: string, fallback?: any) => any} */
  get: (name, fallback = null) => {
    const text = store.get(`wmpo.${name}`);
    if (text === null) return fallback;
    try {
      return JSON.parse(text);
    } catch {
      return fallback;
    }
  },
  /** @type {(name: string, value: unknown) => boolean} */
  set: (name, value) => store.set(`wmpo.${name}`, JSON.stringify(value)),
};

/** Three models chosen on the Models page; Imagine and Train open with them. */
export const together = {
  remember: (/** @type {object} */ chosen) => memory.set("together", chosen),
  link: (/** @type {string} */ page) => {
    const chosen = memory.get("together");
    return chosen ? `${page}?${new URLSearchParams(chosen)}` : page;
  },
};
