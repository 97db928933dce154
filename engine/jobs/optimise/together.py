"""How many rows of an iteration are imagined together: as many as the device has memory for."""

from collections.abc import Mapping
from pathlib import Path

from engine.checkpoints.checkpoint import read_json, read_role
from engine.device import Placement, device_memory
from engine.jobs.optimise.optimise_plan import JobConfig
from engine.memory.cards import beside_bytes
from engine.memory.planner import config_of, rows_that_fit
from engine.policy.config import PolicyConfig
from engine.reward.classifier import RewardConfig
from engine.reward.states import StateRewardConfig
from engine.world_model.model import WorldModelConfig


def most_rows_together(
    config: JobConfig, directories: Mapping[str, Path], horizon: int, placement: Placement
) -> int:
    """Rows that fit the device beside the models and the policy's training; asked before loading.

    Args:
        directories: of policy, world model and reward model, by role.
        horizon: the task's.

    Raises:
        ValueError: not even one row fits, or a checkpoint of another role.
    """
    for role, directory in directories.items():
        if read_role(directory) != role:
            raise ValueError(f"{directory.name} is not the checkpoint of a {role}")
    match [config_of(read_json(path / "config.json")) for path in directories.values()]:
        case [
            PolicyConfig() as policy,
            WorldModelConfig() as world,
            (RewardConfig() | StateRewardConfig()) as reward,
        ]:
            return rows_that_fit(
                policy,
                world,
                reward,
                device=device_memory(placement.where),
                placement=placement,
                rows=-(-config.groups * config.group_size // config.learners),
                horizon=config.horizon or horizon,
                beside=beside_bytes(policy, config.economy, placement, config.learners),
            )
    raise AssertionError("configs are of their roles")
