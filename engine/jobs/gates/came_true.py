"""Do a policy's own dreams come true? Dreamt actions, played again in the simulator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.starts import render_starts
from engine.dream.imagine import group_starts, imagine
from engine.jobs.gates.report import share, verdict_measures
from engine.loading.models import load_policy
from engine.protocols import Env, Run, WorldModel
from engine.reward.states import StateReward


def play_again(
    model: WorldModel,
    judge: StateReward,
    run: Run,
    env: Env,
    *,
    policy_directory: Path,
    start_ids: Sequence[int],
    temperature: float,
    denoising_steps: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Dream one episode from each start, play its actions in the simulator, compare verdicts.

    A dream that succeeded ends with its chunk, and so do its actions.
    """
    policy, task = load_policy(policy_directory, run.placement), env.task
    starts = render_starts(env, list(start_ids))
    frames, rows = group_starts(torch.from_numpy(starts.frames), list(start_ids), 1)
    dreams = imagine(
        model,
        policy,
        judge,
        frames,
        [task.instruction] * len(rows),
        rows=rows,
        horizon=task.horizon,
        seed=seed,
        temperature=temperature,
        denoising_steps=denoising_steps,
        rules=task.judge,
        on_chunk=run.give_way,
    )
    real = []
    for dream in dreams:
        raw = policy.normalization.denormalize(dream.normalized_actions.numpy())
        real.append(_succeeds(env, dream.start_id, raw.astype(np.float32)))
        run.count_real(
            task=task.name,
            start_id=dream.start_id,
            use="gates",
            policy=None,
            success=real[-1],
        )
    said, true = np.array([d.outcome.success for d in dreams]), np.array(real)
    found = verdict_measures(said, true)
    # Successes of these short replays are not what a policy is missed by: only lies are gated.
    return {
        "came_true": share(int((said & true).sum()), int(said.sum())),
        "false successes among real failures": found["false_successes"],
        "missed among real successes": found["missed"],
        "dreamt success": share(int(said.sum()), len(said)),
        "real success of the dreamt actions": share(int(true.sum()), len(true)),
    }


def _succeeds(env: Env, start_id: int, actions: np.ndarray) -> bool:
    env.reset(start_id)
    return any(env.step(action) for action in actions)
