"""The chain as data: which trainings a task needs, of which size, on which recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.policy.config import tiny_policy_config
from engine.records.tasks import Task
from engine.runs.stages import Stage

STAGES = ("autoencoder", "policy", "world_model", "alignment", "reward_model", "optimise")
EPOCHS = 60  # a training sees each frame about so often, however long its size says


@dataclass(frozen=True)
class Size:
    """Steps of each training, and options of models and of GRPO."""

    steps: Mapping[str, int]
    optimise: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]


_TINY: dict[str, Mapping[str, Any]] = {
    "autoencoder": {"block_channels": [8, 16, 16], "norm_groups": 4, "mid_attention": False},
    "transformer": {"hidden_size": 32, "depth": 1, "num_heads": 2},
    "reward_model": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                     "intermediate_size": 64},
}  # fmt: skip
SIZES: dict[str, Size] = {
    "quick look": Size(
        dict.fromkeys(STAGES, 20),
        {"iterations": 1, "groups": 1, "max_groups": 2, "group_size": 4, "denoising_steps": 1,
         "keep_low": 0.0, "keep_high": 1.0, "record_groups": 1},
        _TINY,
    ),
    "demo": Size(
        {"autoencoder": 2500, "policy": 1000, "world_model": 2600, "alignment": 4000,
         "reward_model": 2000},
        {"iterations": 25, "max_groups": 8, "learning_rate": 2e-4, "record_groups": 3},
        {},
    ),
    "long": Size(
        {"autoencoder": 20_000, "policy": 10_000, "world_model": 50_000, "alignment": 20_000,
         "reward_model": 10_000},
        {"iterations": 100, "max_groups": 16, "learning_rate": 1e-4, "record_groups": 4},
        {},
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Data:
    """What there is to learn from.

    Attributes:
        recordings, rollouts: directories of demonstrations, and of what a policy played.
        labels: options that name a frozen label set; none without one.
        episodes, frames: how many recordings there are, and how many pictures.
        judged: whether anything says of any of them how it ended.
        starts: a file of first frames.
    """

    recordings: Sequence[str]
    rollouts: Sequence[str]
    labels: Mapping[str, Any]
    episodes: int
    frames: int
    judged: bool
    starts: str


def stages(task: Task, data: Data, size: str, given: Mapping[str, str], seed: int) -> list[Stage]:
    """The trainings in order; a checkpoint that is given takes the place of its stage.

    Without rollouts of a policy there is no alignment: the world model is the one of recordings.
    """
    chosen, aside = SIZES[size], max(1, min(10, data.episodes // 10))

    def fit(stage: str) -> dict[str, Any]:
        steps = max(1, min(chosen.steps[stage], EPOCHS * data.frames // 16))
        return {"steps": steps, "checkpoint_every": max(1, steps // 4)}

    def of(stage: str) -> str:
        return given.get(stage) or f"{{{stage}@last}}"

    shared = {"seed": seed}
    last_world = "alignment" if data.rollouts and not given.get("world_model") else "world_model"
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "autoencoder": ("train_autoencoder", {
            "episodes_from": [*data.recordings, *data.rollouts],
            "held_out": aside,
            "model": chosen.models.get("autoencoder", {}),
            "fit": fit("autoencoder"),
        }),
        "policy": ("clone", {
            "episodes_from": [*data.recordings],
            "targets": "executed",
            "only_successes": data.judged,
            "held_out": aside,
            "smoothing": 3.0,
            "model": _policy(task),
            "fit": fit("policy"),
            **data.labels,
        }),
        "world_model": ("train_world_model", {
            "episodes_from": [*data.recordings],
            "normalization_of": of("policy"),
            "autoencoder": of("autoencoder"),
            "held_out": aside,
            "batch_size": 16,
            "transformer": {"action_dim": task.action_dim, **chosen.models.get("transformer", {})},
            "fit": fit("world_model"),
        }),
        "alignment": ("train_world_model", {
            "world_model": of("world_model"),
            "episodes_from": [*data.rollouts],
            "replay_from": [*data.recordings],
            "held_out": aside,
            "batch_size": 16,
            "fit": fit("alignment"),
        }),
        "reward_model": ("train_reward", {
            "episodes_from": [*data.recordings, *data.rollouts],
            "choose_on": "",
            "model": {"image_size": task.image_size, **chosen.models.get("reward_model", {})},
            "fit": fit("reward_model"),
            **data.labels,
        }),
        "optimise": ("optimise", {
            "task": task.name,
            "policy": of("policy"),
            "world_model": of(last_world),
            "reward_model": of("reward_model"),
            "starts": data.starts,
            **chosen.optimise,
        }),
    }  # fmt: skip
    return [
        Stage(name=name, job=job, options=shared | wanted)
        for name, (job, wanted) in options.items()
        if not given.get(name) and (name != "alignment" or last_world == "alignment")
    ]


def _policy(task: Task) -> dict[str, Any]:
    """The small policy for frames of the task's size."""
    patch = next((side for side in (16, 8, 4, 2) if task.image_size % side == 0), 0)
    if not patch:
        raise ValueError(
            f"frames of {task.image_size} pixels cannot be cut into patches: choose an even size"
        )
    usual = tiny_policy_config(task.action_dim, 8, task.image_size // patch * 16).to_dict()
    for trunk in ("dino", "siglip"):
        usual[trunk] |= {"image_size": task.image_size, "patch_size": patch}
    return usual
