// Presses every control of a page at the moment at which it can be seen, and says which presses did
// nothing, although the same press does something later (tests/e2e/test_first_second.py).
(() => {
  const CONTROLS = "button, summary, a[href], [role=button], [role=option], input[type=checkbox], input[type=radio]";
  const [part, parts] = window.pressed_part;
  let [effects, pressing] = [0, false];
  const felt = () => {
    if (pressing) effects += 1;
  };
  /** Calls count as effects; what a press asks of the studio is not sent. */
  const listen = (owner, name, never) => {
    const plain = owner[name];
    owner[name] = function (...all) {
      felt();
      return pressing && never ? new Promise(() => {}) : plain.apply(this, all);
    };
  };
  listen(window, "fetch", true);
  listen(window, "open", true);
  window.prompt = () => felt() ?? null; // nobody answers
  window.confirm = () => felt() ?? false;
  for (const name of ["pushState", "replaceState"]) listen(history, name, false);
  for (const name of ["drawImage", "fillRect", "putImageData"]) listen(CanvasRenderingContext2D.prototype, name, false);
  for (const name of ["showPicker", "click"]) listen(HTMLInputElement.prototype, name, false);
  listen(Element.prototype, "scrollIntoView", false);
  navigation.addEventListener("navigate", (event) => {
    felt();
    if (!event.destination.sameDocument && event.cancelable) event.preventDefault(); // it would lead on
  });
  addEventListener("toggle", felt, true);
  const observer = new MutationObserver(felt);
  observer.observe(document, {childList: true, subtree: true, attributes: true, characterData: true});

  const seen = new Map();
  const shown = (one) => {
    if (one.matches(":disabled") || !one.checkVisibility({opacityProperty: true, visibilityProperty: true})) return false;
    const {width, height} = one.getBoundingClientRect();
    return width > 2 && height > 2;
  };
  const named = () => {
    const counts = {};
    return [...document.querySelectorAll(CONTROLS)].filter((one) => one.click && shown(one)).map((one) => {
      const text = (one.getAttribute("aria-label") || one.textContent || one.value || "").trim().replace(/\s+/g, " ");
      const name = `${one.tagName} ${text.replace(/\d+/g, "#").slice(0, 50)}`;
      counts[name] = (counts[name] ?? 0) + 1;
      return [`${name} ${counts[name]}`, one];
    });
  };
  const mine = (name) => [...name].reduce((sum, sign) => (31 * sum + sign.codePointAt(0)) % 9973, 7) % parts === part;
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const press = async (one) => {
    const [before, focus] = [one.checked, document.activeElement];
    if (observer.takeRecords().length) await turn();
    [effects, pressing] = [0, true];
    // The listeners of Gradio's form are pressed with a pointer too.
    one.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
    one.click();
    effects += observer.takeRecords().length + (one.checked !== before) + (document.activeElement !== focus);
    await turn();
    await turn();
    effects += observer.takeRecords().length;
    pressing = false;
    return effects > 0;
  };
  let [looking, over] = [Promise.resolve(), false];
  const look = async () => {
    for (const [name, one] of over ? [] : named())
      if (one.isConnected && shown(one) && !seen.has(name) && mine(name)) {
        seen.set(name, false);
        seen.set(name, await press(one));
      }
    if (!over) setTimeout(begin, 16);
  };
  const begin = () => {
    looking = look();
  };
  addEventListener("DOMContentLoaded", begin);

  /** What was pressed early for nothing, and works now: {tries, lost, dead}. */
  window.presses = async () => {
    const [lost, dead] = [[], []];
    over = true;
    await looking;
    for (const [name, heard] of seen) {
      const one = heard ? null : named().find(([other]) => other === name)?.[1];
      if (one) ((await press(one)) ? lost : dead).push(name);
    }
    return {tries: seen.size, lost, dead};
  };
})();
