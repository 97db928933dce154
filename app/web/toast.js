// Short messages at the lower right of the page.
/** One sentence at the lower right; errors are announced, notes are polite. */
export const toast = (/** @type {string} */ text, kind = "error") => {
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
  while (tray.children.length > 3) tray.firstChild?.remove();
  setTimeout(() => line.remove(), kind === "error" ? 9000 : 3500);
};
