// What stands where on Imagine: stages over one row of transport over the strips; beside them the verdict.
import { answerButtons } from "../judging/answers.js";
import { softener, speedMenu } from "../player/transport.js";
import { exportMenu } from "../web/errands/exports.js";
import { html } from "../web/html.js";

export const template = html`<div class="wm dream">
  <div class="dream-main"><div class="card">
    <div class="screens"><div class="mine"><div class="screen"></div><span class="side-name tag">dream</span></div>
      <div class="theirs" hidden></div></div>
    <div class="controls"></div><div class="strip"></div>
    <p class="mute legend"><i class="plus"></i>positive <i class="minus"></i>negative action <i class="ghost"></i>the
      policy's next <i class="you"></i>you</p></div>
    <div class="banner replayed" role="status" hidden></div><div class="card futures" hidden></div></div>
  <div class="dream-side">
    <div class="card judge"><div class="meter"><h3>Success probability</h3><b class="mono value">–</b><span
      class="mute threshold"></span></div><div class="row tried" hidden><button data-do="saveThreshold"></button>
      <button class="quiet" data-do="dropThreshold">Back</button></div>
      <div class="choices">${answerButtons}</div>
      <p class="mute said" role="status"></p>
      <div class="row keep"><button data-do="save">Save</button><button data-do="link"
        aria-label="Copy link">Link</button>${exportMenu}</div></div>
    <div class="card finder"></div>
    <div class="card branches"></div><div class="card pad"></div>
    <div class="card"><dl class="facts plain"></dl></div></div></div>`;
/** One row for everything that moves the dream. */
export const row = html`<button class="primary" data-do="toggle"><span>▶ Run</span> <kbd>space</kbd></button>
  <button class="quiet wide" data-do="chunkBack" aria-label="Previous chunk" title="Previous chunk">«</button>
  <button class="quiet" data-do="back" aria-label="Previous frame" title="Previous frame">‹</button>
  <button class="quiet" data-do="forward" aria-label="Next frame"
    title="Next frame; at the end, imagine one">›</button>
  <button data-do="chunk" title="Imagine one chunk">Chunk <kbd>e</kbd></button>
  <output class="mono">– / –</output>
  <button class="quiet looping" data-do="unloop" hidden></button><span class="grow"></span>
  <span class="extra"><button class="quiet" data-do="undo" title="Undo the last chunk (⌫)">Undo</button>
    <button class="quiet" data-do="reset" title="Back to the start (r)">Reset</button>
    <button data-do="branch" title="Branch from the chunk at the cursor (b)">Branch</button>
    <button data-do="view" title="Compare with reality (v)" aria-label="Compare with reality">Reality</button></span>
  <button data-do="takeOver" aria-pressed="false" title="Take over (m)">Take over</button>
  <button class="quiet more" data-do="more" aria-label="More actions" aria-expanded="false">⋯</button>`;
/** Under it: the views of reality, enlargement and speed. */
export const under = html`<div class="row beside"><div class="compared"></div><span class="grow"></span>
  ${softener}${speedMenu}</div>`;
