// Asking again and again, as rarely as the reader allows.
const QUIET = 60_000; // a page that nobody touched for so long asks more rarely
const RARELY = 6;
let touched = performance.now();
for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"])
  document.addEventListener(kind, () => (touched = performance.now()), { passive: true, capture: true });

/** Call `poll` again and again while `element` is on the page; rests while the tab is hidden.
 * Never two at once: `now()` during a poll asks for another one right after it. A pause of
 * `Infinity` waits for `now()`; other long pauses grow while nobody touches the page.
 * @param {Element} element
 * @param {number | (() => number)} milliseconds
 * @param {() => unknown} poll */
export const every = (element, milliseconds, poll) => {
  const remote = location.hostname.endsWith(".hf.space") ? 2.5 : 1;
  /** @type {number | undefined} */
  let timer;
  let polling = false;
  let again = false;
  const rest = () => {
    const pause = typeof milliseconds === "function" ? milliseconds() : milliseconds;
    const idle = pause >= 1000 && performance.now() - touched > QUIET;
    if (pause !== Infinity && !document.hidden)
      timer = setTimeout(beat, pause * remote * (idle ? RARELY : 1));
  };
  const beat = async () => {
    clearTimeout(timer);
    if (!element.isConnected || document.hidden) return;
    if (polling) {
      again = true;
      return;
    }
    polling = true;
    again = false;
    try {
      await poll();
    } finally {
      polling = false;
      if (again) timer = setTimeout(beat);
      else rest();
    }
  };
  document.addEventListener("visibilitychange", beat);
  beat();
  return beat;
};
