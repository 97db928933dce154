"""Train the world model on clips of stored episodes: pre-training and alignment (method.md §5).

Pre-train on play and demonstrations; then align to the policy by starting from that checkpoint
with the policy's own rollouts in `episodes_from` and the old data in `replay_from`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.crew.learners import learners_knob, together
from engine.data.episode_set import episode_set, load_episodes, set_aside
from engine.data.states import PRIVILEGED
from engine.data.statistics import action_statistics
from engine.device import Placement
from engine.jobs.train_world_model.clips import Batch, Clips, Rows, balanced, cut_clips, join
from engine.jobs.train_world_model.same_dream import record_same_dream
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import (
    load_autoencoder,
    load_normalization,
    load_state_reward,
    load_world_model,
)
from engine.protocols import Run
from engine.ranks import deal, leads
from engine.records.tasks import get_task
from engine.records.types import Normalization, Trajectory
from engine.runs.job import CHOSEN_BY_STUDIO, OF_FITS, ROLLOUTS, Job, Method
from engine.runs.tracker import logger_knob
from engine.seeding import initialisation, numpy_generator
from engine.world_model.flow import END, shift_timesteps, training_loss
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.states import StateConfig
from engine.world_model.transformer import TransformerConfig


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the world model learns from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes are learnt from")
    replay_from: tuple[str, ...] = knob((), "Earlier data that is mixed in")
    # paper: 0.7 rollouts, 0.3 earlier data when trained jointly
    replay_share: float = knob(0.3, "Share of clips from replay_from", low=0.0, high=1.0)
    normalization_from: tuple[str, ...] = knob(
        (),
        "Demonstrations whose action statistics normalise (those the policy is cloned from); none: "
        "those of world_model, or of episodes_from",
    )
    normalization_of: str = knob(
        "",
        "Policy that is to dream in it, whose own action statistics normalise; needed where it "
        "was cloned from the policy of another task",
    )
    autoencoder: str = knob("", "Autoencoder checkpoint; not needed with world_model")
    world_model: str = knob("", "World model checkpoint to start from (alignment)")
    held_out: int = knob(10, "Episodes kept aside for the validation loss", low=1)
    record_dreams: bool = knob(
        False, "Dream the actions of one held-out episode before and at every checkpoint, to see"
    )
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    batch_size: int = knob(32, "Clips in a step", low=1)
    learners: int = learners_knob()
    predict_changes: bool = knob(
        True, "Predict scaled changes from the last context latent instead of latents"
    )
    mix: str = knob(
        "natural",
        "Which clips a batch holds: natural, by replay_share alone; balanced (a variant), fixed "
        "shares of successes and failures of the policy, of play and of demonstrations",
        choices=("natural", "balanced"),
    )
    first_clips: int = knob(
        0, "Further copies of each episode's first clip, from which every dream begins", low=0
    )
    state_model: str = knob(
        "",
        "Variant: reward model of train_states whose state model goes into the world model; its "
        "labels are simulator states (privileged, in training only)",
    )
    carried_share: float = knob(
        0.0,
        "Share of clips whose states are foreseen from the episode's start, as a dream has them, "
        "instead of read from the clip's context",
        low=0.0,
        high=1.0,
    )
    deterministic: bool = knob(
        False, "Variant: learn the mean future in one step from no noise, instead of the flow"
    )
    latents_cache: str = knob(
        "", "Directory in which encoded frames are kept for other runs; none encodes anew"
    )
    anchored: bool = knob(
        False, "Variant: the first context frame is the episode's, in training and in dreams"
    )
    context_noise: bool = knob(
        True, "Noise the context as far as the transformer says; off is a variant (no noise)"
    )
    timestep_ratio: float = knob(
        0.0, "Times are moved towards noise by this ratio; 0 keeps the model's own", low=0.0
    )
    # paper: context noise 50/1000; the released code uses 15/1000
    transformer: TransformerConfig = knob(
        help="Sizes",
        factory=lambda: TransformerConfig(precondition=True, context_timestep=50.0),
    )
    fit: FitConfig = knob(
        help="Optimisation", factory=lambda: FitConfig(steps=3000, learning_rate=1e-3)
    )


JOB = Job(
    methods=(
        Method(
            name="Align the world model",
            about="continue its training on this policy's rollouts; WMPO then dreams in the result",
            values={"batch_size": 16, "replay_share": 0.35, "record_dreams": True},
            kind="step",
            sizes={
                "quick look": {"held_out": 2, "fit": {"steps": 20, "log_every": 2}},
                "demo": {"fit": {"steps": 4000, "average_decay": 0.998}},
                "long": {"fit": {"steps": 20_000, "average_decay": 0.998}},
            },
            needs=ROLLOUTS,
        ),
    ),
    place=5,
    shown=("world_model", "episodes_from", "replay_from", "replay_share"),
    hidden=(
        *(*CHOSEN_BY_STUDIO, *OF_FITS, "autoencoder", "transformer"),
        *("normalization_from", "normalization_of"),
        *("predict_changes", "timestep_ratio", "latents_cache", "carried_share", "first_clips"),
        *("record_dreams", "batch_size", "anchored", "context_noise", "mix"),
        *("state_model", "deterministic"),  # chosen before the first training
        "learners",
    ),
    needs=lambda config: () if config.autoencoder else ("world_model",),
    learns=True,
)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Train the transformer; the autoencoder stays as it is and is stored beside it."""
    return together(_run, config, run, config.learners)


