"""WMPO: improve a policy by GRPO on episodes imagined in the world model (method.md §4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from engine import checkpoint, grpo
from engine.config import Config, knob
from engine.data.starts import Starts, load_starts, render_starts
from engine.envs.episode import play_outcome
from engine.envs.factory import make_env
from engine.jobs.actors import PolicyActor
from engine.jobs.cards import card
from engine.loading import load_policy, load_reward_model, load_world_model
from engine.manifest import checkpoint_hash
from engine.policy.files import write_policy
from engine.policy.model import OpenVLAPolicy
from engine.protocols import Env, RewardModel, Run, WorldModel
from engine.replay import rollout_record
from engine.rollout import Rollout, check_together, group_starts, imagine, to_trajectory
from engine.seeding import numpy_generator
from engine.tasks import Task, get_task, pool_starts


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """GRPO in imagination. `paper()` has the published numbers, the defaults suit two cores."""

    task: str = knob("coffee-push", "Task record")
    policy: str = knob("", "Policy checkpoint to improve")
    world_model: str = knob("", "World model checkpoint")
    reward_model: str = knob("", "Reward model checkpoint")
    starts: str = knob("", "File of start frames; without one they are rendered")
    pool: str = knob("rl", "Pool the starts are taken from")
    num_starts: int = knob(128, "Different starts used", low=1)
    iterations: int = knob(20, "Imagine and update, this many times", low=1)
    groups: int = knob(8, "Informative groups per iteration", low=1)
    group_size: int = knob(8, "Rollouts imagined from the same first frame", low=2)
    max_groups: int = knob(16, "Groups imagined at most until enough are informative", low=1)
    keep_low: float = knob(0.1, "Groups below this success rate are dropped", low=0.0, high=1.0)
    keep_high: float = knob(0.9, "Groups above this success rate are dropped", low=0.0, high=1.0)
    horizon: int = knob(0, "Most actions of a rollout; 0 takes the task's", low=0)
    # paper: 30 denoising steps and temperature 1.6
    denoising_steps: int = knob(4, "Sampler evaluations per chunk", low=1)
    temperature: float = knob(1.0, "Of sampling and of log-probabilities", low=0.01)
    # paper: 5e-6 for 7.5 B parameters
    learning_rate: float = knob(5e-5, "Of AdamW, constant", low=0.0)
    weight_decay: float = knob(0.01, "Decoupled weight decay", low=0.0)
    clip_low: float = knob(0.2, "The ratio is kept above 1 - clip_low", low=0.0, high=1.0)
    clip_high: float = knob(0.28, "The ratio is kept below 1 + clip_high", low=0.0)
    gradient_clip: float = knob(1.0, "Largest gradient norm", low=0.0)
    mini_batches: int = knob(4, "Optimizer updates per iteration", low=1)
    slice_rows: int = knob(32, "Chunks that go through the policy at once", low=1)
    checkpoint_every: int = knob(1, "Iterations between two checkpoints", low=1)
    record_groups: int = knob(4, "Groups whose videos are stored per iteration", low=0)
    real_every: int = knob(0, "Iterations between two checks in the simulator; 0: never", low=0)
    real_episodes: int = knob(32, "Episodes of a diagnostic (calibration pool)", low=1)
    seed: int = knob(0, "Root of randomness", low=0)

    @classmethod
    def paper(cls) -> "JobConfig":
        """WMPO's published numbers (method.md §4.1)."""
        return cls(
            iterations=100,
            groups=64,
            max_groups=640,
            denoising_steps=30,
            temperature=1.6,
            learning_rate=5e-6,
        )


