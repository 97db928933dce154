"""A judge that reads states of latents: is the object near the goal, and do chains agree?

Nothing is decoded. The object's distance from the goal is read from each imagined latent; success
is two consecutive frames within a radius. Beside what the dream shows, chains of the state model,
which see the start and the actions alone, must say so too: a dream that lies is seldom believed
by both. The radius is calibrated on dreams of real episodes (`engine.jobs.calibrate`).

Its labels are simulator states, privileged and used in training only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from engine.config import Config, knob
from engine.data.states import GOAL, OBJECT
from engine.images import to_model
from engine.records.types import JudgeRules
from engine.reward.judge import window_ends
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.states import StateConfig, StateModel, StateSizes

FAMILY = "states"
CONSECUTIVE = 2


@dataclass(frozen=True, kw_only=True)
class StateRewardConfig(Config):
    """Sizes of the parts, and how near is near."""

    family: str = knob(FAMILY, "What kind of reward model this is", choices=(FAMILY,))
    states: StateConfig = knob(
        factory=lambda: StateConfig(moving=6, fixed=3), help="The state model"
    )
    sizes: StateSizes = knob(factory=StateSizes, help="The world model it fits")
    autoencoder: AutoencoderConfig = knob(factory=AutoencoderConfig, help="Encodes frames")
    image_size: int = knob(64, "Side of the frames in pixels", low=8)
    window: int = knob(8, "Frames in a window of the task's rules", low=2)
    radius: float = knob(0.07, "Distance from the goal that the dream must show, metres", low=0.0)
    chain_radius: float = knob(0.07, "Distance that the chains must foresee, metres", low=0.0)
    chains: int = knob(2, "Chains that must agree; 0 trusts the dream alone", low=0)
    softness: float = knob(0.01, "Metres that take a probability from 0.5 to 0.73", low=1e-4)
    success_threshold: float = knob(
        0.5, "Probability counted as success; 0.5 is the radius itself", low=0.0, high=1.0
    )
    micro_batch: int = knob(8, "Frames that are encoded together", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.states.moving, self.states.fixed) != (6, 3):
            raise ValueError("the judge reads states of hand, object and goal, xyz each")
        if self.chains > self.states.members:
            raise ValueError(
                f"{self.chains} chains cannot agree: the state model has {self.states.members}"
            )


class StateReward(nn.Module):
    """Implements `RewardModel` on frames, and `LatentRewardModel` on what a dream holds."""

    def __init__(self, config: StateRewardConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = Autoencoder(config.autoencoder.replace(micro_batch=config.micro_batch))
        self.state_model = StateModel(config.states, config.sizes)
        self.eval()

    @property
    def window(self) -> int:
        """Frames in a window."""
        return self.config.window

    @property
    def success_threshold(self) -> float:
        """Probability counted as success."""
        return self.config.success_threshold

    @property
    def where(self) -> torch.device:
        """The device it reads on."""
        return self.autoencoder.mean_frame.device

    @property
    def micro_batch(self) -> int:
        """Frames that are encoded together."""
        return self.config.micro_batch

    @torch.no_grad()
    def probabilities(
        self, frames: UInt8[Tensor, "b t h w 3"], rules: JudgeRules
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """(exclusive window ends, success probability of each window), of frames alone.

        A window tells of all frames up to its end; without actions there are no chains.

        Raises:
            ValueError: the rules ask for another window than the model reads.
        """
        self._check(rules)
        states = self.read_frames(frames)
        shown = self._belief(nearest(states), self.config.radius)
        return _at_windows(shown, rules)

    @torch.no_grad()
    def latent_probabilities(
        self,
        latents: Float[Tensor, "b f z y x"],
        actions: Float[Tensor, "b t a"],
        rules: JudgeRules,
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """The same of imagined latents from the start on and the actions that led to them.

        Raises:
            ValueError: the rules ask for another window than the model reads.
        """
        self._check(rules)
        states = self.read(latents)
        beliefs = [self._belief(nearest(states), self.config.radius)]
        for chained in self.chains(states[:, 0], actions, self.config.chains):
            beliefs.append(self._belief(nearest(chained), self.config.chain_radius))
        return _at_windows(torch.stack(beliefs).amin(dim=0), rules)

    def read(self, latents: Float[Tensor, "b f z y x"]) -> Float[Tensor, "b f s"]:
        """States of latents, in metres."""
        flat = rearrange(latents.to(self.where), "b f z y x -> (b f) z y x")
        return self.state_model.read(flat).unflatten(0, latents.shape[:2])

    @torch.no_grad()
    def read_frames(self, frames: UInt8[Tensor, "b f h w 3"]) -> Float[Tensor, "b f s"]:
        """States of frames, in metres."""
        pixels = to_model(rearrange(frames, "b f h w c -> (b f) h w c"))
        z, y, x = self.config.sizes.latent_shape
        none = torch.zeros(len(pixels), z, y, x, device=self.where)
        latents = self.autoencoder.encode_from(pixels.to(self.where), none)
        return self.read(latents.unflatten(0, frames.shape[:2]))

    def chains(
        self, start: Float[Tensor, "b s"], actions: Float[Tensor, "b t a"], count: int
    ) -> list[Float[Tensor, "b f s"]]:
        """What each of the first `count` chains foresees of a start under actions.

        The members that judge are the last ones: the first also moves the dream.
        """
        moving, members = self.config.states.moving, self.config.states.members
        start, actions, found = start.to(self.where), actions.to(self.where), []
        for member in range(members - count, members):
            states = self.state_model.chain(member, start, actions)
            goal = start[:, None, moving:].expand(-1, states.shape[1], -1)
            found.append(torch.cat([states, goal], dim=-1))
        return found

    def _belief(self, distance: Tensor, radius: float) -> Tensor:
        return torch.sigmoid((radius - distance.double()) / self.config.softness)

    def _check(self, rules: JudgeRules) -> None:
        if rules.window != self.window:
            raise ValueError(
                f"the judge asks for windows of {rules.window} frames, but the reward model reads "
                f"windows of {self.window}"
            )


def distances(states: Float[Tensor, "b f s"]) -> Float[Tensor, "b f"]:
    """How far the object is from the goal, which is read from the first frame."""
    apart = (states[..., OBJECT] - states[:, :1, GOAL]).double()
    return apart.square().sum(dim=-1).sqrt().to(states.dtype)


def nearest(states: Float[Tensor, "b f s"]) -> Float[Tensor, "b f"]:
    """Up to each frame: the least distance that two consecutive frames kept; inf at frame 0."""
    apart = distances(states)
    kept = torch.maximum(apart[:, 1:], apart[:, :-1])
    first = torch.full_like(apart[:, :1], torch.inf)
    return torch.cat([first, kept.cummin(dim=1).values], dim=1)


def _at_windows(belief: Tensor, rules: JudgeRules) -> tuple[Tensor, Tensor]:
    ends = torch.from_numpy(window_ends(belief.shape[1], rules))
    return ends, belief[:, ends - 1].float().cpu()


def valid_nearest(states: Float[Tensor, "b f s"], lengths: Sequence[int]) -> Float[Tensor, " b"]:
    """`nearest` at the last frame of each episode, f = its number of actions."""
    rows = torch.arange(len(states))
    return nearest(states)[rows, torch.tensor(lengths)]
