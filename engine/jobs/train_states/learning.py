"""How a state model learns: the read-out from latents, then each forecast from what it reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.config import Config, knob
from engine.data.states import OBJECT
from engine.learning.training import FitConfig, refine
from engine.seeding import numpy_generator
from engine.world_model.states import StateModel

LEAST_DEVIATION = 0.01  # metres
CONTACT = 0.01  # metres that an object moves in a clip of contact
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class StateLearning(Config):
    """How the two parts are fitted."""

    readout_batch: int = knob(128, "Frames in a step of the read-out", low=1)
    latent_noise: float = knob(0.1, "Noise on latents that are read, beside the posterior's", low=0)
    forecast_batch: int = knob(192, "Clips in a step of a forecast", low=1)
    unroll: int = knob(2, "Chunks that a forecast is chained over in training", low=1)
    state_noise: float = knob(0.006, "Largest noise on the states a forecast sees, metres", low=0)
    contact_weight: float = knob(5.0, "How much oftener clips of contact are drawn", low=1.0)
    readout: FitConfig = knob(
        help="Optimisation of the read-out",
        factory=lambda: FitConfig(
            steps=1500, learning_rate=1e-3, final_rate=0.0, weight_decay=0.01
        ),
    )
    forecast: FitConfig = knob(
        help="Optimisation of each forecast",
        factory=lambda: FitConfig(
            steps=4000, learning_rate=1e-3, final_rate=0.0, warmup_steps=100, weight_decay=0.02
        ),
    )


@dataclass(frozen=True)
class Observed:
    """Encoded episodes laid end to end, with their true states.

    Attributes:
        mean, std: posterior moments of each frame, [frames, z, y, x].
        states: [frames, s] in metres.
        actions: normalised, [sum t, a].
        first_frame, lengths: of each episode.
    """

    mean: Tensor
    std: Tensor
    states: Tensor
    actions: Tensor
    first_frame: Rows
    lengths: Rows


def standardise(model: StateModel, data: Observed) -> None:
    """Set mean and deviation of states, and how much they change over a chunk."""
    k, moving = model.sizes.chunk_size, model.config.moving
    model.mean.copy_(data.states.mean(dim=0))
    model.deviation.copy_(data.states.std(dim=0).clamp(min=LEAST_DEVIATION))
    frames, _ = _windows(data, model.sizes.context_frames, k)
    rows = torch.from_numpy(frames)
    changes = data.states[rows[:, -1], :moving] - data.states[rows[:, -1 - k], :moving]
    model.change.copy_(changes.square().mean(dim=0).sqrt().clamp(min=LEAST_DEVIATION))


def learn_readout(model: StateModel, data: Observed, config: StateLearning, seed: int) -> None:
    """L1 on standardised states of latents sampled from the posterior."""
    where = model.mean.device
    wanted = (data.states - model.mean.cpu()) / model.deviation.cpu()

    def loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(seed, "read-out batch", step)
        rows = torch.from_numpy(random.integers(0, len(data.mean), config.readout_batch))
        shape = (2, len(rows), *data.mean.shape[1:])
        noise = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
        latents = data.mean[rows] + data.std[rows] * noise[0] + config.latent_noise * noise[1]
        return (model.readout(latents.to(where)) - wanted[rows].to(where)).abs().mean(), {}

    refine(model.readout, loss, config.readout)


@torch.no_grad()
def read_all(model: StateModel, mean: Tensor) -> Tensor:
    """States read of every frame, [frames, s], in main memory."""
    where = model.mean.device
    return torch.cat([model.read(part.to(where)).cpu() for part in mean.split(1024)])


def learn_forecast(
    model: StateModel, member: int, data: Observed, config: StateLearning, seed: int
) -> None:
    """L1 on the true states of the next chunks, from what is read of the frames before them."""
    seen, moving, where = read_all(model, data.mean), model.config.moving, model.mean.device
    context, k = model.sizes.context_frames, model.sizes.chunk_size
    frames, actions = _windows(data, context, k * config.unroll)
    draw = _draw(data, frames, context, config)
    size = config.forecast_batch

    def loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(seed, "forecast batch", member, step)
        chosen = draw(random.random(size))
        rows = torch.from_numpy(frames[chosen])
        acted = data.actions[torch.from_numpy(actions[chosen])].to(where)
        read = seen[rows[:, :context]]
        noise = random.standard_normal((size, context, moving)) * random.random((size, 1, 1))
        past = read[..., :moving] + config.state_noise * torch.from_numpy(noise).float()
        past, fixed = past.to(where), read[:, -1, moving:].to(where)
        total = past.new_zeros(())
        for chunk in range(config.unroll):
            part = slice(k * chunk, k * (chunk + 1))
            foreseen = model.foresee(member, past, fixed, acted[:, part])
            true = data.states[rows[:, context:][:, part], :moving].to(where)
            total = total + ((foreseen - true) / model.change).abs().mean()
            past = torch.cat([past, foreseen], dim=1)[:, -context:]
        return total, {}

    refine(model.members[member], loss, config.forecast)


def _windows(data: Observed, context: int, future: int) -> tuple[Rows, Rows]:
    """(rows of the frames, rows of the actions) of every window of context and future."""
    frames, actions, first_action = [], [], 0
    for first, length in zip(data.first_frame, data.lengths, strict=True):
        starts = np.arange(max(0, length - future + 1))[:, None]
        frames.append(first + np.maximum(starts + np.arange(1 - context, future + 1), 0))
        actions.append(first_action + starts + np.arange(future))
        first_action += int(length)
    return np.concatenate(frames), np.concatenate(actions)


def _draw(
    data: Observed, frames: Rows, context: int, config: StateLearning
) -> Callable[[npt.NDArray[np.float64]], Rows]:
    """Uniform numbers to windows, those in which the object moves oftener."""
    rows = torch.from_numpy(frames)
    places = data.states[:, OBJECT]
    moved = (places[rows[:, -1]] - places[rows[:, context - 1]]).norm(dim=1).numpy() > CONTACT
    weights = np.where(moved, config.contact_weight, 1.0)
    borders = np.cumsum(weights / weights.sum())
    return lambda uniform: np.minimum(np.searchsorted(borders, uniform), len(borders) - 1)
