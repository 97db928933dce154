// The memory plan as a bar: weights of each part, the largest phase, history, margin, what is left.
import { measure } from "../web/formats.js";
import { html } from "../web/html.js";

/** Memory in powers of two, as the planner's sentences have it; files are `bytes`. */
export const size = (bytes) =>
  bytes >= 2 ** 30
    ? `${(bytes / 2 ** 30).toFixed(1)} GiB`
    : `${Math.max(1, Math.round(bytes / 2 ** 20))} MiB`;

const pieces = (plan) => {
  const largest = plan.components.reduce((one, other) => (other.activations > one.activations ? other : one));
  return [
    ...plan.components.map((part, index) => [part.name, part.weights, `part${index}`]),
    [`activations (${largest.name})`, largest.activations, "phase"],
    ["frames and latents", plan.history, "past"],
    ["margin", plan.margin, "spare"],
  ];
};

const row = (part) => {
  const ways = Object.entries(part.parts)
    .map(([name, bytes]) => `${name} ${size(bytes)}`)
    .join(" · ");
  return html`<tr><th scope="row">${part.name}</th>
    <td>${
      part.parameters >= 1e9
        ? `${(part.parameters / 1e9).toFixed(2)} B`
        : `${(part.parameters / 1e6).toFixed(1)} M`
    }</td>
    <td>${part.dtype}</td><td>${size(part.weights)}</td><td>${size(part.activations)}</td>
    <td class="ways mute">${ways}${part.host ? ` · ${size(part.host)} in main memory` : ""}</td></tr>`;
};

/** HTML of a plan: its sentence, the bar against the device, and the parts folded away. */
export const memoryPlan = (plan) => {
  const whole = Math.max(plan.total, plan.device.free);
  // Small models on a large machine: a bar of the plan itself, its share of the device in words.
  const tiny = plan.total < 0.05 * whole;
  const scale = tiny ? plan.total : whole;
  const bar = pieces(plan).map(
    ([name, bytes, kind]) =>
      html`<i class="${kind}" style="width:${(100 * bytes) / scale}%" title="${name}: ${size(bytes)}"></i>`,
  );
  const legend = pieces(plan).map(
    ([name, bytes, kind]) =>
      html`<span><i class="${kind}"></i>${name} <b class="mono">${size(bytes)}</b></span>`,
  );
  const share = (100 * plan.total) / plan.device.free;
  return html`<p class="sentence ${plan.fits ? "ok" : "bad"}" role="${plan.fits ? "status" : "alert"}">
      ${plan.fits ? "✓" : "✕"} ${plan.sentence}</p>
    <div class="plan ${plan.fits ? "" : "over"}" role="img"
      aria-label="${size(plan.total)} of ${size(plan.device.free)} free">${bar}
      ${tiny || plan.fits ? "" : html`<b class="limit" style="left:${(100 * plan.device.free) / whole}%"></b>`}</div>
    <div class="legend">${legend}</div>
    ${
      tiny
        ? html`<p class="mute small">The bar shows the plan alone: it takes ${measure(share)} % of what is
      free.</p>`
        : ""
    }
    <details><summary>Part by part</summary><div class="scroll"><table><thead><tr><th>part</th><th>parameters</th>
      <th>precision</th><th>weights</th><th>activations</th><th>of them, or otherwise</th></tr></thead>
      <tbody>${plan.components.map(row)}</tbody></table></div></details>`;
};