def _run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    model = _model(config, run.placement)
    if config.anchored:
        model.config = model.config.replace(anchored=True)
    own = load_episodes(config.episodes_from)
    replay = load_episodes(config.replay_from) if config.replay_from else []
    statistics = _statistics(config)
    kept, taught = set_aside(own, config.held_out, config.seed)

    def cut(episodes: Sequence[Trajectory]) -> Clips:
        return cut_clips(
            model,
            episode_set(episodes),
            statistics,
            first_clips=config.first_clips,
            cache=config.latents_cache,
        )

    held_out = cut(kept)
    sources = [cut(taught)]
    if replay:
        sources.append(cut(replay))
    shares = balanced(sources) if config.mix == "balanced" else []
    if config.predict_changes and not config.world_model:
        scale = measure_changes(sources[0], model.context_frames)
        model.config = model.config.replace(change_scale=scale)
    if config.timestep_ratio:
        model.config = model.config.replace(timestep_ratio=config.timestep_ratio)
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "world model batch", step)
        batch = _mixed_batch(sources, shares, config, random)
        rows, counts = deal(torch.arange(config.batch_size))
        losses = _losses(model, batch, random, rows, noisy_context=config.context_noise)
        return (losses * counts.to(losses.device)).sum() / config.batch_size, {}

    def dream(step: int) -> None:
        if config.record_dreams and leads():
            record_same_dream(model, run, kept[0], statistics, seed=config.seed, step=step)

    def save(directory: Path) -> None:
        metrics["world_model/held_out_loss"] = validation_loss(model, held_out, config)
        run.log(run_step(directory), dict(metrics))
        dream(run_step(directory))
        document = card(
            config,
            metrics,
            episodes=own + replay,
            parents={
                "autoencoder": config.autoencoder,
                "world_model": config.world_model,
                "state_model": config.state_model,
            },
        )
        if model.state_model is not None:
            document["privileged"] = PRIVILEGED
        write_world_model(directory, model, statistics, document)

    if config.world_model and run.latest_checkpoint() is None:
        dream(0)
    if not fit(model.transformer, batch_loss, run, config.fit, prefix="world_model", save=save):
        return None
    return {"world_model/held_out_loss": validation_loss(model, held_out, config)}


def write_world_model(
    directory: Path,
    model: LatentWorldModel,
    normalization: Normalization,
    document: dict[str, Any],
    *,
    half: bool = False,
) -> None:
    """Put a world model and the statistics of its actions into a directory being filled."""
    values = {"role": "world_model", **model.config.to_dict()}
    checkpoint.write_model(directory, model, values, document, half=half)
    checkpoint.write_json(directory / "normalization.json", normalization.to_dict())


def run_step(directory: Path) -> int:
    """The training step of a checkpoint being filled, after its state was written."""
    return int(checkpoint.read_progress(directory)["step"])


def _model(config: JobConfig, placement: Placement) -> LatentWorldModel:
    if config.world_model:
        if config.state_model or config.deterministic:
            raise ValueError("state_model and deterministic are chosen before the first training")
        return load_world_model(Path(config.world_model), placement, trained=True)
    if not config.autoencoder:
        raise ValueError("train_world_model needs autoencoder=DIRECTORY or world_model=DIRECTORY")
    autoencoder = load_autoencoder(Path(config.autoencoder), trained=True)
    transformer = config.transformer.replace(in_channels=autoencoder.config.latent_channels)
    judge, states = None, StateConfig()
    if config.state_model:
        judge = load_state_reward(Path(config.state_model))
        states = judge.config.states
        transformer = transformer.replace(state_features=states.num_features, context_actions=True)
    with initialisation(config.seed, "world model"):
        model = LatentWorldModel(
            WorldModelConfig(
                transformer=transformer,
                autoencoder=autoencoder.config,
                image_size=autoencoder.config.mean_frame_size[0],
                deterministic=config.deterministic,
                states=states,
            )
        )
    model.autoencoder.load_state_dict(autoencoder.state_dict())
    if judge is not None and model.state_model is not None:
        model.state_model.load_state_dict(judge.state_model.state_dict())
    return model.to(placement.where).eval()


