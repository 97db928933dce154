// The part of a page that a link carries.
/** The page's state lives in its address, so that a reload or a shared link comes back to it. */
export const address = {
  /** @type {(name: string) => any} */
  get: (name) => new URLSearchParams(location.search).get(name),
  /** @type {(name: string, value: any) => void} */
  set: (name, value) => {
    const url = new URL(location.href);
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    history.replaceState(null, "", url);
  },
};
