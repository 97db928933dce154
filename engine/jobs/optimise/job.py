"""WMPO: improve a policy by GRPO on episodes imagined in the world model (method.md §4).

The same in the simulator is the baseline at the same real budget: same loss, real rollouts.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.crew.learners import together
from engine.crew.processes import forking
from engine.data.strata import balanced_order, strata
from engine.envs.factory import make_env
from engine.jobs.gates.report import say_gates
from engine.jobs.optimise.casting import (
    Workers,
    among_learners,
    find_beginnings,
    load_acting,
    make_groups,
    take_seat,
)
from engine.jobs.optimise.exploitability import (
    Weights,
    copy_weights,
    dreamt_interval,
    exploitability,
    kl_from,
)
from engine.jobs.optimise.groups import Attempt, Groups, ImaginedGroups, RealGroups
from engine.jobs.optimise.iteration import Iteration, nothing_learnt, record
from engine.jobs.optimise.optimise_plan import JOB, JobConfig, needs_simulator
from engine.jobs.optimise.real_checks import checked_episodes, real_success
from engine.jobs.optimise.together import most_rows_together, sizes_together, speed_together
from engine.jobs.optimise.update import PolicyUpdate
from engine.learning import grpo
from engine.learning.card import card
from engine.learning.spreading import ready_to_act, ready_to_learn
from engine.memory.speed import Speed
from engine.policy.files import write_policy
from engine.policy.model import OpenVLAPolicy
from engine.protocols import Env, Run
from engine.ranks import agreed, leads, ranks
from engine.records.manifest import checkpoint_hash
from engine.records.tasks import Task, get_task
from engine.seeding import numpy_generator
from engine.served.checkpoint import is_served

__all__ = ["JOB", "JobConfig", "optimise", "run"]


@dataclass
class _Job:
    """What stays the same over the iterations."""

    config: JobConfig
    task: Task
    policy: OpenVLAPolicy
    update: PolicyUpdate
    groups: Groups
    hashes: dict[str, str]
    learnt_from: Sequence[int]
    env: Env | None
    base: Weights
    strata: Int64[np.ndarray, " n"] | None  # of the starts, where it is known where things are
    speed: Speed | None  # planned; none in the simulator
    weights: str | None = None  # hash of the checkpoint that holds the policy as it is now


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Alternate imagining and updating; every checkpoint is a loadable policy."""
    if config.learners > 1 and (config.workers > 1 or config.ray):
        raise ValueError("learners imagine their own rows: choose workers or learners, not both")
    return together(_run, config, run, config.learners)


def _run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    if not needs_simulator(config):
        return optimise(config, run, None)
    with closing(make_env(get_task(config.task))) as env:
        return optimise(config, run, env)


def optimise(config: JobConfig, run: Run, env: Env | None) -> dict[str, Any] | None:
    """`run`, in an environment of the task where one is needed."""
    run.phase("loading the models")
    if config.workers > 1 and not config.ray:
        forking(take_seat)  # it gets ready while the models are loaded here
    with ExitStack() as stack:
        return _optimise(_build(config, env, run, stack), run)


