// A film: the frames of a clip side by side in one picture, played while somebody points at it.
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
    const play = () => {
      let index = 0;
      clearInterval(timer);
      timer = setInterval(() => {
        show(index);
        index = (index + 1) % count;
      }, 110);
    };
    const rest = () => {
      clearInterval(timer);
      show(count - 1);
    };
    const owner = element.closest("a, button") ?? element;
    owner.addEventListener("pointerenter", play);
    owner.addEventListener("focus", play);
    owner.addEventListener("pointerleave", rest);
    owner.addEventListener("blur", rest);
  };
  image.src = source;
};
