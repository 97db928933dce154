// Copying to the clipboard, which a page has only where its address is safe and its frame may.
import { toast } from "./toast.js";

/**
 * Copy a text and say so; where that cannot be done, show it selected, to be copied by hand.
 *
 * @param {string} text
 * @param {string} done what is said once it is copied
 * @returns {Promise<boolean>} whether it was copied
 */
export const copy = async (text, done = "copied") => {
  try {
    await navigator.clipboard.writeText(text);
    toast(done, "note");
    return true;
  } catch {
    byHand(text);
    return false;
  }
};

const byHand = (/** @type {string} */ text) => {
  const dialog = document.createElement("dialog");
  dialog.className = "wm wm-copy";
  dialog.setAttribute("aria-label", "Copy by hand");
  const label = document.createElement("label");
  label.textContent = "This page may not reach the clipboard. Copy it from here:";
  const field = document.createElement("textarea");
  field.readOnly = true;
  field.rows = Math.min(12, text.split("\n").length + 1);
  field.value = text;
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  label.append(field);
  dialog.append(label, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  field.select();
};
