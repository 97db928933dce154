// The wall of groups: every imagined episode of an iteration with its reward and advantage.
(() => {
  /** A sprite (square frames side by side) that plays while the pointer or the focus is on it. */
  const film = (element, source) => {
    const image = new Image();
    image.onload = () => {
      const count = Math.max(1, Math.round(image.naturalWidth / image.naturalHeight));
      const show = (index) => {
        element.style.backgroundPositionX = count > 1 ? `${(100 * index) / (count - 1)}%` : "0";
      };
      element.style.backgroundImage = `url(${source})`;
      element.style.backgroundSize = `${count * 100}% 100%`;
      show(count - 1);
      let timer = null;
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

  WMPO.film = film;

  const member = ({ episode, success, reward, advantage, sprite }) => {
    const value = WMPO.signed(advantage ?? 0);
    const tone = advantage > 0 ? "ok" : advantage < 0 ? "bad" : "mute";
    const words = `Episode ${episode}, ${success ? "success" : "fail"}, advantage ${value}`;
    return WMPO.html`<a class="member" href="episodes?ep=${episode}" data-episode="${episode}" aria-label="${words}">
      <span class="film" data-sprite="${sprite}"></span>
      <span class="between"><b class="${success ? "ok" : "bad"}">${success ? "✓" : "✕"} ${WMPO.measure(reward)}</b>
        <span class="mono ${tone}">${value}</span></span></a>`;
  };

  const group = ({ start_id, kept, reason, members }) => WMPO.html`<section class="${kept ? "" : "dropped"}">
    <p class="row"><span class="mono">start ${WMPO.integer(start_id)}</span>
      <span class="tag ${kept ? "ok" : ""}">${reason || (kept ? "kept" : "dropped")}</span></p>
    <div class="members">${members.map(member)}</div></section>`;

  const none = WMPO.html`<p class="empty"><b>No videos yet</b>
    Every iteration of a run leaves its imagined episodes here, with reward and advantage.</p>`;

  WMPO.showGroups = (place, groups) => {
    WMPO.fill(place, groups.length ? WMPO.html`${groups.map(group)}` : none);
    place.querySelectorAll(".film").forEach((element) => film(element, element.dataset.sprite));
  };
})();
