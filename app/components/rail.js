// What stands around the clip: verdict, next clips, the last judgements (each a way back), counts.
(() => {
  const MARKS = { success: ["ok", "✓"], fail: ["bad", "✕"], unsure: ["warn", "?"] };

  WMPO.showHistory = (place, history) => {
    const rows = history.slice(0, 20).map((entry) => {
      const [tone, mark] = MARKS[entry.outcome] ?? ["warn", "–"];
      const said = entry.dream_broke ? WMPO.html`<span class="tag warn">dream broke</span>` : "";
      const model =
        entry.probability === null || entry.probability === undefined
          ? ""
          : ` · model ${entry.model_success ? "✓" : "✕"} ${WMPO.fixed(entry.probability)}`;
      const when = entry.pending ? "saving…" : WMPO.ago(entry.at);
      return WMPO.html`<li>
        <button class="quiet entry" data-event="${entry.event_id}" aria-label="Judge ${entry.episode_id} again">
        ${
          entry.image
            ? WMPO.html`<img class="pixel" alt="" src="${entry.image}">`
            : WMPO.html`<span class="thumb">
          </span>`
        }
        <span class="grow"><span class="mono name">${entry.episode_id}</span>
          <span class="mute">${when}${model}</span>
          </span>${said}${entry.outcome ? WMPO.html`<span class="tag ${tone}">${mark}</span>` : ""}</button>
          </li>`;
    });
    WMPO.fill(place, rows.length ? WMPO.html`${rows}` : WMPO.html`<li class="mute">Nothing judged yet.</li>`);
  };

  WMPO.showCounts = (place, counts) => {
    const words = { labelled: "clips judged", episodes: "clips in all", dream_broke: "dream broke" };
    const numbers = Object.entries(counts).filter(([, value]) => typeof value === "number");
    WMPO.fill(
      place,
      WMPO.html`${numbers.map(
        ([name, value]) => WMPO.html`<dt>${words[name] ?? name.replaceAll("_", " ")}</dt>
        <dd class="mono">${WMPO.integer(value)}</dd>`,
      )}`,
    );
  };

  WMPO.showFacts = (place, rows) =>
    WMPO.fill(
      place,
      WMPO.html`${rows.map(([name, value]) => WMPO.html`<dt>${name}</dt><dd class="mono">${value}</dd>`)}`,
    );

  /** Thumbnails of the next clips; `items` is null when every clip is judged. */
  WMPO.showUpcoming = (place, items, fetch) => {
    if (items === null) {
      WMPO.fill(
        place,
        WMPO.html`<p class="empty"><b>Every clip here is judged</b> <a href="imagine">Imagine an episode</a>
          or <a href="train">start a run</a>, and its clips come here.</p>`,
      );
      return;
    }
    const thumbs = items.map((item) => WMPO.html`<span class="thumb" data-clip="${item.id}"></span>`);
    WMPO.fill(place, WMPO.html`${thumbs}`);
    items.forEach(async (item) => {
      const clip = await fetch(item);
      const thumb = place.querySelector(`[data-clip="${CSS.escape(item.id)}"]`);
      const last = clip?.frames[Math.max(0, (clip.decisive?.[1] ?? clip.frames.length) - 1)];
      if (thumb && clip) WMPO.fill(thumb, WMPO.html`<img class="pixel" alt="" src="${last}">`);
    });
  };

  WMPO.showModel = (place, clip, blind) => {
    const best = clip?.probabilities?.length ? Math.max(...clip.probabilities) : null;
    const threshold = clip?.threshold ? ` · τ ${clip.threshold.toFixed(2)}` : "";
    const said = () => WMPO.html`${WMPO.verdict(clip)}
      <span class="mono">p ${WMPO.fixed(best)}${threshold}</span>
      <span class="row"><button data-do="agree">Right <kbd>↵</kbd></button>
        <button data-do="disagree">Wrong <kbd>x</kbd></button></span>`;
    const hidden = WMPO.html`<span class="mute">hidden while you judge blind</span>`;
    WMPO.fill(
      place,
      WMPO.html`<h3>${clip?.imagined === false ? "Simulator says" : "Reward model says"}</h3>
        <div class="row">${clip ? (blind ? hidden : said()) : ""}</div>`,
    );
  };
})();
