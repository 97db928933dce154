"""How a policy does in the simulator while it is trained, on starts it does not learn from."""

import numpy as np

from engine.envs.actors import PolicyActor
from engine.envs.episode import play_outcome
from engine.jobs.optimise.optimise_plan import JobConfig
from engine.policy.model import OpenVLAPolicy
from engine.protocols import Env, Run
from engine.records.tasks import pool_starts


def real_success(
    policy: OpenVLAPolicy,
    env: Env,
    run: Run,
    *,
    episodes: int,
    temperature: float,
    seed: int,
    name: str,
) -> float:
    """Success of a policy on the first calibration starts; entered in the ledger under its name."""
    actor = PolicyActor(policy, env.task.instruction, temperature=temperature)
    outcomes = []
    for start_id in pool_starts("calibration", 0, episodes):
        run.give_way()
        success = play_outcome(env, actor, start_id=start_id, seed=seed).success
        outcomes.append(success)
        run.count_real(
            task=env.task.name, start_id=start_id, use="diagnostic", policy=name, success=success
        )
    return float(np.mean(outcomes))


def checked_episodes(config: JobConfig, iterations: int) -> int:
    """Real episodes of the checks before each of the first `iterations` iterations, and the last.

    The policy is checked before iteration 0, `real_every`, twice that, and when all is done.
    """
    if not config.real_every:
        return 0
    before = (iterations - 1) // config.real_every + 1
    return config.real_episodes * (before + int(iterations == config.iterations))
