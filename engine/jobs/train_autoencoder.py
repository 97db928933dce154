"""Train the frame autoencoder on the frames of stored episodes (method.md §1.5)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.data.episode_set import EpisodeSet, episode_set, load_episodes, set_aside
from engine.images import to_model
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import load
from engine.protocols import Run
from engine.runs.job import Job
from engine.runs.tracker import logger_knob
from engine.seeding import initialisation, numpy_generator, row_generators
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.model import LatentWorldModel


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the autoencoder learns from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes are learnt from")
    autoencoder: str = knob(
        "", "Autoencoder or world model whose autoencoder is trained further; empty starts afresh"
    )
    limit: int = knob(0, "Episodes taken from each run; 0 takes all", low=0)
    held_out: int = knob(10, "Episodes kept aside for the reported PSNR", low=1)
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    batch_size: int = knob(16, "Frames in a step", low=1)
    kl_weight: float = knob(1e-4, "Weight of the KL term (per latent number)", low=0.0)
    motion_weight: float = knob(
        4.0, "Extra weight of pixels that differ from the mean frame", low=0.0
    )
    model: AutoencoderConfig = knob(help="Sizes", factory=AutoencoderConfig)
    fit: FitConfig = knob(
        help="Optimisation", factory=lambda: FitConfig(steps=2500, learning_rate=2e-3)
    )


JOB = Job(learns=True)


@dataclass
class _Losses:
    """The loss of a step, from the flat frames."""

    model: Autoencoder
    frames: Tensor
    config: JobConfig
    weight_from: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.weight_from = self.model.mean_frame

    def __call__(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(self.config.seed, "autoencoder batch", step)
        rows = torch.from_numpy(random.integers(0, len(self.frames), self.config.batch_size))
        x = to_model(self.frames[rows].to(self.weight_from.device))
        mean, logvar = self.model.moments(x)
        logvar = logvar.clamp(-30.0, 20.0)
        noise = torch.from_numpy(random.standard_normal(mean.shape, dtype=np.float32)).to(mean)
        y = self.model.reconstruct(mean + torch.exp(0.5 * logvar) * noise)
        moved = ((x - self.weight_from).abs().amax(dim=1, keepdim=True) > 0.1).float()
        weight = 1.0 + self.config.motion_weight * moved
        absolute = (weight * (x - y).abs()).mean()
        squared = (weight * (x - y).square()).mean()
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
        loss = absolute + 2.0 * squared + self.config.kl_weight * kl
        error = (x - y).detach().square().mean()
        return loss, {"kl": kl.detach(), "psnr": 10.0 * torch.log10(4.0 / error)}


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Train, measure the scale of the latents, and report the held-out round trip."""
    episodes = load_episodes(config.episodes_from, limit=config.limit or None)
    held_out, training = map(episode_set, set_aside(episodes, config.held_out, config.seed))
    frames = torch.from_numpy(training.frames)
    size = frames.shape[1:3]
    model = _model(config, (size[0], size[1])).to(run.placement.where)
    model.mean_frame.copy_(to_model(frames[:: max(1, len(frames) // 2000)]).mean(dim=0))
    metrics: dict[str, Any] = {}

    def save(directory: Path) -> None:
        model.eval()
        scale = latent_scale(model, frames)
        metrics.update(round_trip(model, held_out, config.seed))
        values = model.config.replace(scaling_factor=scale).to_dict() | {"role": "autoencoder"}
        parents = {"autoencoder": config.autoencoder}
        document = card(config, metrics, episodes=episodes, parents=parents)
        checkpoint.write_model(directory, model, values, document)
        model.train()

    losses = _Losses(model, frames, config)
    if not fit(model, losses, run, config.fit, prefix="autoencoder", save=save):
        return None
    return metrics or round_trip(model, held_out, config.seed)


def _model(config: JobConfig, size: tuple[int, int]) -> Autoencoder:
    if not config.autoencoder:
        with initialisation(config.seed, "autoencoder"):
            return Autoencoder(config.model.replace(mean_frame_size=size))
    found = load(Path(config.autoencoder))
    model = found.autoencoder if isinstance(found, LatentWorldModel) else found
    if not isinstance(model, Autoencoder) or model.config.mean_frame_size != size:
        raise ValueError(f"{config.autoencoder} holds no autoencoder of {size[0]} x {size[1]}")
    return model


@torch.no_grad()
def latent_scale(model: Autoencoder, frames: Tensor) -> float:
    """One over the standard deviation of posterior means over some 256 frames."""
    some = to_model(frames[:: max(1, len(frames) // 256)].to(model.mean_frame.device))
    means = torch.cat([model.moments(part)[0] for part in some.split(32)])
    return 1.0 / means.std().item()


@torch.no_grad()
def round_trip(model: Autoencoder, episodes: EpisodeSet, seed: int) -> dict[str, Any]:
    """PSNR in dB of decoded against true frames, over whole frames."""
    frames = torch.from_numpy(episodes.frames).to(model.mean_frame.device)
    rows = [(index,) for index in range(len(frames))]
    latents = model.encode(to_model(frames), row_generators(seed, "round trip", rows=rows))
    decoded = model.decode(latents)
    error = (decoded - to_model(frames)).square().mean(dim=(1, 2, 3))
    return {"autoencoder/held_out_psnr": (10.0 * torch.log10(4.0 / error)).mean().item()}
