"""A policy checkpoint that acts in an environment."""

from pathlib import Path

from engine.device import Placement
from engine.envs.actors import PolicyActor
from engine.loading.models import load_policy
from engine.protocols import Env
from engine.records.manifest import checkpoint_hash


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
