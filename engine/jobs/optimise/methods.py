"""How the Train page offers GRPO: its variants, control and baseline, and its charts."""

from collections.abc import Mapping

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
    # As the shipped policy was made (engine.jobs.demo.recipe).
    "demo": {
        "iterations": 25,
        "groups": 8,
        "group_size": 8,
        "max_groups": 8,
        "learning_rate": 2e-4,
        "record_groups": 3,
    },
    "long": {
        "iterations": 100,
        "groups": 16,
        "group_size": 8,
        "max_groups": 32,
        "learning_rate": 1e-4,
        "record_groups": 2,
    },
}
_REAL_ONLY = ("real_budget",)
_WHOLE_EPISODES = (*_REAL_ONLY, "key_frames_from")
_DREAMT_ONLY = (
    *("world_model", "reward_model", "denoising_steps", "horizon", "probe_starts"),
    *("anchored", "context_noise"),
)

METHODS = (
    Method(
        name="WMPO",
        about="GRPO on groups imagined in the world model",
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
    ),
    Method(
        name="WMPO in short branches",
        about="two chunks from any stored frame, too short to drift",
        values={"num_starts": 4096, "horizon": 16},
        hidden=_REAL_ONLY,
        sizes=_GRPO_SIZES,
        needs=ROLLOUTS,
    ),
    Method(
        name="WMPO with an anchor",
        about="dreams never forget their start: it stays the oldest frame of the context",
        values={"anchored": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO with a noisy context",
        about="dreams blur their own past, as in the world model's training, against drift",
        values={"context_noise": 50.0},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO without alignment",
        about="ablation: dreams in a world model that has never seen the policy's rollouts",
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        unaligned=True,
    ),
    Method(
        name="Shuffled rewards",
        about="control: rewards are dealt out at random, so nothing can be learnt",
        values={"shuffle_rewards": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="GRPO in the simulator",
        about="the baseline: the same loss on real episodes, P of them",
        values={"environment": "simulator", "pool": "budget"},
        hidden=(*_DREAMT_ONLY, "key_frames_from"),
        sizes={
            "quick look": {"real_budget": 8, "iterations": 2, "groups": 1, "group_size": 4},
            "demo": {"real_budget": 128, "iterations": 40, "groups": 8, "group_size": 8},
            "long": {"real_budget": 1280, "iterations": 100, "groups": 8, "group_size": 8},
        },
    ),
)

CHARTS = (
    Chart(
        name="success",
        title="success",
        traces=(
            Trace(metric="rollout/success_rate", name="imagined"),
            Trace(metric="real/success_rate", name="real", colour="real", marks=True),
            Trace(metric="audit/success_rate", name="audited", colour="ok", marks=True),
        ),
        low=0.0,
        high=1.0,
    ),
    Chart(
        name="groups",
        title="groups",
        traces=(
            Trace(metric="grpo/kept_groups", name="kept"),
            Trace(metric="grpo/all_success_groups", name="all ✓", colour="ok"),
            Trace(metric="grpo/all_fail_groups", name="all ✕", colour="bad"),
        ),
    ),
    Chart(
        name="drift",
        title="drift of the dreams",
        traces=(Trace(metric="rollout/drift", name="last frame"),),
    ),
    Chart(
        name="clip",
        title="clip fraction",
        traces=(Trace(metric="grpo/clip_fraction", name="clipped"),),
    ),
    Chart(
        name="kl",
        title="approximate KL",
        traces=(Trace(metric="grpo/approx_kl", name="nats a token"),),
    ),
    Chart(
        name="entropy",
        title="policy entropy",
        traces=(Trace(metric="rollout/entropy", name="nats a token"),),
    ),
    Chart(
        name="gradient",
        title="gradient norm",
        traces=(Trace(metric="grpo/gradient_norm", name="before clipping"),),
    ),
    Chart(
        name="speed",
        title="imagined frames/s",
        traces=(Trace(metric="rollout/frames_per_second", name="frames/s"),),
    ),
)
