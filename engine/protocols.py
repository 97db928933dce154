"""The six interfaces (design.md §9), and what some environments can do besides.

Shapes: n starts (groups) · g members of a group · b any batch · t frames · k chunk steps ·
c h w image · a action dims · l action tokens · s patch tokens · d width · z y x latent channels,
rows, columns.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from engine.device import Placement
from engine.records.tasks import Task
from engine.records.types import DreamContext, JudgeRules, Normalization, Trajectory


@dataclass(frozen=True)
class ActionChunk:
    """What a policy proposes for the next k steps of each row.

    Attributes:
        tokens: action-token indices in [0, 256): bin of each number, step major, l = k * a.
        actions: normalised actions in [-1, 1] (bin centres).
        log_probs: log-probability of each token at the sampling temperature (> 0), float32.
        entropy: entropy of each token's distribution in nats, float32.
    """

    tokens: Int64[Tensor, "b l"]
    actions: Float[Tensor, "b k a"]
    log_probs: Float[Tensor, "b l"]
    entropy: Float[Tensor, "b l"]


@runtime_checkable
class WorldModel(Protocol):
    """(context latents, actions) -> next latents, and the autoencoder around them."""

    @property
    def context_frames(self) -> int: ...
    @property
    def anchored(self) -> bool: ...
    @property
    def chunk_size(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    @property
    def latent_shape(self) -> tuple[int, int, int]: ...
    @property
    def micro_batch(self) -> int: ...

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "WorldModel":
        """The same weights, shared, that dream with another context.

        Args:
            micro_batch: frames that its convolutions take at once; 0: as many as here.
        """
        ...

    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Frames in [-1, 1] to scaled latents, sampled from the posterior."""
        ...

    def begin(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b m"]:
        """What is remembered of a dream at its start beside latents; m may be 0."""
        ...

    def remember(
        self, memory: Float[Tensor, "b m"], actions: Float[Tensor, "b k a"]
    ) -> Float[Tensor, "b m"]:
        """What is remembered after a chunk of normalised actions."""
        ...

    def predict(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        generators: Sequence[torch.Generator],
        denoising_steps: int,
        memory: Float[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b k z y x"]:
        """The k latents that follow `context_frames` latents under normalised actions."""
        ...

    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Latents to frames in [-1, 1] (not clipped)."""
        ...


@runtime_checkable
class Policy(Protocol):
    """(frame, instruction) -> a chunk of action tokens."""

    @property
    def chunk_size(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    @property
    def normalization(self) -> Normalization: ...

    def act(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        generators: Sequence[torch.Generator],
        temperature: float,
    ) -> ActionChunk:
        """Sample one chunk a row; temperature 0 takes the arg-max and ignores the generators."""
        ...

    def log_probs(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        tokens: Int64[Tensor, "b l"],
        temperature: float,
    ) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """(log-probabilities of the tokens, entropies), differentiable."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """Window of frames -> probability of success."""

    @property
    def window(self) -> int: ...
    @property
    def success_threshold(self) -> float: ...
    @property
    def micro_batch(self) -> int: ...

    def probabilities(
        self, frames: UInt8[Tensor, "b t h w 3"], rules: JudgeRules
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """(exclusive window ends, success probability of each window of each row)."""
        ...


@runtime_checkable
class LatentRewardModel(RewardModel, Protocol):
    """A reward model that judges dreams by their latents and actions: nothing is decoded."""

    def latent_probabilities(
        self,
        latents: Float[Tensor, "b f z y x"],
        actions: Float[Tensor, "b t a"],
        rules: JudgeRules,
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """(exclusive window ends, success probability of each), of dreams from their start on."""
        ...


@runtime_checkable
class Env(Protocol):
    """A task in reality: the simulator."""

    @property
    def task(self) -> Task: ...
    @property
    def action_dim(self) -> int: ...

    def reset(self, start_id: int) -> None:
        """Go to the initial state that the id fixes."""
        ...

    def step(self, action: npt.NDArray[np.float32]) -> bool:
        """Execute one raw action; True in the step at which the task is achieved."""
        ...

    def render(self) -> npt.NDArray[np.uint8]:
        """The current frame, uint8 [h, w, 3]."""
        ...

    def close(self) -> None:
        """Free what the simulator holds; the environment is not used any more."""
        ...


@runtime_checkable
class StatefulEnv(Env, Protocol):
    """An environment that can say where things are."""

    def state(self) -> npt.NDArray[np.float32]:
        """Hand xyz, gripper opening, object xyz, goal xyz [10], in metres.

        Privileged: for training models and for measuring them, never for acting.
        """
        ...


@runtime_checkable
class Run(Protocol):
    """All that a job sees of the outside world."""

    def log(self, step: int, metrics: Mapping[str, float | int]) -> None: ...
    def progress(self, done: int, total: int) -> None: ...
    def phase(self, name: str) -> None: ...
    def alarm(self, message: str) -> None: ...
    def record(self, episode: Trajectory) -> None: ...
    def workroom(self) -> Path: ...
    def store(self, episode: Trajectory) -> None: ...
    def publish(self, episode_id: str) -> None: ...
    def episode_ids(self) -> dict[str, bool]: ...
    def real_outcomes(self) -> dict[int, bool]: ...
    def count_real(
        self, *, task: str, start_id: int, use: str, policy: str | None, success: bool
    ) -> None: ...
    def write_document(self, name: str, values: Mapping[str, Any]) -> None: ...
    def documents(self, prefix: str = "") -> dict[str, dict[str, Any]]: ...
    def checkpoint(self, step: int) -> AbstractContextManager[Path]: ...
    def latest_checkpoint(self) -> Path | None: ...
    def give_way(self) -> None: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def stop_requested(self) -> bool: ...
    @property
    def pause_requested(self) -> bool: ...
