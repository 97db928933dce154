"""How the Train page offers GRPO: its variants, control and baseline, and its charts."""

from collections.abc import Mapping
from dataclasses import replace

from engine.runs.job import ROLLOUTS, Chart, Method, Trace, Values

_GRPO_SIZES: Mapping[str, Values] = {
    # A point and a video within a minute on two cores, within a Space's caps.
    "quick look": {
        "iterations": 5,
        "groups": 2,
        "group_size": 4,
        "max_groups": 4,
        "record_groups": 4,
    },
    # As the shipped policy of coffee-push was made (docs/coffee_push.json).
    "demo": {
        "iterations": 48,
        "groups": 16,
        "group_size": 8,
        "max_groups": 16,
        "learning_rate": 1e-5,
        "record_groups": 2,
    },
    "long": {
        "iterations": 100,
        "groups": 16,
        "group_size": 8,
        "max_groups": 32,
        "learning_rate": 1e-5,
        "record_groups": 2,
    },
}
_REAL_ONLY = ("real_budget",)
_WHOLE_EPISODES = (*_REAL_ONLY, "key_frames_from")
_DREAMT_ONLY = (
    *("world_model", "reward_model", "denoising_steps", "horizon", "probe_starts"),
    *("anchored", "context_noise"),
)

_METHODS = (
    Method(
        name="WMPO",
        about="GRPO on groups of episodes imagined in the world model",
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO from key frames",
        about="dreams begin from any stored frame, not from first frames",
        values={"num_starts": 4096},
        hidden=_REAL_ONLY,
        sizes=_GRPO_SIZES,
        needs=ROLLOUTS,
        requires=("key_frames_from",),
        kind="ablation",
    ),
    Method(
        name="WMPO in short branches",
        about="two chunks from any stored frame, too short to drift",
        values={"num_starts": 4096, "horizon": 16},
        hidden=_REAL_ONLY,
        sizes=_GRPO_SIZES,
        needs=ROLLOUTS,
        requires=("key_frames_from",),
        kind="ablation",
    ),
    Method(
        name="WMPO with an anchor",
        about="dreams never forget their start: it stays the oldest frame of the context",
        values={"anchored": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        kind="ablation",
    ),
    Method(
        name="WMPO with a noisy context",
        about="dreams blur their own past, as in the world model's training, against drift",
        values={"context_noise": 50.0},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        kind="ablation",
    ),
    Method(
        name="WMPO without alignment",
        about="dreams in a world model that has never seen the policy's own rollouts",
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        kind="ablation",
        unaligned=True,
    ),
    Method(
        name="Shuffled rewards",
        about="control: rewards are dealt out at random, so nothing can be learnt",
        values={"shuffle_rewards": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        kind="ablation",
    ),
    Method(
        name="GRPO in the simulator",
        about="the baseline: the same loss on a fixed number of real episodes",
        values={"environment": "simulator", "pool": "budget"},
        hidden=(*_DREAMT_ONLY, "key_frames_from"),
        sizes={
            "quick look": {"real_budget": 8, "iterations": 2, "groups": 1, "group_size": 4},
            "demo": {"real_budget": 128, "iterations": 40, "groups": 8, "group_size": 8},
            "long": {"real_budget": 1280, "iterations": 100, "groups": 8, "group_size": 8},
        },
    ),
)
# A run says which of them it is, so that it can refuse to be another.
METHODS = tuple(replace(each, values={**each.values, "method": each.name}) for each in _METHODS)

CHARTS = (
    Chart(
        name="success",
        title="success",
        help=(
            "Share of episodes that succeed: imagined, as the reward model judges; real, in the "
            "simulator; audited, as people judge the imagined ones"
        ),
        traces=(
            Trace(metric="rollout/success_rate", name="imagined"),
            Trace(metric="real/success_rate", name="real", colour="real", marks=True),
            Trace(
                metric="real/final_success_rate", name="real, at the end", colour="real", marks=True
            ),
            Trace(metric="audit/success_rate", name="audited", colour="ok", marks=True),
        ),
        low=0.0,
        high=1.0,
    ),
    Chart(
        name="groups",
        title="groups",
        help=(
            "A group is several episodes from one start. Only groups with both outcomes teach "
            "anything: the others are dropped"
        ),
        traces=(
            Trace(metric="grpo/kept_groups", name="kept"),
            Trace(metric="grpo/all_success_groups", name="all ✓", colour="ok"),
            Trace(metric="grpo/all_fail_groups", name="all ✕", colour="bad"),
        ),
    ),
    Chart(
        name="drift",
        title="drift of the dreams",
        help=(
            "How much the last imagined frame lost of the first one's contrast, colour and "
            "sharpness: when it grows, look whether dreams still look real"
        ),
        traces=(Trace(metric="rollout/drift", name="last frame"),),
    ),
    Chart(
        name="clip",
        title="clip fraction",
        help=(
            "Share of action tokens whose probability moved more than the clip range allows; much "
            "above 0.2 the updates are too large"
        ),
        traces=(Trace(metric="grpo/clip_fraction", name="clipped"),),
    ),
    Chart(
        name="kl",
        title="approximate KL",
        help=(
            "How far an iteration moved the policy from the one that imagined its episodes (KL "
            "divergence)"
        ),
        traces=(Trace(metric="grpo/approx_kl", name="nats a token"),),
    ),
    Chart(
        name="entropy",
        title="policy entropy",
        help=(
            "How undecided the policy is; near zero every episode of a group is the same and "
            "nothing is learnt"
        ),
        traces=(Trace(metric="rollout/entropy", name="nats a token"),),
    ),
    Chart(
        name="gradient",
        title="gradient norm",
        help="Length of the gradient before it is clipped",
        traces=(Trace(metric="grpo/gradient_norm", name="before clipping"),),
    ),
    Chart(
        name="speed",
        title="imagined frames/s",
        help="Frames imagined in a second, all dreams together, and what was planned",
        traces=(
            Trace(metric="rollout/frames_per_second", name="frames/s"),
            Trace(metric="time/planned_frames_per_second", name="planned", colour="plan"),
        ),
    ),
    Chart(
        name="pace",
        title="seconds of an iteration",
        help="Imagining and learning, and the most that was planned: no dream ends early",
        traces=(
            Trace(metric="time/iteration_seconds", name="took"),
            Trace(metric="time/planned_iteration_seconds", name="planned at most", colour="plan"),
        ),
    ),
)
