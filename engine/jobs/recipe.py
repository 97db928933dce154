"""The recipe of the shipped demo, as data: which jobs, in which order, with which options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.jobs.registry import job_config


@dataclass(frozen=True)
class Stage:
    """One job of the recipe.

    `options` names what differs from the job's defaults; `{name}` in a string stands for the
    directory of a stage, `{name@last}` for its last checkpoint.
    """

    name: str
    job: str
    options: Mapping[str, Any]

    def config(self, root: Path) -> dict[str, Any]:
        """The job's whole config for stages that lie in `root`."""
        return job_config(self.job, _resolve(self.options, root)).to_dict()


@dataclass(frozen=True)
class Export:
    """A stage's last checkpoint, its shipped name, and the stages whose figures its card has."""

    stage: str
    name: str
    figures: tuple[str, ...]


def _resolve(value: Any, root: Path) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        name, _, last = value.strip("{}").partition("@")
        directory = root / name
        if not last:
            return str(directory)
        found = sorted((directory / "checkpoints").glob("step-*"))
        if not found:
            raise ValueError(f"stage {name} has no checkpoint yet")
        return str(found[-1])
    if isinstance(value, Mapping):
        return {key: _resolve(item, root) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolve(item, root) for item in value]
    return value


STAGES: tuple[Stage, ...] = (
    Stage(
        "demos",
        "collect",
        {"source": "expert", "episodes": 300, "noise": 0.3, "only_successes": True},
    ),
    Stage("play", "collect", {"source": "play", "pool": "play", "episodes": 700}),
    Stage(
        "ae",
        "train_autoencoder",
        {
            "episodes_from": ["{demos}", "{play}"],
            "limit": 400,
            "fit": {"steps": 2500, "learning_rate": 1e-3},
        },
    ),
    Stage(
        "base",
        "clone",
        {
            "episodes_from": ["{demos}"],
            "play_from": ["{play}"],
            "fit": {"steps": 2500, "weight_decay": 0.0},
        },
    ),
    Stage(
        "wm",
        "train_world_model",
        {
            "episodes_from": ["{demos}", "{play}"],
            "normalization_from": ["{demos}"],
            "autoencoder": "{ae@last}",
            "held_out": 20,
            "batch_size": 16,
            "fit": {"steps": 2600, "learning_rate": 1e-3, "average_decay": 0.995},
        },
    ),
)
EXPORTS: tuple[Export, ...] = ()
SAMPLES: dict[str, int] = {}
