// What every component of the studio shares: elements, numbers, errors, calls, polling, theme, URL.
window.WMPO = {};
(() => {
  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  /** Text made safe to stand in HTML. */
  WMPO.escape = (text) => String(text ?? "").replace(/[&<>"']/g, (sign) => escapes[sign]);

  /** Template tag: every value is escaped unless wrapped in WMPO.raw. */
  WMPO.raw = (html) => ({ html });
  WMPO.html = (parts, ...values) =>
    WMPO.raw(
      parts.reduce((whole, part, index) => {
        const value = values[index - 1];
        const list = Array.isArray(value) ? value : [value];
        return whole + list.map((v) => (v && v.html !== undefined ? v.html : WMPO.escape(v))).join("") + part;
      }),
    );
  /** Replace the children of `element`. */
  WMPO.fill = (element, content) => {
    element.innerHTML = content.html;
  };

  const number = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });
  WMPO.integer = (value) => number(0).format(value);
  /** A measured number in the fewest digits that still say something. */
  WMPO.measure = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && size < 0.001) return value.toExponential(1);
    return number(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).format(value);
  };
  WMPO.fixed = (value, digits = 2) =>
    value === null || value === undefined ? "–" : Number(value).toFixed(digits);
  WMPO.signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(2);
  /** Seconds in words: 40 s, 6 min, 2.5 h. */
  WMPO.duration = (seconds) => {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  };
  /** Bytes as the studio's sentences have them, such as 4.9 GB. */
  WMPO.bytes = (size) => {
    for (const [unit, scale] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
      if (size >= scale) return `${(size / scale).toFixed(1)} ${unit}`;
    return `${size} bytes`;
  };
  WMPO.clock = (time) => {
    const date = typeof time === "number" ? new Date(time * 1000) : new Date(time);
    return Number.isNaN(date.getTime()) ? String(time ?? "") : date.toLocaleTimeString("en-GB");
  };
  WMPO.ago = (time) => {
    const date = typeof time === "number" ? time * 1000 : Date.parse(time);
    const seconds = (Date.now() - date) / 1000;
    return Number.isNaN(seconds) ? "" : seconds < 3 ? "now" : `${WMPO.duration(seconds)} ago`;
  };
  WMPO.uuid = () =>
    crypto.randomUUID
      ? crypto.randomUUID()
      : "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
          (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16),
        );

  /** One sentence at the lower right; errors are announced, notes are polite. */
  WMPO.toast = (text, kind = "error") => {
    let tray = document.querySelector(".wm-toasts");
    if (!tray) {
      tray = document.createElement("div");
      tray.className = "wm wm-toasts";
      document.body.append(tray);
    }
    const line = document.createElement("div");
    line.className = kind;
    line.setAttribute("role", kind === "error" ? "alert" : "status");
    line.textContent = text;
    tray.append(line);
    while (tray.children.length > 3) tray.firstChild.remove();
    setTimeout(() => line.remove(), kind === "error" ? 9000 : 3500);
  };

  /** Ask the server; a refusal is shown as its sentence and gives null. */
  WMPO.ask = async (server, name, question = {}, quiet = false) => {
    let answer;
    try {
      answer = await server[name](question);
    } catch (error) {
      answer = undefined;
    }
    if (answer === undefined || answer === null) {
      if (!quiet) WMPO.toast("The studio does not answer. Nothing is lost; it is asked again.");
      return null;
    }
    if (answer.refused) {
      if (!quiet) WMPO.toast(answer.refused);
      return null;
    }
    return answer;
  };

  /** Ask until the server answers, as long as `element` is on the page; a refusal gives null. */
  WMPO.insist = async (element, server, name, question) => {
    for (let pause = 500; element.isConnected; pause = Math.min(4000, 2 * pause)) {
      try {
        const answer = await server[name](question);
        if (answer) return answer.refused ? null : answer;
      } catch (error) {
        // The studio is away: asked again.
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    return null;
  };

  const QUIET = 60_000; // a page that nobody touched for so long asks more rarely
  const RARELY = 6;
  let touched = performance.now();
  for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"])
    document.addEventListener(kind, () => (touched = performance.now()), { passive: true, capture: true });

  const FORMATS = {
    mp4: "video (mp4)",
    gif: "animation (gif)",
    png: "sheet (png)",
    zip: "exact copy (zip)",
    lerobot: "LeRobot v3.0 (zip)",
    wmpo: "WMPO WebDataset (tar)",
    robomimic: "robomimic (hdf5)",
  };
  WMPO.exportMenu = WMPO.html`<select class="export" aria-label="Export"><option value="">Export…</option>
    ${Object.entries(FORMATS).map(([value, text]) => WMPO.html`<option value="${value}">${text}</option>`)}</select>`;
  /** Hand a file to the reader: the address of its content and its name. */
  WMPO.handOver = (address, name) => {
    const link = document.createElement("a");
    Object.assign(link, { href: address, download: name });
    link.click();
  };
  /** What was chosen in an export menu, of the episode that `episode()` names; the menu springs back. */
  WMPO.exportFrom = async (menu, server, episode) => {
    const format = menu.value;
    menu.value = "";
    const id = format && (await episode());
    const answer = id && (await WMPO.ask(server, "export_episode", { episode: id, format }));
    if (answer) WMPO.handOver(answer.data, answer.name);
  };

  /** Call `poll` again and again while `element` is on the page; rests while the tab is hidden.
   * Never two at once: `now()` during a poll asks for another one right after it. A pause of
   * `Infinity` waits for `now()`; other long pauses grow while nobody touches the page. */
  WMPO.every = (element, milliseconds, poll) => {
    const remote = location.hostname.endsWith(".hf.space") ? 2.5 : 1;
    let timer = null;
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

  /** The page's state lives in its address, so that a reload or a shared link comes back to it. */
  WMPO.address = {
    get: (name) => new URLSearchParams(location.search).get(name),
    set: (name, value) => {
      const url = new URL(location.href);
      if (value === null || value === undefined || value === "") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
      history.replaceState(null, "", url);
    },
  };

  WMPO.memory = {
    get: (name, fallback = null) => {
      const text = localStorage.getItem(`wmpo.${name}`);
      if (text === null) return fallback;
      try {
        return JSON.parse(text);
      } catch (error) {
        return fallback;
      }
    },
    set: (name, value) => localStorage.setItem(`wmpo.${name}`, JSON.stringify(value)),
  };

  /** Three models chosen on the Models page; Imagine and Train open with them. */
  WMPO.together = {
    remember: (chosen) => WMPO.memory.set("together", chosen),
    link: (page) => {
      const chosen = WMPO.memory.get("together");
      return chosen ? `${page}?${new URLSearchParams(chosen)}` : page;
    },
  };

  /** Light, dark, or as the system says; listeners redraw what CSS cannot reach. */
  const dark = matchMedia("(prefers-color-scheme: dark)");
  WMPO.theme = {
    choice: () => WMPO.memory.get("theme", "system"),
    isDark: () => document.body.classList.contains("dark"),
    apply: () => {
      const choice = WMPO.theme.choice();
      const wanted = choice === "dark" || (choice === "system" && dark.matches);
      if (document.body.classList.contains("dark") !== wanted) document.body.classList.toggle("dark", wanted);
      document.documentElement.style.colorScheme = wanted ? "dark" : "light";
      document.dispatchEvent(new CustomEvent("wmpo-theme"));
    },
    next: () => {
      const order = ["system", "light", "dark"];
      WMPO.memory.set("theme", order[(order.indexOf(WMPO.theme.choice()) + 1) % 3]);
      WMPO.theme.apply();
    },
  };
  dark.addEventListener("change", () => WMPO.theme.apply());
})();
