"""World models with every variant on, a judge that can be worked by hand, episodes with states."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.records.types import Outcome, Trajectory
from engine.reward.states import StateReward, StateRewardConfig
from engine.seeding import generator, initialisation
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.states import StateConfig, StateSizes
from engine.world_model.transformer import TransformerConfig

# Products of 8 columns round differently by row; real widths are multiples of 16.
STATES = StateConfig(moving=6, fixed=3, members=2, readout_channels=4, readout_hidden=16, hidden=16)
TINY_STATES = STATES.to_dict()
_FIT = {"steps": 4, "warmup_steps": 1}
TINY_LEARNING = {
    "readout": _FIT,
    "forecast": _FIT,
    "readout_batch": 8,
    "forecast_batch": 8,
}
AUTOENCODER = AutoencoderConfig(
    patch=1,
    block_channels=(4, 8, 8),
    latent_channels=3,
    norm_groups=2,
    micro_batch=4,
    mean_frame_size=(32, 32),
)
SIZES = StateSizes(latent_shape=(3, 8, 8), action_dim=4)
TRANSFORMER = TransformerConfig(
    hidden_size=32,
    depth=1,
    num_heads=2,
    in_channels=3,
    input_sq_size=64,
    convolutions=4,
    cumulative_actions=True,
    context_actions=True,
    state_features=STATES.num_features,
    state_map=8,
)
CONFIG = WorldModelConfig(
    transformer=TRANSFORMER, autoencoder=AUTOENCODER, image_size=32, states=STATES
)


def stir(module: nn.Module, seed: int = 1) -> None:
    """Move every weight a little, so that none is at zero."""
    noise = generator(seed, "weights")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)


def varied_world_model(**changes: Any) -> LatentWorldModel:
    """A tiny world model with all variants and no weight at zero."""
    with initialisation(0, "varied"):
        model = LatentWorldModel(CONFIG.replace(**changes)).eval()
    stir(model)
    return model


class LinearStates(nn.Module):
    """The object's x is the latent's mean in channel 0, the goal is at 1; a chain adds actions.

    The object moves by the first number of each action, in every member alike but the last, whose
    object stands still.
    """

    def read(self, latents: Tensor) -> Tensor:
        states = torch.zeros(len(latents), 9)
        states[:, 3], states[:, 6] = latents[:, 0].mean(dim=(1, 2)), 1.0
        return states

    def chain(self, member: int, start: Tensor, actions: Tensor) -> Tensor:
        states = start[:, None, :6].repeat(1, actions.shape[1] + 1, 1)
        if member == 0:
            states[:, 1:, 3] += actions[..., 0].cumsum(dim=1)
        return states


def linear_judge(**changes: Any) -> StateReward:
    """A judge of `LinearStates`."""
    config = StateRewardConfig(
        states=STATES, sizes=SIZES, autoencoder=AUTOENCODER, image_size=32, radius=0.5, chains=0
    )
    judge = StateReward(config.replace(**changes))
    judge.state_model = LinearStates()  # type: ignore[assignment]
    return judge


def latents_at(places: list[list[float]]) -> Tensor:
    """Latents [b, f, 3, 8, 8] whose object is at the given x."""
    return torch.tensor(places)[:, :, None, None, None].expand(-1, -1, 3, 8, 8)


def episode_with_states(number: int, *, steps: int = 16, **changes: Any) -> Trajectory:
    """A bright square, the object, moves with the first number of the actions towards the goal.

    Every second episode, counted in pairs, moves fast enough to succeed.
    """
    random = np.random.default_rng(number)
    success = number % 2 == 0
    actions = random.uniform(-0.2, 0.2, (steps, 4)).astype(np.float32)
    actions[:, 0] = 0.9 if success else 0.1
    x = np.concatenate([[0.0], 0.02 * actions[:, 0].cumsum()])
    states = np.zeros((steps + 1, 10), np.float32)
    states[:, 4], states[:, 7] = x, 0.25
    frames = np.full((steps + 1, 64, 64, 3), 40, np.uint8)
    for frame, place in zip(frames, x, strict=True):
        left = 8 + int(place * 120)
        frame[24:40, left : left + 12] = 220
    values: dict[str, Any] = {
        "id": f"states-{number:03d}",
        "task": "coffee-push",
        "start_id": 200_000 + number,
        "instruction": "push",
        "imagined": False,
        "outcome": Outcome(success, steps),
        "frames": frames,
        "actions": actions,
        "arrays": {"states": states},
        "lineage": {"source": "policy"},
    }
    return Trajectory(**values | changes)


def sibling_with_states(start: int, member: int, branch: int = 4) -> Trajectory:
    """One of several episodes of a start that are equal up to `branch`."""
    episode = episode_with_states(start)
    actions = episode.actions.copy()
    actions[branch:, 0] = 0.3 * member
    states = episode.arrays["states"].copy()
    states[1:, 4] = 0.02 * actions[:, 0].cumsum()
    arrays = {"states": states, "branch_step": np.array(branch)}
    name = f"sibling-{start:03d}-{member}"
    return replace(episode, id=name, actions=actions, arrays=arrays, lineage={"source": "play"})
