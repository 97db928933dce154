"""Collect real episodes: scripted experts with noise, play, or a policy (method.md §5)."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config, knob
from engine.crew.crew import perform, ray_knob, workers_knob
from engine.device import Placement
from engine.envs.actors import ExpertActor
from engine.envs.episode import Actor, record_episode
from engine.envs.factory import make_env
from engine.envs.play import PlayActor
from engine.loading.actor import hash_of_policy, load_actor
from engine.protocols import Env, Run
from engine.records.tasks import get_task, pool_starts
from engine.runs.job import CHOSEN_BY_STUDIO, Job, Method
from engine.seeding import member_seed
from engine.statistics.intervals import wilson_interval


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What to collect. `source` policy needs `policy`; the others need no checkpoint."""

    task: str = knob("coffee-push", "Task record")
    source: str = knob("expert", "Who acts", choices=("expert", "play", "policy"))
    policy: str = knob("", "Policy checkpoint directory (source policy)")
    pool: str = knob("demonstrations", "Pool the starts are taken from")
    first_start: int = knob(0, "Offset of the first start in the pool", low=0)
    episodes: int = knob(16, "Episodes to collect, all starts together", low=1)
    episodes_per_start: int = knob(
        1, "Episodes of each start; more give pairs of success and failure (DPO)", low=1
    )
    siblings: bool = knob(
        False, "Play only: the episodes of a start part from one state, each in its own style"
    )
    seed: int = knob(0, "Root of randomness", low=0)
    noise: float = knob(0.2, "Largest noise of the expert's actions (uniform per episode)", low=0.0)
    temperature: float = knob(1.0, "Sampling temperature of the policy; 0 is greedy", low=0.0)
    only_successes: bool = knob(False, "Keep successful episodes only (demonstrations)")
    steps_after_success: int = knob(8, "Steps played on after success", low=0)
    use: str = knob("", "Entry in the ledger; by default demonstration, play or world model")
    workers: int = workers_knob()
    ray: str = ray_knob()


JOB = Job(
    methods=(
        Method(
            name="Collect rollouts",
            about="play the policy in the simulator: the real episodes that the methods learn from",
            values={"source": "policy", "pool": "budget"},
            kind="step",
            sizes={
                "quick look": {"episodes": 8, "episodes_per_start": 4},
                "demo": {"episodes": 128, "episodes_per_start": 4},
                "long": {"episodes": 1280, "episodes_per_start": 4},
            },
        ),
    ),
    place=4,
    shown=("policy", "episodes", "episodes_per_start"),
    hidden=(
        *(*CHOSEN_BY_STUDIO, "source", "noise", "only_successes", "steps_after_success"),
        "ray",
    ),
    needs=lambda config: ("policy",) if config.source == "policy" else (),
    keeps_checkpoints=False,
)


DEFAULT_USE = {"expert": "demonstration", "play": "play", "policy": "world model"}


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Collect every start's episodes; an episode already in the run is not played again."""
    task = get_task(config.task)
    planned = plan(config, task.name)
    known = run.episode_ids()
    outcomes_of_starts = run.real_outcomes()
    outcomes: list[bool] = []
    acts = config.source == "policy" and config.policy
    policy_hash = hash_of_policy(Path(config.policy)) if acts else None
    use = config.use or DEFAULT_USE[config.source]

    def is_done(episode_id: str, start_id: int) -> bool:
        was_discarded = config.only_successes and outcomes_of_starts.get(start_id) is False
        return episode_id in known or was_discarded

    parts = [
        partial(
            record_episode,
            episode_id=episode_id,
            start_id=start_id,
            seed=seed,
            steps_after_success=config.steps_after_success,
            lineage={"use": use, "source": config.source, "policy": policy_hash},
        )
        for episode_id, start_id, seed in planned
        if not is_done(episode_id, start_id)
    ]
    episodes = perform(
        parts,
        partial(cast, config, run.placement),
        workers=config.workers,
        ray=config.ray,
    )
    run.phase("playing in the simulator")
    run.progress(0, len(planned))
    for done, (episode_id, start_id, _) in enumerate(planned):
        if run.stop_requested or run.pause_requested:
            episodes.close()
            return None
        run.give_way()
        if is_done(episode_id, start_id):
            outcomes.append(known.get(episode_id, False))
            continue
        episode = next(episodes)
        outcomes.append(episode.outcome.success)
        if episode.outcome.success or not config.only_successes:
            run.record(episode)
        else:
            run.count_real(
                task=task.name,
                start_id=start_id,
                use="discarded",
                policy=policy_hash,
                success=False,
            )
        run.progress(done + 1, len(planned))
    successes = int(np.sum(outcomes))
    low, high = wilson_interval(successes, len(outcomes))
    metrics = {
        "rollout/episodes": len(outcomes),
        "rollout/success_rate": successes / len(outcomes),
        "rollout/success_low": low,
        "rollout/success_high": high,
    }
    run.log(len(outcomes), metrics)
    return metrics


def plan(config: JobConfig, task: str) -> list[tuple[str, int, int]]:
    """(episode id, start id, seed) of every episode; the first of a start has the config's seed.

    Raises:
        ValueError: episodes that cannot be shared out evenly, or a pool that is too small.
    """
    members = config.episodes_per_start
    if config.episodes % members:
        raise ValueError(f"{config.episodes} episodes cannot be {members} of each start")
    if members > 1 and config.only_successes:
        raise ValueError("only_successes keeps one episode a start: set episodes_per_start=1")
    if config.siblings and (config.source != "play" or members == 1):
        raise ValueError("siblings are play with more than one of episodes_per_start")
    planned = []
    for start_id in pool_starts(config.pool, config.first_start, config.episodes // members):
        for member in range(members):
            name = f"{task}-{config.source}-{start_id}-{config.seed}"
            seed = member_seed(config.seed, member)
            planned.append((f"{name}-{member}" if member else name, start_id, seed))
    return planned


def cast(config: JobConfig, placement: Placement) -> tuple[Env, Actor]:
    """Who plays where, in a process of its own."""
    env = make_env(get_task(config.task))
    return env, make_actor(config, placement, env)


def make_actor(config: JobConfig, placement: Placement, env: Env) -> Actor:
    """Who acts, as the config says."""
    match config.source:
        case "expert":
            return ExpertActor(env, noise=config.noise)
        case "play":
            return PlayActor(env, trunk_seed=config.seed if config.siblings else None)
        case _:
            if not config.policy:
                raise ValueError("source policy needs policy=CHECKPOINT_DIRECTORY")
            policy, temperature = Path(config.policy), config.temperature
            return load_actor(policy, placement, env, temperature=temperature)
