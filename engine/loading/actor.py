"""A policy checkpoint that acts in an environment."""

from pathlib import Path

from engine.checkpoints.checkpoint import read_config_of
from engine.device import Placement
from engine.envs.actors import PolicyActor
from engine.loading.models import load_policy
from engine.protocols import Env
from engine.records.manifest import checkpoint_hash


def hash_of_policy(directory: Path) -> str:
    """Of a checkpoint that somebody else is going to load.

    Raises:
        ValueError: not a policy checkpoint.
    """
    read_config_of(directory, "policy")
    return checkpoint_hash(directory)


def load_actor(
    directory: Path, placement: Placement, env: Env, *, temperature: float
) -> PolicyActor:
    """The policy of a checkpoint, for an environment.

    Raises:
        ValueError: not a policy checkpoint, or one for other actions.
    """
    policy = load_policy(directory, placement)
    if policy.action_dim != env.action_dim:
        raise ValueError(
            f"the policy has {policy.action_dim} action dimensions, "
            f"{env.task.name} has {env.action_dim}"
        )
    return PolicyActor(
        policy,
        env.task.instruction,
        temperature=temperature,
        policy_hash=checkpoint_hash(directory),
    )
