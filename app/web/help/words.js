// The words of the field, each in one sentence: a tip wherever one stands, and a list in the help.
/** @type {[RegExp, string, string][]} */
const WORDS = [
  [
    /τ|\bthreshold\b/i,
    "τ, threshold",
    "A window counts as a success from this probability of the reward model on.",
  ],
  [
    /κ|\bkappa\b/i,
    "κ",
    "Cohen's kappa: how much two judges agree beyond chance; 1 is always, 0 as chance would.",
  ],
  [/\bchunks?\b/i, "chunk", "The actions that a policy decides at once, before it looks again."],
  [
    /\bclip fraction\b/i,
    "clip fraction",
    "Share of action tokens whose probability moved more than the clip range allows.",
  ],
  [/\bdrift\b/i, "drift", "How much a dream lost of its first frame's contrast, colour and sharpness."],
  [/\bleverage\b/i, "leverage", "How much one label would change what GRPO learns from the clip's group."],
  [
    /\barms?\b/i,
    "arm",
    "All policies trained in one way, compared as one: usually several seeds of a method.",
  ],
  [/\bpools?\b/i, "pool", "Starts set aside for one use, so that nothing is tested on what was learnt from."],
  [/\badvantages?\b/i, "advantage", "How much better an episode did than the others of its group."],
  [/\bgroup size\b|\bgroups?\b/i, "group", "Several episodes imagined from one start; GRPO compares them."],
  [/\bGRPO\b/, "GRPO", "Reinforcement learning that rates an episode against others from the same start."],
  [/\bWMPO\b/, "WMPO", "GRPO on episodes imagined in a world model (arXiv 2511.09515)."],
  [/\bDPO\b/, "DPO", "Learning from pairs: the success becomes likelier than the failure of the same start."],
  [/\bfiltered cloning\b/i, "filtered cloning", "The policy imitates its own successes."],
  [/\bKL\b/, "KL", "How far one policy is from another; 0 is the same."],
  [/\bentropy\b/i, "entropy", "How undecided the policy is; near 0 it always does the same."],
  [/\bPSNR\b/, "PSNR", "Likeness of two pictures pixel by pixel, in dB; more is closer."],
  [/\bSSIM\b/, "SSIM", "Likeness of two pictures by their structure; 1 is the same."],
  [/\bF1\b/, "F1", "Mean of precision and recall; 1 is a judge without an error."],
  [/\bonset\b/i, "onset", "The frame at which a dream and reality part."],
  [
    /\bdenoising steps?\b/i,
    "denoising steps",
    "How often the world model refines a chunk of frames; more is slower.",
  ],
  [/\btemperature\b/i, "temperature", "How freely the policy samples; 0 always takes its best action."],
  [/\bhorizon\b/i, "horizon", "The most actions that an episode may have."],
  [
    /\baligned?\b|\balignment\b/i,
    "alignment",
    "A world model's training on rollouts of the policy it will dream for.",
  ],
  [/\brollouts?\b/i, "rollout", "An episode that a policy plays, in the simulator or in a dream."],
];

/** The sentence for the first word of the field in a text; empty where there is none.
 * @param {string} text */
export const tip = (text) => {
  if (text.length > 60) return "";
  const found = WORDS.flatMap(([pattern, word, sentence]) => {
    const at = text.search(pattern);
    return at < 0 ? [] : [{ at, word, sentence }];
  });
  found.sort((one, other) => one.at - other.at);
  return found.length ? `${found[0].word}: ${found[0].sentence}` : "";
};

/** [word, sentence] of all, by the alphabet. */
export const words = () =>
  WORDS.map(([, word, sentence]) => [word, sentence]).sort(([one], [other]) => one.localeCompare(other));

// What is pointed at gets its tip then: pages need not know which of their words need one.
const OWNERS =
  "h3, th, dt, label, legend, summary, figcaption span, .cap, .chip, .mute, .preflight span, option";
export const giveTips = () =>
  document.addEventListener("pointerover", ({ target }) => {
    if (!(target instanceof Element)) return;
    const owner = target.closest(OWNERS);
    if (!owner || owner.closest("[title]")) return;
    const sentence = tip(owner.textContent?.trim() ?? "");
    if (sentence) owner.setAttribute("title", sentence);
  });
