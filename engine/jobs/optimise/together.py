"""What the device lets an iteration be: rows imagined together, and how fast."""

from collections.abc import Mapping
from pathlib import Path

from engine.checkpoints.checkpoint import read_json, read_role
from engine.device import Placement, device_memory
from engine.jobs.optimise.optimise_plan import JobConfig
from engine.memory.cards import beside_bytes
from engine.memory.components import Sizes
from engine.memory.planner import rows_that_fit, sizes_of
from engine.memory.speed import Speed, planned_speed


def most_rows_together(config: JobConfig, sizes: Sizes, horizon: int, placement: Placement) -> int:
    """Rows that fit the device beside the models and the policy's training; asked before loading.

    Args:
        horizon: the task's.

    Raises:
        ValueError: not even one row fits.
    """
    policy, world_model, reward_model = sizes
    return rows_that_fit(
        policy,
        world_model,
        reward_model,
        device=device_memory(placement.where),
        placement=placement,
        rows=-(-config.groups * config.group_size // config.learners),
        horizon=config.horizon or horizon,
        beside=beside_bytes(policy, config.economy, placement, config.learners),
    )


def speed_together(config: JobConfig, sizes: Sizes, placement: Placement) -> Speed:
    """How fast the rows should be imagined."""
    return planned_speed(
        *sizes,
        placement=placement,
        denoising_steps=config.denoising_steps,
        workers=max(config.workers, config.learners),
    )


def sizes_together(directories: Mapping[str, Path]) -> Sizes:
    """The configs of policy, world model and reward model.

    Args:
        directories: of the three, by role.

    Raises:
        ValueError: a checkpoint of another role.
    """
    for role, directory in directories.items():
        if read_role(directory) != role:
            raise ValueError(f"{directory.name} is not the checkpoint of a {role}")
    return sizes_of([read_json(directory / "config.json") for directory in directories.values()])
