// A film: the frames of a clip side by side in one picture, played while somebody points at it; a tap
// or a press, which points for a moment only, plays it once.
const shown = new WeakMap(); // elements, and the sprite each has

/** A sprite (square frames side by side) that plays while the pointer or the focus is on it. */
export const film = (element, source) => {
  if (shown.get(element) === source) return;
  shown.set(element, source);
  const image = new Image();
  image.onload = () => {
    const count = Math.max(1, Math.round(image.naturalWidth / image.naturalHeight));
    const show = (index) => {
      element.style.backgroundPositionX = count > 1 ? `${(100 * index) / (count - 1)}%` : "0";
    };
    element.style.backgroundImage = `url(${source})`;
    element.style.backgroundSize = `${count * 100}% 100%`;
    show(count - 1);
    /** @type {number | undefined} */
    let timer;
    let tapped = false;
    const end = () => {
      tapped = false;
      clearInterval(timer);
      timer = undefined;
      show(count - 1);
    };
    const play = (/** @type {any} */ { pointerType, type }) => {
      if (type === "click" && timer !== undefined) return;
      let index = 0;
      tapped ||= pointerType === "touch" || type === "click";
      const turn = () => {
        if (tapped && index === count) return end();
        show(index % count);
        index += 1;
      };
      clearInterval(timer);
      timer = setInterval(turn, 110);
      turn();
    };
    const rest = () => tapped || end();
    const owner = element.closest("a, button") ?? element;
    owner.addEventListener("pointerenter", play);
    owner.addEventListener("focus", play);
    owner.addEventListener("click", play);
    owner.addEventListener("pointerleave", rest);
    owner.addEventListener("blur", rest);
  };
  image.src = source;
};