def _optimise(job: _Job, run: Run) -> dict[str, Any] | None:
    config, policy = job.config, job.policy
    optimizer = torch.optim.AdamW(
        [p for p in policy.parameters() if p.requires_grad],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    latest = run.latest_checkpoint()
    if config.gates and latest is None:
        say_gates(config.gates, job.hashes, run)
    origin = latest or (Path(config.restart_from) if config.restart_from else None)
    begin, metrics = 0, {}
    if origin is not None:
        _check_base(config, job.hashes["policy"], origin)
        progress = checkpoint.read_state(origin, policy, optimizer)
        begin = int(progress["step"])
        metrics = checkpoint.read_json(origin / "card.json")["metrics"]
        if isinstance(job.groups, RealGroups):
            job.groups.spent = int(progress["real_episodes"])
    job.weights = job.hashes["policy"] if origin is None else checkpoint_hash(origin)

    def save(iteration: int) -> None:
        with run.checkpoint(iteration) as directory:
            progress = {"step": iteration}
            if isinstance(job.groups, RealGroups):
                progress["real_episodes"] = job.groups.spent
            checkpoint.write_state(directory, policy, optimizer, progress=progress)
            parents = _parents(config) | {"restarted_from": config.restart_from}
            document = card(config, metrics, parents=parents, start_ids=job.learnt_from)
            write_policy(directory, policy, document)
        if iteration and (kept := run.latest_checkpoint()) is not None:
            job.weights = checkpoint_hash(kept)

    if job.speed is not None:
        rows, horizon = config.groups * config.group_size, config.horizon or job.task.horizon
        run.phase(job.speed.sentence(rows, horizon))
    run.phase("imagining and learning")
    run.progress(begin, config.iterations)
    if latest is None:
        save(begin)
    _probe(job, run, begin)  # of a resumed run, too: it may have been killed before this
    for iteration in range(begin, config.iterations):
        if _is_spent(job.groups):
            break
        if agreed(run.stop_requested or run.pause_requested):
            save(iteration)
            return None
        checked = _check(job, run, iteration) if _due(iteration, config.real_every) else {}
        metrics = checked | _iterate(job, optimizer, run, iteration)
        metrics |= exploitability(metrics)
        if iteration + 1 == config.iterations and config.real_every:
            after = _check(job, run, config.iterations)
            metrics["real/final_success_rate"] = after.get("real/success_rate", 0.0)
        metrics["real/episodes"] = float(_real_episodes(job, iteration + 1))
        run.log(iteration + 1, metrics)
        run.progress(iteration + 1, config.iterations)
        last = iteration + 1 == config.iterations or _is_spent(job.groups)
        if _due(iteration + 1, config.checkpoint_every) or last:
            save(iteration + 1)
            _probe(job, run, iteration + 1)
    return dict(metrics)


def _check_base(config: JobConfig, base: str, origin: Path) -> None:
    """Adapters are kept without the weights beside which they were trained."""
    if config.economy.lora_rank:
        known = checkpoint.read_json(origin / "card.json")["lineage"].get("policy")
        if known != base:
            raise ValueError(f"{origin.name} holds adapters of another policy than {config.policy}")


def _is_spent(groups: Groups) -> bool:
    return isinstance(groups, RealGroups) and groups.spent >= groups.budget


def _real_episodes(job: _Job, iterations: int) -> int:
    """Real episodes played so far, to learn from and to look how it goes."""
    checked = checked_episodes(job.config, iterations)
    return checked + (job.groups.spent if isinstance(job.groups, RealGroups) else 0)


def _check(job: _Job, run: Run, iterations: int) -> dict[str, float]:
    ready_to_act(job.policy)
    if not leads():
        return {}
    assert job.env is not None
    config = job.config
    success = real_success(
        job.policy,
        job.env,
        run,
        episodes=config.real_episodes,
        temperature=0.0 if config.real_greedy else config.temperature,
        seed=config.seed,
        name=f"iteration {iterations}",
    )
    return {"real/success_rate": success}


def _probe(job: _Job, run: Run, iterations: int) -> None:
    ready_to_act(job.policy)
    if isinstance(job.groups, ImaginedGroups) and leads():
        hashes = job.hashes | {"policy": job.weights}
        for episode in job.groups.probes(iterations, job.config.probe_starts, hashes):
            run.record(episode)


def _due(iteration: int, every: int) -> bool:
    return every > 0 and iteration % every == 0


def _parents(config: JobConfig) -> dict[str, str]:
    """Role and directory of every checkpoint that is needed."""
    parents = {"policy": config.policy}
    if config.environment == "imagination":
        parents |= {"world_model": config.world_model, "reward_model": config.reward_model}
    return parents


def _build(config: JobConfig, env: Env | None, run: Run, stack: ExitStack) -> _Job:
    for role, path in _parents(config).items():
        if not path:
            raise ValueError(f"optimise needs {role}=CHECKPOINT_DIRECTORY")
    task = get_task(config.task)
    placement = run.placement
    most_rows, speed = None, None
    if config.environment == "imagination":
        sizes = sizes_together({role: Path(path) for role, path in _parents(config).items()})
        most_rows = most_rows_together(config, sizes, task.horizon, placement)
        if not is_served(Path(config.world_model)):
            speed = speed_together(config, sizes, placement)
    policy = load_acting(config, placement)
    beginnings = find_beginnings(config, task, env)
    groups = make_groups(config, policy, env, beginnings, placement=placement, most_rows=most_rows)
    groups.give_way = run.give_way
    if ranks() > 1:
        groups.play = among_learners(groups.play, policy)
    if config.workers > 1 or config.ray:
        workers = Workers(config, policy, beginnings, run, most_rows=most_rows)
        stack.enter_context(closing(workers))
        groups.play = workers.play
    return _Job(
        config=config,
        task=task,
        policy=policy,
        update=_update(config, task, policy, run),
        groups=groups,
        hashes={role: checkpoint_hash(Path(path)) for role, path in _parents(config).items()},
        learnt_from=beginnings.start_ids,
        env=env,
        base=copy_weights(policy) if config.real_every else {},
        strata=_strata(config, beginnings.states),
        speed=speed,
    )


def _update(config: JobConfig, task: Task, policy: OpenVLAPolicy, run: Run) -> PolicyUpdate:
    return PolicyUpdate(
        policy=policy,
        instruction=task.instruction,
        temperature=config.temperature,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        gradient_clip=config.gradient_clip,
        learning_rate=config.learning_rate,
        warmup_updates=config.warmup_updates,
        kl_limit=config.kl_limit,
        mini_batches=config.mini_batches,
        slice_rows=config.slice_rows,
        seed=config.seed,
        give_way=run.give_way,
    )


def _strata(
    config: JobConfig, states: npt.NDArray[np.float32] | None
) -> Int64[np.ndarray, " n"] | None:
    if states is None or not config.balance_starts:
        return None
    return strata(states, min(config.groups, len(states)))


def _iterate(
    job: _Job, optimizer: torch.optim.Optimizer, run: Run, iteration: int
) -> dict[str, float]:
    clock = monotonic()
    attempts, rewarded = sample_groups(job.config, job.groups, iteration, job.strata)
    seconds = monotonic() - clock
    config = job.config
    starts = [attempt.start_id for attempt in attempts]
    fates = grpo.group_fates(rewarded, starts, low=config.keep_low, high=config.keep_high)
    returns = grpo.success_returns(rewarded)
    advantages = grpo.group_advantages(returns, starts)
    kept = [i for i, start in enumerate(starts) if fates[start] == "kept"]
    kept = kept[: config.groups * config.group_size]
    verb = job.groups.verb
    actions = sum(len(a.policy_frames) for a in attempts) * job.policy.chunk_size
    metrics = {
        "rollout/success_rate": float(np.mean([a.outcome.success for a in attempts])),
        "rollout/reward": returns.mean().item(),
        "rollout/end_step": float(np.mean([a.outcome.end_step for a in attempts])),
        "rollout/entropy": float(np.mean([a.entropy.mean().item() for a in attempts])),
        "grpo/kept_groups": float(sum(fate == "kept" for fate in fates.values())),
        "grpo/all_fail_groups": float(sum(f == "too_few_successes" for f in fates.values())),
        "grpo/all_success_groups": float(sum(f == "too_many_successes" for f in fates.values())),
        f"time/{verb}_seconds": seconds,
        "rollout/frames": float(actions),
        "rollout/frames_per_second": actions / seconds,
        **job.groups.measures(attempts),
    }
    metrics |= _planned(job)
    if config.real_every:
        metrics["policy/kl_from_base"] = kl_from(job.base, job.update, attempts)
        metrics |= dreamt_interval(attempts)
    done = Iteration(
        number=iteration,
        attempts=attempts,
        returns=returns,
        advantages=advantages,
        fates=fates,
        kept=kept,
        weights=job.weights,
    )
    if kept:
        clock = monotonic()
        job.weights = None
        batch = [attempts[i] for i in kept]
        ready_to_learn(job.policy)
        metrics |= job.update.apply(optimizer, batch, advantages[kept], iteration)
        ready_to_act(job.policy)
        metrics["time/update_seconds"] = monotonic() - clock
    metrics["time/iteration_seconds"] = seconds + metrics.get("time/update_seconds", 0.0)
    if why := nothing_learnt(rewarded.tolist(), starts, kept):
        run.alarm(f"iteration {iteration + 1}: {why}")
    if leads():
        record(done, job.groups, job.update, run, hashes=job.hashes, most=config.record_groups)
    return metrics


def _planned(job: _Job) -> dict[str, float]:
    """What the planner said of an iteration, to be shown beside what came."""
    if job.speed is None:
        return {}
    config = job.config
    rows, horizon = config.groups * config.group_size, config.horizon or job.task.horizon
    return {
        "time/planned_frames_per_second": job.speed.frames_per_second,
        "time/planned_iteration_seconds": job.speed.iteration_seconds(rows, horizon),
    }


def sample_groups(
    config: JobConfig,
    groups: Groups,
    iteration: int,
    numbers: Int64[np.ndarray, " n"] | None = None,
) -> tuple[list[Attempt], Tensor]:
    """Sample `groups` starts at a time until enough groups are informative (paper §3.4).

    Args:
        numbers: strata of the starts; one start of each is sampled before the second of any.

    Returns:
        (attempts, which of them are rewarded [b]).
    """
    chance = numpy_generator(config.seed, "starts", iteration)
    order = chance.permutation(len(groups)) if numbers is None else balanced_order(numbers, chance)
    attempts: list[Attempt] = []
    rewarded = torch.zeros(0, dtype=torch.bool)
    for first in range(0, min(config.max_groups, len(order)), config.groups):
        if _is_spent(groups):
            break
        batch = groups.sample(iteration, order[first : first + config.groups].tolist())
        success = torch.tensor([attempt.outcome.success for attempt in batch])
        if config.shuffle_rewards:
            random = numpy_generator(config.seed, "shuffled rewards", iteration, first)
            success = success[torch.from_numpy(random.permutation(len(success)))]
        attempts += batch
        rewarded = torch.cat([rewarded, success])
        starts = [attempt.start_id for attempt in attempts]
        fates = grpo.group_fates(rewarded, starts, low=config.keep_low, high=config.keep_high)
        if sum(fate == "kept" for fate in fates.values()) >= config.groups:
            break
    return attempts, rewarded
