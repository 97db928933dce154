"""Evaluate a policy in the simulator: success rate with its Wilson interval (method.md §4.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.crew.crew import perform, ray_knob, workers_knob
from engine.crew.worker import Part
from engine.device import Placement
from engine.envs.episode import Actor, play_outcome, record_episode
from engine.envs.factory import make_env
from engine.loading.actor import hash_of_policy, load_actor
from engine.protocols import Env, Run
from engine.records.tasks import Task, get_task, pool_starts
from engine.records.types import Trajectory
from engine.runs.job import Job
from engine.runs.names import episode_name
from engine.statistics.intervals import wilson_interval
from engine.statistics.leaks import check_apart, learnt_from


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Whom to evaluate, where."""

    task: str = knob("coffee-push", "Task record")
    policy: str = knob("", "Policy checkpoint directory")
    pool: str = knob("test", "Pool the starts are taken from")
    first_start: int = knob(0, "Offset of the first start in the pool", low=0)
    episodes: int = knob(100, "Episodes, one a start", low=1)
    # paper: greedy in the simulator, at temperature 1.6 in imagination
    temperature: float = knob(0.0, "Sampling temperature; 0 is greedy", low=0.0)
    seed: int = knob(0, "Root of randomness of the sampling", low=0)
    record_episodes: int = knob(
        0, "Starts, from the first, whose video is kept: three times slower", low=0
    )
    workers: int = workers_knob()
    ray: str = ray_knob()
    arm: str = knob("", "What the policy is compared as; policies of one arm are its trainings")


JOB = Job(needs=lambda config: ("policy",), keeps_checkpoints=False)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Play every start once; starts already played in this run are not played again."""
    if not config.policy:
        raise ValueError("evaluate needs policy=CHECKPOINT_DIRECTORY")
    task = get_task(config.task)
    starts = pool_starts(config.pool, config.first_start, config.episodes)
    check_apart("the policy", learnt_from(Path(config.policy)), starts)
    policy_hash = hash_of_policy(Path(config.policy))
    use = "test" if config.pool == "test" else "calibration"
    played, recorded = run.real_outcomes(), run.episode_ids()
    parts = _parts(
        config, task, list(starts), policy_hash, use=use, played=played, recorded=recorded
    )
    results = perform(
        list(parts.values()),
        partial(cast, config, run.placement),
        workers=config.workers,
        ray=config.ray,
    )
    run.phase("playing in the simulator")
    run.progress(0, len(starts))
    for done, start_id in enumerate(starts):
        if run.stop_requested or run.pause_requested:
            results.close()
            return None
        run.give_way()
        if start_id in parts:
            result = next(results)
            if isinstance(result, Trajectory):
                run.record(result)
                played[start_id] = result.outcome.success
            else:
                played[start_id] = result.success
                run.count_real(
                    task=task.name,
                    start_id=start_id,
                    use=use,
                    policy=policy_hash,
                    success=result.success,
                )
        run.progress(done + 1, len(starts))
    successes = sum(played[start_id] for start_id in starts)
    low, high = wilson_interval(successes, len(starts))
    metrics = {
        "evaluate/success_rate": successes / len(starts),
        "evaluate/success_low": low,
        "evaluate/success_high": high,
        "evaluate/episodes": len(starts),
        "evaluate/temperature": config.temperature,
    }
    run.log(len(starts), metrics)
    return metrics | {"outcomes": [int(played[start_id]) for start_id in starts]}


def _parts(
    config: JobConfig,
    task: Task,
    starts: Sequence[int],
    policy_hash: str,
    *,
    use: str,
    played: Mapping[int, bool],
    recorded: Mapping[str, bool],
) -> dict[int, Part]:
    """What is still to be played, by start: recorded, or for its outcome alone."""
    parts: dict[int, Part] = {}
    for place, start_id in enumerate(starts):
        name = episode_name(task.name, start_id, config.seed)
        if place < config.record_episodes:
            if name not in recorded:  # also where a killed attempt stored it and did not say so
                parts[start_id] = partial(
                    record_episode,
                    episode_id=name,
                    start_id=start_id,
                    seed=config.seed,
                    steps_after_success=0,
                    lineage={"use": use, "source": "evaluate", "policy": policy_hash},
                )
        elif start_id not in played:
            parts[start_id] = partial(play_outcome, start_id=start_id, seed=config.seed)
    return parts


def cast(config: JobConfig, placement: Placement) -> tuple[Env, Actor]:
    """Who plays where, in a process of its own."""
    env = make_env(get_task(config.task))
    policy, temperature = Path(config.policy), config.temperature
    return env, load_actor(policy, placement, env, temperature=temperature)
