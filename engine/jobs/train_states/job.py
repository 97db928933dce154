"""Train a state model on simulator states and leave it as a reward model that judges by states.

The states are privileged: needed here and in measuring, never in a dream. World models are trained
with it by `train_world_model state_model=…`; its radius is chosen by `calibrate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.data.episode_set import episode_set, load_episodes, set_aside
from engine.data.states import FIXED, GOAL, HAND, MOVING, OBJECT, PRIVILEGED, states_of
from engine.data.statistics import action_statistics
from engine.jobs.train_states.learning import (
    Observed,
    StateLearning,
    learn_forecast,
    learn_readout,
    read_all,
    standardise,
)
from engine.learning.card import card
from engine.loading.models import load_autoencoder, load_normalization
from engine.protocols import Run
from engine.records.tasks import get_task
from engine.records.types import Normalization, Trajectory
from engine.reward.states import StateReward, StateRewardConfig
from engine.seeding import initialisation
from engine.world_model.latents import encode_videos
from engine.world_model.states import StateConfig, StateModel, StateSizes


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the state model learns from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes hold states")
    normalization_from: tuple[str, ...] = knob(
        (), "Demonstrations whose action statistics normalise; none: those of episodes_from"
    )
    normalization_of: str = knob(
        "", "Policy that is to dream, whose own action statistics normalise instead"
    )
    autoencoder: str = knob("", "Autoencoder checkpoint whose latents are read")
    held_out: int = knob(20, "Episodes kept aside for the errors on the card", low=1)
    latents_cache: str = knob("", "Directory in which encoded frames are kept; none encodes anew")
    seed: int = knob(0, "Root of randomness", low=0)
    context_frames: int = knob(4, "Past frames that are given", low=1)
    chunk_size: int = knob(8, "Frames foreseen at once", low=1)
    model: StateConfig = knob(help="Sizes", factory=lambda: StateConfig(moving=MOVING, fixed=FIXED))
    learning: StateLearning = knob(help="Optimisation", factory=StateLearning)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Fit the read-out, then each forecast; minutes, so that a killed run begins again."""
    if not config.autoencoder:
        raise ValueError("train_states needs autoencoder=DIRECTORY")
    episodes = load_episodes(config.episodes_from)
    aside, learnt = set_aside(episodes, config.held_out, config.seed)
    judge, statistics = _model(config, episodes)
    judge.to(run.placement.where)
    model, data = judge.state_model, observe(judge, learnt, statistics, config.latents_cache)
    standardise(model, data)
    parts = 1 + config.model.members
    learn_readout(model, data, config.learning, config.seed)
    for member in range(config.model.members):
        run.progress(1 + member, parts)
        if run.stop_requested or run.pause_requested:
            return None
        run.give_way()
        learn_forecast(model, member, data, config.learning, config.seed)
    metrics = errors(model, observe(judge, aside, statistics, config.latents_cache))
    run.log(1, metrics)
    run.progress(parts, parts)
    document = card(config, metrics, episodes=episodes, parents={"autoencoder": config.autoencoder})
    with run.checkpoint(1) as directory:
        write_state_reward(directory, judge, statistics, document)
    return metrics


def observe(
    judge: StateReward, episodes: Sequence[Trajectory], statistics: Normalization, cache: str
) -> Observed:
    """Encoded episodes with their states."""
    laid = episode_set(episodes)
    mean, std = encode_videos(judge.autoencoder, [e.frames for e in episodes], cache)
    actions = np.concatenate([statistics.normalize(e.actions) for e in episodes])
    return Observed(
        mean,
        std,
        torch.from_numpy(states_of(episodes)),
        torch.from_numpy(actions).float(),
        laid.first_frame,
        laid.lengths,
    )


@torch.no_grad()
def errors(model: StateModel, data: Observed) -> dict[str, float]:
    """Median errors in centimetres: of reading, and of the first chain at the last frame."""
    read, where = read_all(model, data.mean), model.mean.device
    found = {
        f"states/read_{name}_cm": _centimetres(read[:, part] - data.states[:, part])
        for name, part in (("hand", HAND), ("object", OBJECT), ("goal", GOAL))
    }
    k, first, missed = model.sizes.chunk_size, 0, []
    for begin, length in zip(data.first_frame, data.lengths, strict=True):
        whole = int(length) // k * k
        acted = data.actions[first : first + whole][None].to(where)
        chained = model.chain(0, read[begin : begin + 1].to(where), acted)[0, -1, OBJECT]
        missed.append(chained.cpu() - data.states[begin + whole, OBJECT])
        first += int(length)
    return found | {"states/chain_object_cm": _centimetres(torch.stack(missed))}


def write_state_reward(
    directory: Path, judge: StateReward, statistics: Normalization, document: dict[str, Any]
) -> None:
    """Put a judge of states and the statistics of its actions into a directory being filled."""
    values = {"role": "reward_model", **judge.config.to_dict()}
    checkpoint.write_model(directory, judge, values, {**document, "privileged": PRIVILEGED})
    checkpoint.write_json(directory / "normalization.json", statistics.to_dict())


def _centimetres(missed: torch.Tensor) -> float:
    return 100.0 * missed.norm(dim=-1).median().item()


def _model(config: JobConfig, episodes: Sequence[Trajectory]) -> tuple[StateReward, Normalization]:
    autoencoder = load_autoencoder(Path(config.autoencoder))
    side = autoencoder.config.mean_frame_size[0]
    cells = side // autoencoder.config.downsampling
    action_dim = episodes[0].actions.shape[1]
    statistics = _statistics(config, episodes)
    sizes = StateSizes(
        latent_shape=(autoencoder.config.latent_channels, cells, cells),
        context_frames=config.context_frames,
        chunk_size=config.chunk_size,
        action_dim=action_dim,
    )
    with initialisation(config.seed, "state model"):
        judge = StateReward(
            StateRewardConfig(
                states=config.model,
                sizes=sizes,
                autoencoder=autoencoder.config,
                image_size=side,
                chains=min(2, config.model.members),
            )
        )
    judge.autoencoder.load_state_dict(autoencoder.state_dict())
    return judge.eval(), statistics


def _statistics(config: JobConfig, episodes: Sequence[Trajectory]) -> Normalization:
    if config.normalization_of:
        return load_normalization(Path(config.normalization_of))
    if config.normalization_from:
        episodes = load_episodes(config.normalization_from)
    passthrough = get_task(episodes[0].task).passthrough
    return action_statistics([e.actions for e in episodes], passthrough=passthrough)