@dataclass
class _Job:
    """What stays the same over the iterations."""

    config: JobConfig
    task: Task
    policy: OpenVLAPolicy
    world_model: WorldModel
    reward_model: RewardModel
    starts: Starts
    hashes: dict[str, str]
    micro_batches: dict[str, Any]
    env: Env | None
    weights: str | None = None  # hash of the checkpoint that holds the policy as it is now

    @property
    def horizon(self) -> int:
        return self.config.horizon or self.task.horizon


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Alternate imagining and updating; every checkpoint is a loadable policy."""
    job = _build(config)
    try:
        return _optimise(job, run)
    finally:
        if job.env is not None:
            job.env.close()


def _optimise(job: _Job, run: Run) -> dict[str, Any] | None:
    config = job.config
    policy = job.policy
    optimizer = torch.optim.AdamW(
        policy.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    latest = run.latest_checkpoint()
    begin, metrics = 0, {}
    if latest is not None:
        begin = int(checkpoint.read_state(latest, policy, optimizer)["step"])
        metrics = checkpoint.read_json(latest / "card.json")["metrics"]
    job.weights = job.hashes["policy"] if latest is None else checkpoint_hash(latest)

    def save(iteration: int) -> None:
        with run.checkpoint(iteration) as directory:
            checkpoint.write_state(directory, policy, optimizer, progress={"step": iteration})
            document = card(config, metrics, parents=_parents(config))
            write_policy(directory, policy, document)
        if iteration and (kept := run.latest_checkpoint()) is not None:
            job.weights = checkpoint_hash(kept)

    if latest is None:
        save(0)
    for iteration in range(begin, config.iterations):
        if run.stop_requested or run.pause_requested:
            save(iteration)
            return None
        metrics = _iterate(job, optimizer, run, iteration)
        if _due(iteration + 1, config.real_every):
            metrics |= _diagnose(job, run, iteration)
        run.log(iteration + 1, metrics)
        run.progress(iteration + 1, config.iterations)
        if _due(iteration + 1, config.checkpoint_every) or iteration + 1 == config.iterations:
            save(iteration + 1)
    return dict(metrics)


def _due(iteration: int, every: int) -> bool:
    return every > 0 and iteration % every == 0


def _parents(config: JobConfig) -> dict[str, str]:
    return {
        "policy": config.policy,
        "world_model": config.world_model,
        "reward_model": config.reward_model,
    }


def _build(config: JobConfig) -> _Job:
    for role, path in _parents(config).items():
        if not path:
            raise ValueError(f"optimise needs {role}=CHECKPOINT_DIRECTORY")
    task = get_task(config.task)
    policy = load_policy(Path(config.policy))
    world_model = load_world_model(Path(config.world_model))
    reward_model = load_reward_model(Path(config.reward_model))
    check_together(policy, world_model, reward_model, task)
    env = make_env(task) if config.real_every or not config.starts else None
    if config.starts:
        starts = load_starts(Path(config.starts))
        if starts.task != task.name:
            raise ValueError(f"the starts are of {starts.task}, not of {task.name}")
    else:
        assert env is not None
        starts = render_starts(env, list(pool_starts(config.pool, 0, config.num_starts)))
    if not len(starts.start_ids):
        raise ValueError("there are no starts to imagine from")
    hashes = {role: checkpoint_hash(Path(path)) for role, path in _parents(config).items()}
    micro_batches = {
        "autoencoder": world_model.config.autoencoder.micro_batch,
        "reward_model": reward_model.config.micro_batch,
    }
    return _Job(config, task, policy, world_model, reward_model, starts, hashes, micro_batches, env)


def _iterate(
    job: _Job, optimizer: torch.optim.Optimizer, run: Run, iteration: int
) -> dict[str, float]:
    clock = monotonic()
    rollouts = _imagine_groups(job, run, iteration)
    imagine_seconds = monotonic() - clock
    success = torch.tensor([rollout.outcome.success for rollout in rollouts])
    groups = [rollout.start_id for rollout in rollouts]
    config = job.config
    fates = grpo.group_fates(success, groups, low=config.keep_low, high=config.keep_high)
    returns = grpo.success_returns(success)
    advantages = grpo.group_advantages(returns, groups)
    _record(job, run, iteration, rollouts, advantages, fates)
    kept = [i for i, group in enumerate(groups) if fates[group] == "kept"]
    kept = kept[: config.groups * config.group_size]
    frames = sum(len(rollout.normalized_actions) for rollout in rollouts)
    metrics = {
        "rollout/success_rate": success.float().mean().item(),
        "rollout/reward": returns.mean().item(),
        "rollout/end_step": float(np.mean([rollout.outcome.end_step for rollout in rollouts])),
        "rollout/entropy": float(np.mean([r.entropy.mean().item() for r in rollouts])),
        "grpo/kept_groups": float(sum(fate == "kept" for fate in fates.values())),
        "grpo/all_fail_groups": float(sum(f == "too_few_successes" for f in fates.values())),
        "grpo/all_success_groups": float(sum(f == "too_many_successes" for f in fates.values())),
        "time/imagine_seconds": imagine_seconds,
        "rollout/frames_per_second": frames / imagine_seconds,
    }
    if not kept:
        run.alarm(f"iteration {iteration}: every group was dropped, nothing was learnt")
        return metrics
    clock = monotonic()
    job.weights = None
    metrics |= _update(job, optimizer, [rollouts[i] for i in kept], advantages[kept], iteration)
    return metrics | {"time/update_seconds": monotonic() - clock}


def _imagine_groups(job: _Job, run: Run, iteration: int) -> list[Rollout]:
    """Imagine groups, `groups` starts at a time, until enough are informative (paper §3.4)."""
    config = job.config
    order = numpy_generator(config.seed, "starts", iteration).permutation(len(job.starts.start_ids))
    rollouts: list[Rollout] = []
    for first in range(0, min(config.max_groups, len(order)), config.groups):
        chosen = order[first : first + config.groups]
        rollouts += _imagine_batch(job, run, iteration, chosen.tolist())
        success = torch.tensor([rollout.outcome.success for rollout in rollouts])
        groups = [rollout.start_id for rollout in rollouts]
        fates = grpo.group_fates(success, groups, low=config.keep_low, high=config.keep_high)
        if sum(fate == "kept" for fate in fates.values()) >= config.groups:
            break
    return rollouts


def _imagine_batch(job: _Job, run: Run, iteration: int, chosen: Sequence[int]) -> list[Rollout]:
    config = job.config
    start_ids = [int(job.starts.start_ids[index]) for index in chosen]
    frames, rows = group_starts(
        torch.from_numpy(job.starts.frames[list(chosen)]), start_ids, config.group_size
    )
    return imagine(
        job.world_model,
        job.policy,
        job.reward_model,
        frames,
        [job.task.instruction] * len(rows),
        rows=rows,
        horizon=job.horizon,
        seed=_iteration_seed(config, iteration),
        temperature=config.temperature,
        denoising_steps=config.denoising_steps,
        rules=job.task.judge,
    )


def _iteration_seed(config: JobConfig, iteration: int) -> int:
    """A seed of its own for each iteration, so that the same start is dreamt anew."""
    return int(numpy_generator(config.seed, "iteration", iteration).integers(2**31))


def _record(
    job: _Job,
    run: Run,
    iteration: int,
    rollouts: Sequence[Rollout],
    advantages: Tensor,
    fates: dict[Any, str],
) -> None:
    """Store the videos of some groups: kept ones first, they are what is learnt from."""
    config = job.config
    groups = sorted(fates, key=lambda group: fates[group] != "kept")[: config.record_groups]
    for rollout, advantage in zip(rollouts, advantages.tolist(), strict=True):
        if rollout.start_id not in groups:
            continue
        episode = to_trajectory(
            rollout,
            job.task,
            job.task.instruction,
            job.policy.normalization,
            id=f"iteration-{iteration + 1:04d}-{rollout.start_id}-{rollout.member}",
            lineage={
                "iteration": iteration + 1,
                "group": rollout.start_id,
                "member": rollout.member,
                "reward": grpo.SUCCESS_REWARD * rollout.outcome.success,
                "advantage": advantage,
                "fate": fates[rollout.start_id],
                **job.hashes,
                "threshold": job.reward_model.success_threshold,
            },
            replay=_replay(job, rollout, iteration),
        )
        run.record(episode)


def _replay(job: _Job, rollout: Rollout, iteration: int) -> dict[str, Any]:
    return rollout_record(
        rollout,
        hashes=job.hashes | {"policy": job.weights},
        task=job.task,
        seed=_iteration_seed(job.config, iteration),
        temperature=job.config.temperature,
        denoising_steps=job.config.denoising_steps,
        horizon=job.horizon,
        threshold=job.reward_model.success_threshold,
        micro_batches=job.micro_batches,
    )


def _update(
    job: _Job,
    optimizer: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    advantages: Tensor,
    iteration: int,
) -> dict[str, float]:
    """`mini_batches` clipped updates over the kept trajectories (method.md §4.2)."""
    config, policy = job.config, job.policy
    order = numpy_generator(config.seed, "mini-batches", iteration).permutation(len(rollouts))
    parameters = [p for p in policy.parameters() if p.requires_grad]
    totals: list[dict[str, float]] = []
    for part in np.array_split(order, min(config.mini_batches, len(order))):
        batch = [rollouts[index] for index in part]
        rows = chunk_rows(batch, advantages[torch.from_numpy(part)], policy.action_dim)
        optimizer.zero_grad(set_to_none=True)
        metrics = grpo.accumulate_gradient(
            lambda index, rows=rows: policy.log_probs(  # type: ignore[misc]
                rows.images[index],
                [job.task.instruction] * len(index),
                rows.tokens[index],
                config.temperature,
            ),
            rows.old_log_probs,
            rows.advantages,
            rows.weights,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            slice_rows=config.slice_rows,
        )
        norm = nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
        optimizer.step()
        totals.append(metrics | {"grpo/gradient_norm": norm.item()})
    return {name: float(np.mean([t[name] for t in totals])) for name in totals[0]}


@dataclass(frozen=True)
class ChunkRows:
    """Chunks of a mini-batch of trajectories, one row each.

    Attributes:
        images: uint8 [rows, h, w, 3]: the frame the policy saw.
        tokens, old_log_probs, advantages, weights: [rows, l]; a weight is 0 beyond the end step.
    """

    images: Tensor
    tokens: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    weights: Tensor


def chunk_rows(rollouts: Sequence[Rollout], advantages: Tensor, action_dim: int) -> ChunkRows:
    """Lay the chunks of trajectories out as rows, with each token's share in the loss."""
    weights, spread = [], []
    for rollout, advantage in zip(rollouts, advantages, strict=True):
        chunks, length = rollout.tokens.shape
        end = torch.tensor([rollout.outcome.end_step])
        mask = grpo.token_mask(end, num_tokens=chunks * length, action_dim=action_dim)
        share = grpo.token_weights(mask) / len(rollouts)
        weights.append(rearrange(share, "1 (n l) -> n l", n=chunks))
        spread.append(torch.full((chunks, length), float(advantage)))
    return ChunkRows(
        images=torch.cat([rollout.policy_frames for rollout in rollouts]),
        tokens=torch.cat([rollout.tokens for rollout in rollouts]),
        old_log_probs=torch.cat([rollout.log_probs for rollout in rollouts]),
        advantages=torch.cat(spread),
        weights=torch.cat(weights).float(),
    )


def _diagnose(job: _Job, run: Run, iteration: int) -> dict[str, float]:
    """Greedy success in the simulator on calibration starts; entered in the ledger."""
    assert job.env is not None
    actor = PolicyActor(job.policy, job.task.instruction)
    outcomes = []
    for start_id in pool_starts("calibration", 0, job.config.real_episodes):
        success = play_outcome(job.env, actor, start_id=start_id, seed=job.config.seed).success
        outcomes.append(success)
        run.count_real(
            task=job.task.name,
            start_id=start_id,
            use="diagnostic",
            policy=f"iteration {iteration + 1}",
            success=success,
        )
    return {"real/success_rate": float(np.mean(outcomes))}
