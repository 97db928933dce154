"""Gates before optimisation: does the dream tell success from failure where the policy goes?

Dream-level, and by position: decibels do not predict what a policy will exploit. Real episodes of
the policy, and of one moved by some updates, are dreamt from their first frame under their own
actions and judged; siblings are dreamt on from the frame where they part; the policy's own dreams
are played again in the simulator.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.config import Config, knob
from engine.data.episode_set import load_episodes
from engine.data.states import GOAL, OBJECT
from engine.dream.open_loop import Dreamt, dream_episodes
from engine.envs.factory import make_env
from engine.jobs.gates.came_true import play_again
from engine.jobs.gates.report import (
    DOCUMENT,
    LEAST_EPISODES,
    LEAST_FAILURES,
    auc,
    auc_interval,
    report,
    share,
    verdict_measures,
)
from engine.jobs.gates.siblings import rank_siblings
from engine.loading.models import (
    check_same_actions,
    load_dreaming,
    load_normalization,
    load_state_reward,
)
from engine.protocols import Run, WorldModel
from engine.records.manifest import checkpoint_hash
from engine.records.tasks import get_task, pool_starts
from engine.records.types import Normalization, Trajectory
from engine.reward.states import StateReward
from engine.statistics.leaks import learnt_from, overlap
from engine.world_model.model import LatentWorldModel

Measures = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What is measured, and on what."""

    task: str = knob("coffee-push", "Task record")
    world_model: str = knob("", "World model checkpoint")
    reward_model: str = knob("", "Judge of states, calibrated for that world model")
    held_out: tuple[str, ...] = knob((), "Real episodes of the policy, never learnt from")
    moved: tuple[str, ...] = knob((), "Real episodes of the policy after some updates")
    siblings: tuple[str, ...] = knob(
        (), "Play whose episodes of a start part at a frame; none in a served world model"
    )
    sibling_chunks: int = knob(2, "Chunks that siblings are dreamt on for", low=1)
    policy: str = knob("", "Policy whose own dreams are played again; none leaves that out")
    first_start: int = knob(5000, "Offset of the dreams' starts in the calibration pool", low=0)
    starts: int = knob(128, "Starts that the policy dreams from", low=1)
    temperature: float = knob(1.0, "Of the policy's sampling", low=0.0)
    denoising_steps: int = knob(2, "Sampler evaluations per chunk", low=1)
    episodes: int = knob(400, "Most episodes of each set", low=2)
    seed: int = knob(0, "Root of randomness", low=0)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Measure, leave the report as the document `gates`, and return its main numbers."""
    if not (config.world_model and config.reward_model and config.held_out):
        raise ValueError("gates needs world_model, reward_model and held_out")
    if config.policy:
        check_same_actions(Path(config.policy), Path(config.world_model))
    model = load_dreaming(Path(config.world_model), run.placement)
    if config.siblings and not isinstance(model, LatentWorldModel):
        raise ValueError(
            "a served world model begins dreams at single frames, and siblings part later: leave "
            "siblings empty"
        )
    judge = load_state_reward(Path(config.reward_model), run.placement)
    statistics = load_normalization(Path(config.world_model))
    sets = {"held out": config.held_out, "moved": config.moved}
    measured: dict[str, Measures] = {}
    for on, names in sets.items():
        if names:
            episodes = _held_out(config, names)
            measured[on] = measure(model, judge, episodes, statistics, config)
            run.give_way()
    if config.siblings:
        assert isinstance(model, LatentWorldModel)
        groups = load_episodes(config.siblings)
        measured["siblings"] = {
            "siblings": rank_siblings(
                model,
                judge,
                groups,
                statistics,
                chunks=config.sibling_chunks,
                denoising_steps=config.denoising_steps,
                seed=config.seed,
            )
        }
    if config.policy:
        with closing(make_env(get_task(config.task))) as env:
            measured["own dreams"] = play_again(
                model,
                judge,
                run,
                env,
                policy_directory=Path(config.policy),
                start_ids=pool_starts("calibration", config.first_start, config.starts),
                temperature=config.temperature,
                denoising_steps=config.denoising_steps,
                seed=config.seed,
            )
    hashes = {
        role: checkpoint_hash(Path(getattr(config, role)))
        for role in ("world_model", "reward_model")
    }
    document = report(measured, hashes)
    run.write_document(DOCUMENT, document)
    numbers = {f"gates/{g['on']}/{g['name']}": g["value"] for g in document["gates"]}
    known = {name: value for name, value in numbers.items() if value is not None}
    run.log(1, known)
    return known | {"gates/passed": document["passed"]}


def measure(
    model: WorldModel,
    judge: StateReward,
    episodes: Sequence[Trajectory],
    statistics: Normalization,
    config: JobConfig,
) -> Measures:
    """All that open-loop dreams of real episodes tell."""
    dreamt = dream_episodes(
        model,
        judge,
        episodes,
        statistics,
        seed=config.seed,
        denoising_steps=config.denoising_steps,
    )
    real = np.array(dreamt.successes)
    judged = verdicts(judge, dreamt)
    shown, chained = dreamt.distances()
    found = verdict_measures(judged, real)
    found["auc"] = _auc(-shown.numpy(), real)
    for number, distance in enumerate(chained):
        found[f"auc of chain {number}"] = _auc(-distance.numpy(), real)
    rows, last = torch.arange(len(episodes)), torch.tensor(dreamt.lengths)
    missed = dreamt.states[rows, last, OBJECT] - dreamt.true[rows, last, OBJECT]
    apart = 100 * missed.norm(dim=1).numpy()
    found["object_error_cm"] = {
        "value": float(np.median(apart)),
        "of": len(apart),
        "low": float(np.quantile(apart, 0.25)),
        "high": float(np.quantile(apart, 0.75)),
    }
    found["enough"] = {
        "value": float(len(real) >= LEAST_EPISODES and (~real).sum() >= LEAST_FAILURES),
        "of": len(real),
        "count": int((~real).sum()),
    }
    return found | by_position(judged, real, dreamt)


def verdicts(judge: StateReward, dreamt: Dreamt) -> np.ndarray:
    """Whether each dream is judged a success, up to its episode's real length."""
    shown, chained = dreamt.distances()
    near = shown <= judge.config.radius
    for distance in chained[len(chained) - judge.config.chains :]:
        near &= distance <= judge.config.chain_radius
    said: np.ndarray = near.numpy()
    return said


