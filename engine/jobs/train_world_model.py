"""Train the world model on clips of stored episodes: pre-training and alignment (method.md §5).

Pre-train on play and demonstrations; then align to the policy by starting from that checkpoint
with the policy's own rollouts in `episodes_from` and the old data in `replay_from`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.data.episode_set import EpisodeSet, episode_set, load_episodes
from engine.data.statistics import action_statistics
from engine.data.windows import clip_actions, clip_frames, clip_starts
from engine.device import Placement
from engine.images import to_model
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import load_autoencoder, load_normalization, load_world_model
from engine.protocols import Run
from engine.records.types import Normalization
from engine.runs.job import CHOSEN_BY_STUDIO, OF_FITS, ROLLOUTS, Job, Method
from engine.runs.tracker import logger_knob
from engine.seeding import initialisation, numpy_generator
from engine.world_model.autoencoder import Autoencoder
from engine.world_model.flow import END, shift_timesteps, training_loss
from engine.world_model.model import LatentWorldModel, WorldModelConfig
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
    autoencoder: str = knob("", "Autoencoder checkpoint; not needed with world_model")
    world_model: str = knob("", "World model checkpoint to start from (alignment)")
    held_out: int = knob(10, "Episodes kept aside for the validation loss", low=1)
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    batch_size: int = knob(32, "Clips in a step", low=1)
    predict_changes: bool = knob(
        True, "Predict scaled changes from the last context latent instead of latents"
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
            about="train it on to dream what this policy does; WMPO then dreams in the result",
            values={"batch_size": 16, "replay_share": 0.35},
            sizes={
                "quick look": {"held_out": 2, "fit": {"steps": 20, "log_every": 2}},
                # As the shipped world model was aligned (engine.jobs.demo.recipe).
                "demo": {"fit": {"steps": 4000, "average_decay": 0.998}},
                "long": {"fit": {"steps": 20_000, "average_decay": 0.998}},
            },
            needs=ROLLOUTS,
        ),
    ),
    place=5,
    shown=("world_model", "episodes_from", "replay_from", "replay_share"),
    hidden=(
        *(*CHOSEN_BY_STUDIO, *OF_FITS, "autoencoder", "transformer", "normalization_from"),
        *("predict_changes", "timestep_ratio"),
    ),
    needs=lambda config: () if config.autoencoder else ("world_model",),
    learns=True,
)


@dataclass(frozen=True)
class Clips:
    """Posterior moments of every frame and the index of every clip, in main memory.

    Attributes:
        mean, std: [frames, z, y, x], scaled.
        actions: normalised actions of all episodes end to end, [sum t, a].
        frame_rows: int64 [clips, t]; action_rows: int64 [clips, k].
    """

    mean: Tensor
    std: Tensor
    actions: Tensor
    frame_rows: npt.NDArray[np.int64]
    action_rows: npt.NDArray[np.int64]

    def batch(
        self, clips: npt.NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """(latents [b, z, t, y, x] sampled from the posterior, actions [b, k, a])."""
        rows = torch.from_numpy(self.frame_rows[clips])
        mean, std = self.mean[rows], self.std[rows]
        noise = torch.from_numpy(random.standard_normal(mean.shape, dtype=np.float32))
        latents = rearrange(mean + std * noise, "b t z y x -> b z t y x")
        return latents, self.actions[torch.from_numpy(self.action_rows[clips])]


@torch.no_grad()
def cut_clips(model: LatentWorldModel, episodes: EpisodeSet, normalization: Normalization) -> Clips:
    """Encode every frame once and index every clip.

    # paper: the official loader ends at the end step; frames recorded beyond it are used here too,
    # because an imagined episode goes on to the end of the chunk in which it succeeds.

    Raises:
        ValueError: no episode is as long as a chunk.
    """
    mean, std = encode_moments(model.autoencoder, torch.from_numpy(episodes.frames))
    first_action = np.concatenate([[0], np.cumsum(episodes.lengths)[:-1]])
    actions = np.concatenate([normalization.normalize(e.actions) for e in episodes.episodes])
    frame_rows, action_rows = [], []
    for index in range(len(episodes)):
        starts = clip_starts(int(episodes.lengths[index]), model.chunk_size)
        frames = clip_frames(
            starts,
            context_frames=model.context_frames,
            chunk_size=model.chunk_size,
            anchored=model.anchored,
        )
        frame_rows.append(episodes.first_frame[index] + frames)
        action_rows.append(first_action[index] + clip_actions(starts, chunk_size=model.chunk_size))
    rows = np.concatenate(frame_rows)
    if not len(rows):
        raise ValueError(f"no episode has {model.chunk_size} actions, one chunk")
    return Clips(mean, std, torch.from_numpy(actions), rows, np.concatenate(action_rows))


@torch.no_grad()
def encode_moments(autoencoder: Autoencoder, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled mean and standard deviation of each frame's posterior, on the CPU."""
    scale, device = autoencoder.scaling_factor, autoencoder.mean_frame.device
    parts = [autoencoder.moments(to_model(part.to(device))) for part in frames.split(64)]
    mean = torch.cat([part[0].cpu() for part in parts]) * scale
    return mean, torch.cat([torch.exp(0.5 * part[1]).cpu() for part in parts]) * scale


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Train the transformer; the autoencoder stays as it is and is stored beside it."""
    model = _model(config, run.placement)
    if config.anchored:
        model.config = model.config.replace(anchored=True)
    own = load_episodes(config.episodes_from)
    replay = load_episodes(config.replay_from) if config.replay_from else []
    statistics = _statistics(config, model.action_dim)
    order = numpy_generator(config.seed, "held out").permutation(len(own))
    if len(order) <= config.held_out:
        raise ValueError(f"{len(order)} episodes are too few to keep {config.held_out} aside")
    held_out = cut_clips(model, episode_set([own[i] for i in order[: config.held_out]]), statistics)
    sources = [
        cut_clips(model, episode_set([own[i] for i in order[config.held_out :]]), statistics)
    ]
    if replay:
        sources.append(cut_clips(model, episode_set(replay), statistics))
    if config.predict_changes and not config.world_model:
        scale = measure_changes(sources[0], model.context_frames)
        model.config = model.config.replace(change_scale=scale)
    if config.timestep_ratio:
        model.config = model.config.replace(timestep_ratio=config.timestep_ratio)
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "world model batch", step)
        latents, actions = _mixed_batch(sources, config, random)
        return _loss(model, latents, actions, random, noisy_context=config.context_noise), {}

    def save(directory: Path) -> None:
        metrics["world_model/held_out_loss"] = validation_loss(model, held_out, config)
        run.log(run_step(directory), dict(metrics))
        write_world_model(
            directory,
            model,
            statistics,
            card(
                config,
                metrics,
                episodes=own + replay,
                parents={"autoencoder": config.autoencoder, "world_model": config.world_model},
            ),
        )

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
        return load_world_model(Path(config.world_model), placement, trained=True)
    if not config.autoencoder:
        raise ValueError("train_world_model needs autoencoder=DIRECTORY or world_model=DIRECTORY")
    autoencoder = load_autoencoder(Path(config.autoencoder), trained=True)
    transformer = config.transformer.replace(in_channels=autoencoder.config.latent_channels)
    with initialisation(config.seed, "world model"):
        model = LatentWorldModel(
            WorldModelConfig(
                transformer=transformer,
                autoencoder=autoencoder.config,
                image_size=autoencoder.config.mean_frame_size[0],
            )
        )
    model.autoencoder.load_state_dict(autoencoder.state_dict())
    return model.to(placement.where).eval()


def _statistics(config: JobConfig, action_dim: int) -> Normalization:
    """What actions are normalised with: a model that is trained further keeps what it knows."""
    if config.world_model and not config.normalization_from:
        return load_normalization(Path(config.world_model))
    episodes = load_episodes(config.normalization_from or config.episodes_from)
    return action_statistics([e.actions for e in episodes], passthrough=(action_dim - 1,))


def _mixed_batch(
    sources: Sequence[Clips], config: JobConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    from_replay = round(config.replay_share * config.batch_size) if len(sources) > 1 else 0
    sizes = [config.batch_size - from_replay, from_replay]
    parts = [
        clips.batch(random.integers(0, len(clips.frame_rows), size), random)
        for clips, size in zip(sources, sizes, strict=False)
        if size
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _loss(
    model: LatentWorldModel,
    latents: Tensor,
    actions: Tensor,
    random: np.random.Generator,
    *,
    noisy_context: bool,
) -> Tensor:
    noise = torch.from_numpy(random.standard_normal(latents.shape, dtype=np.float32))
    normal = torch.from_numpy(random.standard_normal(len(latents), dtype=np.float32))
    timesteps = END * torch.sigmoid(normal)
    if model.config.timestep_ratio:
        timesteps = shift_timesteps(timesteps, model.config.timestep_ratio)
    targets = to_targets(latents, model.context_frames, model.config.change_scale)
    size, device = model.config.image_size, model.transformer.rope.freqs.device
    targets, actions, noise, timesteps = (
        values.to(device) for values in (targets, actions, noise, timesteps)
    )
    losses = training_loss(
        model.transformer,
        targets,
        actions,
        noise,
        timesteps,
        size,
        size,
        noisy_context=noisy_context,
    )
    return losses.mean()


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
        latents, actions = clips.batch(part, random)
        loss = _loss(model, latents, actions, random, noisy_context=config.context_noise)
        losses.append(loss.item())
    return float(np.mean(losses))
