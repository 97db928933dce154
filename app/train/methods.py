"""What can be trained on the Train page: a job, what sets it apart, and sizes to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Names of files on the server and of pools: the studio chooses them.
CHOSEN_BY_STUDIO = ("task", "starts", "pool", "first_start", "environment", "use")

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to improve a policy.

    Attributes:
        values: what differs from the job's defaults, and is the point of the method.
        hidden: knobs that get no input: the method decides them, or does not use them.
        sizes: values by the name of a size, the first for a look, the last for a result.
        needs: what has to be there before, in words; empty for nothing.
        unaligned: dreams in a world model that has never seen a policy's rollouts.
    """

    name: str
    about: str
    job: str
    values: Values = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    sizes: Mapping[str, Values]
    needs: str = ""
    unaligned: bool = False


# Knobs that are visible at once, by job; the others are folded away.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "optimise": (
        *("policy", "world_model", "reward_model", "key_frames_from", "real_budget"),
        *("iterations", "groups", "group_size"),
    ),
    "prefer": ("policy", "episodes_from", "beta"),
    "clone": ("policy", "episodes_from"),
    "collect": ("policy", "episodes", "episodes_per_start"),
    "train_world_model": ("world_model", "episodes_from", "replay_from", "replay_share"),
}
# Of every fit, what the command line alone changes: a page has few inputs.
_OF_FITS = ("final_rate", "decay_steps", "warmup_steps", "weight_decay", "gradient_clip")
# Knobs that no method of a job leaves to a person; no size may decide them either.
HIDDEN: Mapping[str, tuple[str, ...]] = {
    "optimise": (*CHOSEN_BY_STUDIO, "shuffle_rewards"),
    "prefer": (*CHOSEN_BY_STUDIO, *_OF_FITS),
    "clone": (
        *(*CHOSEN_BY_STUDIO, *_OF_FITS, "model", "play_from", "play_share", "limit"),
        *("targets", "only_successes"),
    ),
    "collect": (*CHOSEN_BY_STUDIO, "source", "noise", "only_successes", "steps_after_success"),
    "train_world_model": (
        *(*CHOSEN_BY_STUDIO, *_OF_FITS, "autoencoder", "transformer", "normalization_from"),
        *("predict_changes", "timestep_ratio"),
    ),
}
_GRPO_SIZES: Mapping[str, Values] = {
    # A point and a video within a minute on two cores, within a Space's caps.
    "quick look": {
        "iterations": 5,
        "groups": 2,
        "group_size": 4,
        "max_groups": 4,
        "record_groups": 4,
    },
    # As the shipped policy was made (engine.jobs.recipe).
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
_ROLLOUTS = "the policy's own rollouts: collect them first, with the method “Collect rollouts”"

METHODS: tuple[Method, ...] = (
    Method(
        name="WMPO",
        about="GRPO on groups imagined in the world model",
        job="optimise",
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO from key frames",
        about="dreams begin from any stored frame, not from first frames",
        job="optimise",
        values={"num_starts": 4096},
        hidden=_REAL_ONLY,
        sizes=_GRPO_SIZES,
        needs=_ROLLOUTS,
    ),
    Method(
        name="WMPO in short branches",
        about="two chunks from any stored frame, too short to drift",
        job="optimise",
        values={"num_starts": 4096, "horizon": 16},
        hidden=_REAL_ONLY,
        sizes=_GRPO_SIZES,
        needs=_ROLLOUTS,
    ),
    Method(
        name="WMPO with an anchor",
        about="dreams never forget their start: it stays the oldest frame of the context",
        job="optimise",
        values={"anchored": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO with a noisy context",
        about="dreams blur their own past, as in the world model's training, against drift",
        job="optimise",
        values={"context_noise": 50.0},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="WMPO without alignment",
        about="ablation: dreams in a world model that has never seen the policy's rollouts",
        job="optimise",
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
        unaligned=True,
    ),
    Method(
        name="Shuffled rewards",
        about="control: rewards are dealt out at random, so nothing can be learnt",
        job="optimise",
        values={"shuffle_rewards": True},
        hidden=_WHOLE_EPISODES,
        sizes=_GRPO_SIZES,
    ),
    Method(
        name="GRPO in the simulator",
        about="the baseline: the same loss on real episodes, P of them",
        job="optimise",
        values={"environment": "simulator", "pool": "budget"},
        hidden=(*_DREAMT_ONLY, "key_frames_from"),
        sizes={
            "quick look": {"real_budget": 8, "iterations": 2, "groups": 1, "group_size": 4},
            "demo": {"real_budget": 128, "iterations": 40, "groups": 8, "group_size": 8},
            "long": {"real_budget": 1280, "iterations": 100, "groups": 8, "group_size": 8},
        },
    ),
    Method(
        name="DPO",
        about="prefer the successes to the failures of the same start",
        job="prefer",
        sizes={
            "quick look": {"fit": {"steps": 20, "log_every": 2}},
            "demo": {"fit": {"steps": 100, "log_every": 5}},
            "long": {"fit": {"steps": 1000}},
        },
        needs=_ROLLOUTS,
    ),
    Method(
        name="Filtered cloning",
        about="clone what was executed in the policy's own successes",
        job="clone",
        values={"targets": "executed", "only_successes": True},
        sizes={
            "quick look": {"held_out": 2, "fit": {"steps": 40, "log_every": 4}},
            "demo": {"fit": {"steps": 400, "learning_rate": 2e-4}},
            "long": {"fit": {"steps": 2000, "learning_rate": 2e-4}},
        },
        needs=_ROLLOUTS,
    ),
    Method(
        name="Collect rollouts",
        about="play the policy in the simulator: the real budget P of the methods above",
        job="collect",
        values={"source": "policy", "pool": "budget"},
        sizes={
            "quick look": {"episodes": 8, "episodes_per_start": 4},
            "demo": {"episodes": 128, "episodes_per_start": 4},
            "long": {"episodes": 1280, "episodes_per_start": 4},
        },
    ),
    Method(
        name="Align the world model",
        about="train it on to dream what this policy does; WMPO then dreams in the result",
        job="train_world_model",
        values={"batch_size": 16, "replay_share": 0.35},
        sizes={
            "quick look": {"held_out": 2, "fit": {"steps": 20, "log_every": 2}},
            # As the shipped world model was aligned (engine.jobs.recipe).
            "demo": {"fit": {"steps": 4000, "average_decay": 0.998}},
            "long": {"fit": {"steps": 20_000, "average_decay": 0.998}},
        },
        needs=_ROLLOUTS,
    ),
)


def get_method(name: str) -> Method:
    """The method of a name.

    Raises:
        ValueError: no such method.
    """
    for method in METHODS:
        if method.name == name:
            return method
    raise ValueError(f"there is no method {name!r}; there are {', '.join(m.name for m in METHODS)}")


def values_of(method: Method, size: str) -> dict[str, Any]:
    """The options of a method in a size.

    Raises:
        ValueError: no such size.
    """
    if size not in method.sizes:
        raise ValueError(f"the size must be one of {', '.join(method.sizes)}, not {size!r}")
    return {**method.sizes[size], **method.values}