def _statistics(config: JobConfig) -> Normalization:
    """What actions are normalised with: a model that is trained further keeps what it knows."""
    if config.normalization_of:
        return load_normalization(Path(config.normalization_of))
    if config.world_model and not config.normalization_from:
        return load_normalization(Path(config.world_model))
    episodes = load_episodes(config.normalization_from or config.episodes_from)
    passthrough = get_task(episodes[0].task).passthrough
    return action_statistics([e.actions for e in episodes], passthrough=passthrough)


def _mixed_batch(
    sources: Sequence[Clips],
    shares: Sequence[tuple[int, Rows, float]],
    config: JobConfig,
    random: np.random.Generator,
) -> Batch:
    carried = config.carried_share
    if shares:
        counts = random.multinomial(config.batch_size, [share for _, _, share in shares])
        return join(
            [
                sources[number].batch(random.choice(rows, size), random, carried)
                for (number, rows, _), size in zip(shares, counts, strict=True)
                if size
            ]
        )
    from_replay = round(config.replay_share * config.batch_size) if len(sources) > 1 else 0
    sizes = [config.batch_size - from_replay, from_replay]
    parts = [
        clips.batch(random.integers(0, len(clips), size), random, carried)
        for clips, size in zip(sources, sizes, strict=False)
        if size
    ]
    return join(parts)


def _losses(
    model: LatentWorldModel,
    batch: Batch,
    random: np.random.Generator,
    rows: Tensor,
    *,
    noisy_context: bool,
) -> Tensor:
    """Of some rows of a batch, each with the noise it has in the whole batch."""
    latents, actions, memory = batch
    noise = torch.from_numpy(random.standard_normal(latents.shape, dtype=np.float32))
    normal = torch.from_numpy(random.standard_normal(len(latents), dtype=np.float32))
    timesteps = END * torch.sigmoid(normal)
    if model.config.timestep_ratio:
        timesteps = shift_timesteps(timesteps, model.config.timestep_ratio)
    targets = to_targets(latents, model.context_frames, model.config.change_scale)
    size, device = model.config.image_size, model.transformer.rope.freqs.device
    targets, actions, noise, timesteps, memory = (
        values[rows].to(device) for values in (targets, actions, noise, timesteps, memory)
    )
    return training_loss(
        model.transformer,
        targets,
        actions,
        noise,
        timesteps,
        size,
        size,
        noisy_context=noisy_context,
        deterministic=model.config.deterministic,
        conditions=model.conditions(memory, actions),
    )


def to_targets(latents: Tensor, context_frames: int, change_scale: float) -> Tensor:
    """Clips [b, z, t, y, x] with their future as the transformer is to predict it.

    # paper: predicts latents themselves; a small model trained for minutes does much better on
    # scaled changes from the last context latent, because what stands still needs no learning.
    """
    if not change_scale:
        return latents
    context, future = latents[:, :, :context_frames], latents[:, :, context_frames:]
    return torch.cat([context, (future - context[:, :, -1:]) / change_scale], dim=2)


@torch.no_grad()
def measure_changes(clips: Clips, context_frames: int) -> float:
    """Root mean square of the changes of latents over a chunk: what `change_scale` is set to."""
    rows = torch.from_numpy(clips.frame_rows[:: max(1, len(clips.frame_rows) // 512)])
    latents = clips.mean[rows]
    changes = latents[:, context_frames:] - latents[:, context_frames - 1 : context_frames]
    return changes.square().mean().sqrt().item()


@torch.no_grad()
def validation_loss(model: LatentWorldModel, clips: Clips, config: JobConfig) -> float:
    """Mean training loss over at most 128 held-out clips with fixed noise and times."""
    random = numpy_generator(config.seed, "validation")
    chosen = random.permutation(len(clips.frame_rows))[:128]
    losses = []
    for part in np.array_split(chosen, max(1, len(chosen) // 32)):
        batch = clips.batch(part, random, config.carried_share)
        rows = torch.arange(len(part))
        found = _losses(model, batch, random, rows, noisy_context=config.context_noise)
        losses.append(found.mean().item())
    return float(np.mean(losses))
