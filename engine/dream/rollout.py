"""One imagined episode as tensors, and as the trajectory that is stored of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from engine.crew.portable import Portable, as_bytes, as_tensor
from engine.records.tasks import Task
from engine.records.types import Normalization, Outcome, Trajectory

Row = tuple[int, int]
Decode = Callable[[Tensor], Tensor]  # latents [f, z, y, x] as frames [f, h, w, 3]


@dataclass(frozen=True)
class Undecoded(Portable):
    """A chunk of which only the last frame is decoded yet.

    Attributes:
        latents: of the frames before it.
    """

    latents: Float[Tensor, "f z y x"]
    last: UInt8[Tensor, "h w 3"]


class LateFrames:
    """Frames of a video that are decoded when somebody asks for them, and then kept.

    They go to another process as they are, and are decoded there by the world model that it has.

    Args:
        pieces: of the video, in order.
        decode: shows the frames of latents; needed where a piece is in latents.
    """

    def __init__(
        self, pieces: Sequence["Tensor | Undecoded | LateFrames"], decode: Decode | None = None
    ) -> None:
        self._pieces, self._decode = list(pieces), decode

    def __call__(self) -> UInt8[Tensor, "f h w 3"]:
        """All of them."""
        match self._pieces:
            case [Tensor() as frames]:
                return frames
        frames = torch.cat([self._shown(piece) for piece in self._pieces])
        self._pieces = [frames]
        return frames

    def decode_with(self, decode: Decode) -> None:
        """Who decodes from now on, in a process that was sent this."""
        self._decode = decode
        for piece in self._pieces:
            if isinstance(piece, LateFrames):
                piece.decode_with(decode)

    def _shown(self, piece: "Tensor | Undecoded | LateFrames") -> Tensor:
        if isinstance(piece, LateFrames):
            return piece()
        if isinstance(piece, Tensor):
            return piece
        assert self._decode is not None, "frames in latents, and nobody who decodes them"
        return torch.cat([self._decode(piece.latents), piece.last[None]])

    def __getstate__(self) -> list[Any]:
        return [as_bytes(piece) for piece in self._pieces]  # a model stays where it is

    def __setstate__(self, pieces: list[Any]) -> None:
        self._pieces, self._decode = [as_tensor(piece) for piece in pieces], None


@dataclass(frozen=True, kw_only=True)
class Rollout(Portable):
    """One imagined episode of t actions and t + 1 frames, on the CPU.

    A row that succeeded may have left before the horizon: t is then the end of that chunk.
    `policy_frames` are those the policy looked at: one before each chunk. The others are decoded
    only for who asks for `frames`.
    `overridden` marks the numbers of `normalized_actions` that a person put in place of the
    policy's; `tokens` are always the policy's own.
    """

    start_id: int
    member: int
    video: LateFrames
    policy_frames: UInt8[Tensor, "chunks h w 3"]
    tokens: Int64[Tensor, "chunks l"]
    normalized_actions: Float[Tensor, "t a"]
    overridden: Bool[Tensor, "t a"]
    log_probs: Float[Tensor, "chunks l"]
    entropy: Float[Tensor, "chunks l"]
    latents: Float[Tensor, "f z y x"]
    window_ends: Int64[Tensor, " windows"]
    window_probabilities: Float[Tensor, " windows"]
    outcome: Outcome

    @property
    def frames(self) -> UInt8[Tensor, "f h w 3"]:
        """Every frame, the start first."""
        return self.video()


def to_trajectory(
    rollout: Rollout,
    task: Task,
    instruction: str,
    normalization: Normalization,
    *,
    id: str,
    lineage: Mapping[str, Any],
    replay: Mapping[str, Any],
) -> Trajectory:
    """The rollout as an imagined trajectory: raw actions, clipped to the task's box."""
    normalized = rollout.normalized_actions.numpy().astype(np.float32)
    raw = normalization.denormalize(normalized).clip(task.action_low, task.action_high)
    arrays = {
        "tokens": rollout.tokens.numpy(),
        "normalized_actions": normalized,
        "log_probs": rollout.log_probs.numpy(),
        "entropy": rollout.entropy.mean(dim=1).numpy(),
        "latents": rollout.latents.numpy(),
        "window_ends": rollout.window_ends.numpy(),
        "window_probabilities": rollout.window_probabilities.numpy(),
    }
    if rollout.overridden.any():
        arrays["overridden"] = rollout.overridden.numpy()
    return Trajectory(
        id=id,
        task=task.name,
        start_id=rollout.start_id,
        instruction=instruction,
        imagined=True,
        outcome=rollout.outcome,
        frames=rollout.frames.numpy(),
        actions=raw.astype(np.float32),
        arrays=arrays,
        lineage=dict(lineage),
        replay=dict(replay),
    )
