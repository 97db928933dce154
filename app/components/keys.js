// The keyboard: one map (keys.json) for all pages, silent while someone types.
(() => {
  const map = /*KEYS*/ {};
  const names = { " ": "Space" };
  const shown = {
    Space: "space",
    ArrowLeft: "←",
    ArrowRight: "→",
    "Shift+ArrowLeft": "shift ←",
    "Shift+ArrowRight": "shift →",
    "Shift+Space": "shift space",
    Backspace: "⌫",
    Enter: "↵",
  };
  let actions = {};
  let groups = [];

  const typing = (event) => {
    const target = event.composedPath()[0];
    if (!(target instanceof HTMLElement)) return false;
    if (target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName)) return true;
    return target.tagName === "INPUT" && !["range", "button", "checkbox"].includes(target.type);
  };
  const spell = (event) => {
    const key = names[event.key] ?? event.key;
    return event.shiftKey && key.length > 1 ? `Shift+${key}` : key;
  };

  const find = (key) => {
    for (const group of groups) {
      const entry = map[group].find((item) => item.key === key);
      if (entry && actions[entry.action]) return entry.action;
    }
    return null;
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || typing(event)) return;
    const key = spell(event);
    const action = find(key);
    if (!action) return;
    const target = event.composedPath()[0];
    const pressesButton =
      ["Space", "Enter"].includes(key) && target.closest?.("button, a, [role=option], [role=listbox]");
    if (pressesButton && !target.closest(".wm-keyed")) return;
    event.preventDefault();
    if (event.repeat && !["back", "forward", "chunkBack", "chunkForward"].includes(action)) return;
    actions[action]();
  };

  const help = () => {
    const open = document.querySelector(".wm-help");
    if (open) {
      open.remove();
      return;
    }
    const overlay = document.createElement("div");
    overlay.className = "wm wm-help";
    overlay.setAttribute("role", "dialog");
    overlay.setAttribute("aria-label", "Keyboard");
    const titles = {
      everywhere: "Everywhere",
      player: "Any video",
      models: "Models",
      imagine: "Imagine",
      label: "Label",
      train: "Train",
    };
    const taken = new Set();
    const part = (group) => {
      const rows = map[group].filter((item) => actions[item.action] && !taken.has(item.key));
      rows.forEach((item) => taken.add(item.key));
      return rows.length
        ? WMPO.html`<div><h3>${titles[group]}</h3><dl>${rows.map(
            (item) => WMPO.html`<dt><kbd>${shown[item.key] ?? item.key}</kbd></dt><dd>${item.text}</dd>`,
          )}</dl></div>`
        : "";
    };
    WMPO.fill(
      overlay,
      WMPO.html`<div><div class="between"><b>Keys</b><button class="quiet" aria-label="Close">✕</button></div>
      <div class="cols">${groups.map(part)}</div><p class="mute">Keys rest while you type in a field.</p></div>`,
    );
    overlay.addEventListener("click", (event) => {
      if (event.target === overlay || event.target.closest("button")) overlay.remove();
    });
    document.body.append(overlay);
    overlay.querySelector("button").focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelector(".wm-help")?.remove();
    else onKey(event);
  });

  WMPO.keys = {
    /** Bind actions of some groups of the map; earlier groups win. */
    use: (wanted, handlers) => {
      groups = [...wanted, ...groups.filter((group) => !wanted.includes(group))];
      actions = { ...actions, ...handlers };
    },
    help,
    label: (key) => shown[key] ?? key,
  };
  WMPO.keys.use(["everywhere"], { help });
})();
