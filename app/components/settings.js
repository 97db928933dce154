// Imagine's settings: Gradio's inputs report changes here, start frames are chosen here.
(() => {
  /** The settings of the next dream, kept in step with Gradio's inputs (which only report changes). */
  WMPO.settings = {
    values: {},
    take: (names, values) => {
      names.forEach((name, index) => {
        WMPO.settings.values[name] = values[index];
      });
      document.dispatchEvent(new CustomEvent("wmpo-settings"));
    },
    put: (name, value) => WMPO.settings.take([name], [value]),
  };

  /** Thumbnails of start frames: one is chosen; an upload joins them; any id may be typed. */
  WMPO.mountStarts = ({ element, props, server, watch }) => {
    let starts = [];
    WMPO.fill(
      element,
      WMPO.html`<div class="wm"><div class="starts" role="radiogroup" aria-label="Start frame"></div>
        <div class="mono mute chosen"></div><div class="mute small missing"></div></div>`,
    );
    const group = element.querySelector(".starts");

    const choose = (start) => {
      group
        .querySelectorAll("[role=radio]")
        .forEach((button) =>
          button.setAttribute("aria-checked", String(button.dataset.start === String(start.start_id))),
        );
      element.querySelector(".chosen").textContent = start.label;
      WMPO.settings.preview = start.image;
      WMPO.settings.put("start_id", start.start_id);
      document.dispatchEvent(new CustomEvent("wmpo-start"));
    };
    const show = () => {
      WMPO.fill(
        group,
        starts.length
          ? WMPO.html`${starts.map(
              (start) =>
                WMPO.html`<button role="radio" data-start="${start.start_id}" aria-checked="false" aria-label="${start.label}" title="${start.label}">
                  <img class="pixel" alt="" src="${start.image}"></button>`,
            )}`
          : WMPO.html`<p class="empty"><b>No start frames yet</b>Upload an image to begin.</p>`,
      );
      group
        .querySelectorAll("[role=radio]")
        .forEach((button, index) => button.addEventListener("click", () => choose(starts[index])));
    };

    WMPO.settings.chooseStart = (text) => {
      const id = Number(String(text).replaceAll(",", ""));
      if (!String(text).trim() || !Number.isInteger(id) || id < 0) {
        WMPO.toast(`A start id is a whole number, not “${text}”.`);
        return;
      }
      choose(
        starts.find((start) => start.start_id === id) ?? {
          start_id: id,
          label: `start ${WMPO.integer(id)}, from the simulator`,
          image: null,
        },
      );
    };
    watch("value", () => {
      const own = props.value?.own;
      if (!own) return;
      starts = [own, ...starts.filter((start) => start.start_id !== own.start_id)];
      show();
      choose(own);
    });
    WMPO.ask(server, "starts").then((answer) => {
      starts = [...starts, ...(answer?.starts ?? [])];
      show();
      if (starts.length) choose(starts[0]);
    });
    WMPO.ask(server, "simulator", {}, true).then((answer) => {
      if (answer?.missing)
        element.querySelector(".missing").textContent = `Other starts need the simulator: ${answer.missing}.`;
    });
  };
})();
