"""Imagined rollouts: dream from many starts at once and judge what happened (paper §3.4)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from einops import repeat
from jaxtyping import UInt8
from torch import Tensor

from engine.dream.imagination import Imagination, Rollout, Row, check_together
from engine.protocols import Policy, RewardModel, WorldModel
from engine.records.tasks import Task
from engine.records.types import JudgeRules, Normalization, Trajectory
from engine.reward.judge import GrowingJudge

__all__ = [
    "Imagination",
    "Rollout",
    "Row",
    "check_together",
    "group_starts",
    "imagine",
    "to_trajectory",
]


def imagine(
    world_model: WorldModel,
    policy: Policy,
    reward_model: RewardModel,
    starts: UInt8[Tensor, "b h w 3"],
    instructions: Sequence[str],
    *,
    rows: Sequence[Row],
    horizon: int,
    seed: int,
    temperature: float,
    denoising_steps: int,
    rules: JudgeRules,
    threshold: float | None = None,
    leave_early: bool = True,
    on_chunk: Callable[[Imagination], None] | None = None,
) -> list[Rollout]:
    """Let the policy act for `horizon` steps from every start, and judge what happened.

    Args:
        threshold: probability that counts as success; the reward model's own if not given.
        leave_early: rows leave the batch at the end of the chunk in which they succeed.
        on_chunk: called after every chunk, for progress and for giving way to others.

    Returns:
        One rollout a row, in the order of the rows.

    Raises:
        ValueError: models, frames, rules or settings that do not fit each other.
    """
    if horizon < 1 or horizon % world_model.chunk_size:
        raise ValueError(
            f"horizon {horizon} is not a multiple of the chunk size {world_model.chunk_size}"
        )
    threshold = reward_model.success_threshold if threshold is None else threshold
    judge = GrowingJudge(reward_model, rules, threshold, horizon)
    dream = Imagination(
        world_model,
        policy,
        starts,
        instructions,
        rows=rows,
        seed=seed,
        temperature=temperature,
        denoising_steps=denoising_steps,
        keep_every_frame=True,  # the judge looks at all of them
    )
    finished: dict[Row, Rollout] = {}
    while dream.rows:
        dream.step()
        judge.look(dream.rows, dream.num_frames, dream.frames)
        at_horizon = dream.num_frames > horizon
        verdicts = [judge.verdict(row) for row in dream.rows]
        leaving = [
            position
            for position, (_, _, judged) in enumerate(verdicts)
            if at_horizon or (leave_early and judged.success)
        ]
        for position in leaving:
            finished[dream.rows[position]] = dream.rollout(position, *verdicts[position])
        dream.drop(leaving)
        if on_chunk is not None:
            on_chunk(dream)
    return [finished[row] for row in rows]


def group_starts(
    frames: UInt8[Tensor, "n h w 3"], start_ids: Sequence[int], group_size: int
) -> tuple[UInt8[Tensor, "b h w 3"], list[Row]]:
    """(first frame of each row, rows) of n groups: member 0 … g - 1 of every start."""
    rows = [(start_id, member) for start_id in start_ids for member in range(group_size)]
    return repeat(frames, "n h w c -> (n g) h w c", g=group_size), rows


def to_trajectory(
    rollout: Rollout,
    task: Task,
    instruction: str,
    normalization: Normalization,
    *,
    id: str,
    lineage: Mapping[str, Any],
    replay: Mapping[str, Any],
) -> Trajectory:
    """The rollout as an imagined trajectory: raw actions, clipped to the task's box."""
    normalized = rollout.normalized_actions.numpy().astype(np.float32)
    raw = normalization.denormalize(normalized).clip(task.action_low, task.action_high)
    arrays = {
        "tokens": rollout.tokens.numpy(),
        "normalized_actions": normalized,
        "log_probs": rollout.log_probs.numpy(),
        "entropy": rollout.entropy.mean(dim=1).numpy(),
        "latents": rollout.latents.numpy(),
        "window_ends": rollout.window_ends.numpy(),
        "window_probabilities": rollout.window_probabilities.numpy(),
    }
    if rollout.overridden.any():
        arrays["overridden"] = rollout.overridden.numpy()
    return Trajectory(
        id=id,
        task=task.name,
        start_id=rollout.start_id,
        instruction=instruction,
        imagined=True,
        outcome=rollout.outcome,
        frames=rollout.frames.numpy(),
        actions=raw.astype(np.float32),
        arrays=arrays,
        lineage=dict(lineage),
        replay=dict(replay),
    )
