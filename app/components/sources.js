// "Add a checkpoint": one form for each way that this studio is open to.
(() => {
  const forms = {
    folder: WMPO.html`<form class="folder"><p class="mute small">A checkpoint directory on this machine:
        safetensors, config.json and manifest.json.</p>
      <label>Folder <input type="text" name="directory" autocomplete="off" required></label>
      <label>Name in the catalogue <input type="text" name="name" autocomplete="off" maxlength="64" required></label>
      <div class="row"><button type="submit">Add the folder</button></div><p class="said" role="alert"></p></form>`,
  };

  /** Show the forms; `onAdd` gets the record of a checkpoint that joined the catalogue. */
  WMPO.mountSources = (place, kinds, server, onAdd) => {
    place.hidden = !kinds.length;
    WMPO.fill(
      place,
      WMPO.html`<section class="card" aria-label="Add a checkpoint"><h3>Add a checkpoint</h3>
        ${kinds.map((kind) => forms[kind])}</section>`,
    );
    place.addEventListener("submit", async (event) => {
      event.preventDefault();
      const form = event.target;
      const said = form.querySelector(".said");
      const answer = await server.register(Object.fromEntries(new FormData(form))).catch(() => null);
      const refused = answer ? answer.refused : "The studio does not answer.";
      said.className = `said ${refused ? "bad" : "ok"}`;
      said.textContent = refused ?? `${answer.id} is in the catalogue.`;
      if (refused) return;
      form.reset();
      onAdd(answer);
    });
  };
})();
