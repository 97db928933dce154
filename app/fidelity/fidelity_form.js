// A new comparison with reality: which models, on how many held-out episodes.
import { address } from "../web/address.js";
import { estimated, named, numberField, PlannedForm } from "../web/errands/planned.js";
import { html, raw } from "../web/html.js";

const fields = (found) => {
  // Without alignment or with it: the comparison is there as soon as there is a model without.
  const never = found.world_model.filter(([, id]) => found.unaligned.includes(id));
  const others = found.world_model.filter((option) => !never.includes(option));
  const asked = (role) =>
    address.get(role) ?? (role === "baseline_world_model" ? found.unaligned[0] : undefined);
  const menu = (
    role,
    words,
    options,
    none = false,
    without = "none",
  ) => html`<label class="field">${words}<select data-name="${role}">
    ${none ? html`<option value="">${without}</option>` : ""}${options.map(
      ([text, value]) =>
        html`<option value="${value}" ${raw(value === asked(role) ? "selected" : "")}>${text}</option>`,
    )}</select></label>`;
  const same = (values) => values.map((value) => [value, value]);
  const number = numberField;
  return html`${menu("world_model", "World model", found.world_model)}
    ${menu(
      "baseline_world_model",
      "Beside it: a world model without the policy's own rollouts",
      [...never, ...others.map(([text, id]) => [`${text} · may have seen some`, id])],
      true,
    )}
    ${menu("reward_model", "Reward model", found.reward_model)}
    ${menu("recordings", "Recordings", found.recordings, true, "none: a policy plays in the simulator")}
    ${menu("policy", "Policy that plays", found.policy)}
    ${number("episodes", "Episodes", 40, 2, 1000)}
    <details><summary>More options</summary><div class="fields two">${menu("task", "Task", same(found.tasks))}
      ${menu("pool", "Pool", same(Object.keys(found.pools)))}${number("first_start", "First start", 1000, 0, 90000)}
      ${number("temperature", "Temperature", 1, 0, 10, 0.1)}
      ${number("denoising_steps", "Denoising steps", 4, 1, 100)}</div></details>`;
};

/** One click compares the chosen models with reality; the rest is folded. */
export const fidelityForm = (element, server, onStarted) =>
  new PlannedForm(element, server, {
    title: "Compare with reality",
    button: "Compare with reality",
    note: "The episodes are held out: models that learnt from such starts are refused.",
    fields,
    query: () => named(element),
    words: (plan) => `About ${estimated(plan)}.`,
    started: ({ run }) => onStarted(run),
  });
