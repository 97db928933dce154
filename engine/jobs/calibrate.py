"""Calibrate a judge of states on dreams of real episodes: how near must the object come?

On real frames the task's own radius is right. In dreams the object lags behind, so that the same
radius misses successes; the radii of dream and chains are those that agree best with reality.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config import Config, knob
from engine.data.episode_set import load_episodes
from engine.dream.open_loop import Dreamt, dream_episodes
from engine.jobs.train_states.job import write_state_reward
from engine.learning.card import card
from engine.loading.models import load_dreaming, load_normalization, load_state_reward
from engine.protocols import Run
from engine.statistics.intervals import Confusion

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What is calibrated, and on what."""

    reward_model: str = knob("", "Judge of states, from train_states")
    world_model: str = knob("", "World model whose dreams it is to judge")
    episodes_from: tuple[str, ...] = knob(
        (), "Real episodes of the policy; not those that gates are measured on"
    )
    episodes: int = knob(200, "Most episodes taken", low=2)
    chains: int = knob(2, "Chains of the state model that must agree", low=0)
    nearest: float = knob(0.03, "Least radius tried, metres", low=0.0)
    farthest: float = knob(0.16, "Largest radius tried, metres", low=0.0)
    step: float = knob(0.0025, "Between two radii tried, metres", low=1e-4)
    slack: float = knob(
        0.0,
        "Of radii that agree with reality within this of the best, those that flatter least",
        low=0.0,
        high=0.5,
    )
    denoising_steps: int = knob(2, "Sampler evaluations per chunk", low=1)
    seed: int = knob(0, "Root of randomness", low=0)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Dream the episodes, choose the radii and leave the judge with them."""
    if not (config.reward_model and config.world_model):
        raise ValueError("calibrate needs reward_model=DIRECTORY and world_model=DIRECTORY")
    judge = load_state_reward(Path(config.reward_model), run.placement)
    model = load_dreaming(Path(config.world_model), run.placement)
    statistics = load_normalization(Path(config.world_model))
    episodes = [e for e in load_episodes(config.episodes_from) if not e.imagined]
    episodes = episodes[: config.episodes]
    dreamt = dream_episodes(
        model,
        judge,
        episodes,
        statistics,
        seed=config.seed,
        denoising_steps=config.denoising_steps,
    )
    radii = np.arange(config.nearest, config.farthest + config.step / 2, config.step)
    found = choose_radii(dreamt, radii, config.chains, config.slack)
    judge.config = judge.config.replace(
        radius=found.radius, chain_radius=found.chain_radius, chains=config.chains
    )
    metrics = {
        "calibrate/radius_cm": 100 * found.radius,
        "calibrate/chain_radius_cm": 100 * found.chain_radius,
        "calibrate/balanced_accuracy": found.counts.balanced_accuracy,
        "calibrate/false_successes": found.counts.false_positives / found.counts.negatives,
        "calibrate/missed": found.counts.false_negatives / found.counts.positives,
        "calibrate/episodes": len(episodes),
    }
    run.log(1, metrics)
    document = card(
        config,
        metrics,
        episodes=episodes,
        parents={"reward_model": config.reward_model, "world_model": config.world_model},
    )
    with run.checkpoint(1) as directory:
        write_state_reward(directory, judge, statistics, document)
    return metrics


@dataclass(frozen=True)
class Radii:
    """Radii of dream and chains, and how they judge the episodes they were chosen on."""

    radius: float
    chain_radius: float
    counts: Confusion


def choose_radii(dreamt: Dreamt, radii: Floats, chains: int, slack: float = 0.0) -> Radii:
    """Of the pairs whose balanced accuracy is within `slack` of the best, the least flattering.

    That is the one with the fewest false successes, and of those the one that agrees best.

    Raises:
        ValueError: no success or no failure to choose by.
    """
    real = np.array(dreamt.successes)
    shown, chained = dreamt.distances()
    near = _within(shown.numpy()[None], radii)
    agreed = np.ones_like(near)
    if chains:
        farthest = np.max([d.numpy() for d in chained[-chains:]], axis=0)
        agreed = _within(farthest[None], radii)
    tried = [
        Radii(float(radius), float(chain), Confusion.count(near[i] & agreed[j], real))
        for i, radius in enumerate(radii)
        for j, chain in enumerate(radii if chains else radii[:1])
    ]
    enough = max(pair.counts.balanced_accuracy for pair in tried) - slack
    return min((pair for pair in tried if pair.counts.balanced_accuracy >= enough), key=_flattery)


def _within(distances: Floats, radii: Floats) -> Bools:
    found: Bools = distances <= radii[:, None]
    return found


def _flattery(tried: Radii) -> tuple[int, float]:
    return tried.counts.false_positives, -tried.counts.balanced_accuracy
