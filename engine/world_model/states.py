"""A small state model: reads states from latents and foresees those of a chunk.

A state is where hand, object and goal are, in metres. Its labels come from the simulator and are
needed in training only; in a dream the start frame is read, and the states are carried on.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from engine.config import Config, knob
from engine.world_model.blocks import steady
from engine.world_model.convolutions import convolve

ACTION_SUM_SCALE = 4.0
VELOCITY_SCALE = 0.02  # metres between two frames


@dataclass(frozen=True, kw_only=True)
class StateConfig(Config):
    """Sizes of a state model; none by default, as in the released world models."""

    moving: int = knob(0, "Numbers of a state that move (hand and object, xyz); 0: none", low=0)
    fixed: int = knob(3, "Numbers that stay over an episode (goal, xyz)", low=0)
    members: int = knob(
        3, "Forecasts trained apart; the first goes into the world model, all judge", low=1
    )
    readout_channels: int = knob(48, "Channels of the read-out's convolutions", low=1)
    readout_hidden: int = knob(128, "Hidden width of the read-out", low=1)
    hidden: int = knob(256, "Hidden width of a forecast", low=1)

    @property
    def size(self) -> int:
        """Numbers in a state."""
        return self.moving + self.fixed

    @property
    def num_features(self) -> int:
        """Numbers that a frame of the world model is told of a state."""
        return 4 * self.moving


@dataclass(frozen=True, kw_only=True)
class StateSizes(Config):
    """What a state model takes from the world model it belongs to."""

    latent_shape: tuple[int, int, int] = knob((8, 8, 8), "Channels, rows, columns of a latent")
    context_frames: int = knob(4, "Past frames that are given", low=1)
    chunk_size: int = knob(8, "Frames foreseen at once", low=1)
    action_dim: int = knob(4, "Numbers in an action", low=1)


class Readout(nn.Module):
    """Latents to standardised states."""

    def __init__(self, config: StateConfig, latent_shape: tuple[int, int, int]) -> None:
        super().__init__()
        z, y, x = latent_shape
        width = config.readout_channels
        self.see = nn.Sequential(
            nn.Conv2d(z, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        self.say = nn.Sequential(
            nn.Linear(width * y * x, config.readout_hidden),
            nn.GELU(),
            nn.Linear(config.readout_hidden, config.size),
        )

    def forward(self, latents: Float[Tensor, "f z y x"]) -> Float[Tensor, "f s"]:
        """Standardised states."""
        return steady(self.say, convolve(self.see, latents).flatten(1))


class Forecast(nn.Module):
    """Past states and a chunk's actions to its states, as changes; no change at first."""

    def __init__(self, config: StateConfig, sizes: StateSizes) -> None:
        super().__init__()
        known = config.size + (sizes.context_frames - 1) * config.moving
        actions = 2 * sizes.chunk_size * sizes.action_dim
        width = config.hidden
        self.layers = nn.Sequential(
            nn.Linear(known + actions, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, sizes.chunk_size * config.moving),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, inputs: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        """Standardised changes from the last state, frame by frame."""
        return steady(self.layers, inputs)


class StateModel(nn.Module):
    """Reads states of latents and foresees them under actions.

    Buffers hold the mean and deviation of states, and the size of their changes over a chunk.
    """

    mean: Tensor
    deviation: Tensor
    change: Tensor

    def __init__(self, config: StateConfig, sizes: StateSizes) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        self.readout = Readout(config, sizes.latent_shape)
        self.members = nn.ModuleList(Forecast(config, sizes) for _ in range(config.members))
        self.register_buffer("mean", torch.zeros(config.size))
        self.register_buffer("deviation", torch.ones(config.size))
        self.register_buffer("change", torch.ones(config.moving))

    def read(self, latents: Float[Tensor, "f z y x"]) -> Float[Tensor, "f s"]:
        """States of latents, in metres."""
        return self.readout(latents) * self.deviation + self.mean

    def foresee(
        self,
        member: int,
        past: Float[Tensor, "b c m"],
        fixed: Float[Tensor, "b g"],
        actions: Float[Tensor, "b k a"],
    ) -> Float[Tensor, "b k m"]:
        """States of the k frames after `past` under normalised actions, by one of the forecasts."""
        moving = self.config.moving
        last = past[:, -1]
        state = (torch.cat([last, fixed], dim=1) - self.mean) / self.deviation
        velocity = (past[:, :-1] - last[:, None]) / VELOCITY_SCALE
        summed = actions.cumsum(dim=1) / ACTION_SUM_SCALE
        inputs = [state, velocity.flatten(1), actions.flatten(1), summed.flatten(1)]
        changes = self.members[member](torch.cat(inputs, dim=1)).unflatten(1, (-1, moving))
        return last[:, None] + changes * self.change

    def features(self, moving: Float[Tensor, "b t m"]) -> Float[Tensor, "b t f"]:
        """What a frame of the world model is told: standardised states and their waves.

        In float64: a CPU's vector units round sines of float32 differently at an array's end, and
        a row is to be the same in any batch.
        """
        size = self.config.moving
        u = ((moving - self.mean[:size]) / self.deviation[:size]).double()
        waves = torch.cat([u, (2 * u).sin(), (2 * u).cos(), (4 * u).sin()], dim=-1)
        return waves.to(moving.dtype)

    def chain(
        self,
        member: int,
        start: Float[Tensor, "b s"],
        actions: Float[Tensor, "b t a"],
    ) -> Float[Tensor, "b f m"]:
        """States from a start's on under t actions (whole chunks), f = t + 1, never looked at."""
        moving, count = self.config.moving, self.sizes.context_frames
        past = start[:, None, :moving].expand(-1, count, -1)
        fixed, states = start[:, moving:], [start[:, None, :moving]]
        for chunk in actions.split(self.sizes.chunk_size, dim=1):
            states.append(self.foresee(member, past, fixed, chunk))
            past = torch.cat([past, states[-1]], dim=1)[:, -count:]
        return torch.cat(states, dim=1)