def by_position(judged: np.ndarray, real: np.ndarray, dreamt: Dreamt) -> Measures:
    """False successes and missed by thirds of where the goal is, along its longest axis."""
    goal = dreamt.true[:, 0, GOAL].numpy()
    place = goal[:, int(np.argmax(goal.std(axis=0)))]
    borders = np.quantile(place, [1 / 3, 2 / 3])
    third = np.digitize(place, borders)
    found: Measures = {}
    for number, name in enumerate(("low", "middle", "high")):
        own = third == number
        found[f"false successes, goal {name}"] = share(
            int((judged & ~real & own).sum()), int((~real & own).sum())
        )
        found[f"missed, goal {name}"] = share(
            int((~judged & real & own).sum()), int((real & own).sum())
        )
    return found


def _auc(scores: np.ndarray, real: np.ndarray) -> dict[str, Any]:
    value = auc(scores, real)
    low, high = auc_interval(value, int(real.sum()), int((~real).sum()))
    return {"value": value, "of": len(real), "low": low, "high": high}


def _held_out(config: JobConfig, names: Sequence[str]) -> list[Trajectory]:
    """Real episodes of the runs.

    Raises:
        ValueError: none, or some whose starts a checkpoint has learnt from.
    """
    episodes = [e for e in load_episodes(names) if not e.imagined][: config.episodes]
    if not episodes:
        raise ValueError("gates needs real episodes")
    for role in ("world_model", "reward_model"):
        known = learnt_from(Path(getattr(config, role)))
        shared = sum(overlap(known, range(e.start_id, e.start_id + 1)) for e in episodes)
        if shared:
            raise ValueError(
                f"the {role.replace('_', ' ')} learnt from the starts of {shared} of the "
                f"{len(episodes)} episodes: gates need held-out ones"
            )
    return episodes
