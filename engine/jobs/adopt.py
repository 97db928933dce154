"""Adopt what others made: a released checkpoint, read once into our own format (method.md §1.7),
or a world model that somebody serves.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.gate.inspection import to_safetensors
from engine.loading.models import ROLES
from engine.loading.trial import check_model
from engine.protocols import Run
from engine.records.manifest import write_manifest
from engine.released.autoencoder import read_autoencoder
from engine.released.policy import read_policy
from engine.released.reward_model import read_reward_model
from engine.released.source import Adopted, Progress
from engine.released.tasks import RELEASED, get_released
from engine.released.world_model import read_world_model
from engine.served.address import is_address
from engine.served.checkpoint import write_served


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What is adopted, and as what."""

    role: str = knob("policy", "What the checkpoint is", choices=ROLES)
    source: str = knob("", "The official file or folder, or the address of a served world model")
    task: str = knob("coffee", "The task it was trained for", choices=tuple(RELEASED))
    autoencoder: str = knob(
        "", "Diffusers folder of a world model's autoencoder; empty finds the nearest `vae`"
    )
    statistics_key: str = knob("", "Action statistics of a policy; empty takes the task's own")
    success_threshold: float = knob(
        0.0, "Probability a reward model counts as success; 0 takes the published", low=0, high=1
    )
    trial_megabytes: int = knob(
        2000, "Checkpoints up to this size are run once in the sandbox, on the CPU", low=0
    )


class _StoppedError(Exception):
    """Somebody asked the run to end: what was written so far goes."""


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Convert tensor by tensor; the run's only checkpoint appears whole or not at all."""
    if not config.source:
        raise ValueError("adopt needs source=OFFICIAL_FILE_OR_FOLDER")

    if is_address(config.source):
        if config.role != "world_model":
            raise ValueError("only world models are served: say role=world_model")
        with run.checkpoint(1) as directory:
            write_served(config.source, directory)
        return {}

    def progress(done: int, total: int) -> None:
        run.progress(done, total)
        if run.stop_requested or run.pause_requested:
            raise _StoppedError

    try:
        with run.checkpoint(1) as directory:
            adopted = _read(config, directory, progress)
            _try_out(directory, config.trial_megabytes * 10**6)
    except _StoppedError:
        return None
    return {
        "adopt/parameters": adopted.parameters,
        "adopt/unused_parameters": adopted.unused_parameters,
    }


def _try_out(directory: Path, largest: int) -> None:
    """The gate's last step: one forward pass in the sandbox, unless the weights are too large.

    Raises:
        ValueError: the checkpoint does not work.
    """
    if sum(path.stat().st_size for path in directory.glob("*.safetensors")) > largest:
        return
    write_manifest(directory)
    verdict = check_model(directory)
    if not verdict.accepted:
        raise ValueError(verdict.sentence)


def _read(config: JobConfig, directory: Path, progress: Progress) -> Adopted:
    source, task = Path(config.source), get_released(config.task)
    match config.role:
        case "policy":
            return read_policy(
                source,
                directory,
                task=task,
                statistics_key=config.statistics_key,
                convert=to_safetensors,
                progress=progress,
            )
        case "world_model":
            return read_world_model(
                source,
                directory,
                autoencoder=Path(config.autoencoder) if config.autoencoder else None,
                task=config.task,
                convert=to_safetensors,
                progress=progress,
            )
        case "reward_model":
            return read_reward_model(
                source,
                directory,
                task=task,
                success_threshold=config.success_threshold or None,
                convert=to_safetensors,
                progress=progress,
            )
        case _:
            return read_autoencoder(source, directory, convert=to_safetensors, progress=progress)
