// What this browser remembers.
export const memory = {
  /** @type {(name: string, fallback?: any) => any} */
  get: (name, fallback = null) => {
    const text = localStorage.getItem(`wmpo.${name}`);
    if (text === null) return fallback;
    try {
      return JSON.parse(text);
    } catch {
      return fallback;
    }
  },
  /** @type {(name: string, value: unknown) => void} */
  set: (name, value) => localStorage.setItem(`wmpo.${name}`, JSON.stringify(value)),
};

/** Three models chosen on the Models page; Imagine and Train open with them. */
export const together = {
  remember: (/** @type {object} */ chosen) => memory.set("together", chosen),
  link: (/** @type {string} */ page) => {
    const chosen = memory.get("together");
    return chosen ? `${page}?${new URLSearchParams(chosen)}` : page;
  },
};
