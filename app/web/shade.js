// Light or dark.
import { memory } from "./memory.js";

/** Light, dark, or as the system says; listeners redraw what CSS cannot reach. */
const dark = matchMedia("(prefers-color-scheme: dark)");
export const theme = {
  choice: () => memory.get("theme", "system"),
  isDark: () => document.body.classList.contains("dark"),
  apply: () => {
    const choice = theme.choice();
    const wanted = choice === "dark" || (choice === "system" && dark.matches);
    if (document.body.classList.contains("dark") !== wanted) document.body.classList.toggle("dark", wanted);
    document.documentElement.style.colorScheme = wanted ? "dark" : "light";
    document.dispatchEvent(new CustomEvent("wmpo-theme"));
  },
  next: () => {
    const order = ["system", "light", "dark"];
    memory.set("theme", order[(order.indexOf(theme.choice()) + 1) % 3]);
    theme.apply();
  },
};
dark.addEventListener("change", () => theme.apply());
