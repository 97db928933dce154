"""The nouns shared by every layer: numpy and the standard library only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.config import Config, knob

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class JudgeRules(Config):
    """Which windows of a video count, and how (method.md §3).

    A window of `window` frames ends *before* frame index `end` (exclusive), and ends run from
    `first_end` to the number of frames in steps of `stride`. The released reward models start at
    108 and ignore a hit in the very last window; the demo starts at 8 and counts it.
    """

    window: int = knob(8, "Frames of a window", low=1)
    stride: int = knob(1, "Frames from one window's end to the next", low=1)
    first_end: int = knob(8, "End of the first window", low=1)
    last_window_counts: bool = knob(True, "Whether a hit in the very last window is a success")


@dataclass(frozen=True)
class Outcome:
    """Success of a trajectory and the number of its actions that count.

    `end_step` is the index of the first frame seen as success; without one it is the number of
    actions of the trajectory.
    """

    success: bool
    end_step: int


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """Per-dimension action statistics of a policy checkpoint (method.md §2.2).

    A masked-in dimension maps [q01, q99] to [-1, 1]; a masked-out one passes unchanged.
    """

    q01: tuple[float, ...]
    q99: tuple[float, ...]
    mask: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.q01) == len(self.q99) == len(self.mask):
            raise ValueError(
                f"q01, q99 and mask must have one length, not {len(self.q01)}, "
                f"{len(self.q99)} and {len(self.mask)}"
            )

    @property
    def action_dim(self) -> int:
        """Numbers in one action."""
        return len(self.q01)

    def normalize(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Raw actions [..., a] to model units; not clipped (the world model's side, §2.2)."""
        q01, q99 = np.asarray(self.q01), np.asarray(self.q99)
        span = np.where(self.mask, q99 - q01, 1.0)
        scaled = 2.0 * (actions - q01) / span - 1.0
        return np.where(self.mask, scaled, actions).astype(actions.dtype)

    def denormalize(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Model units [..., a] in [-1, 1] to raw actions."""
        q01, q99 = np.asarray(self.q01), np.asarray(self.q99)
        raw = 0.5 * (actions + 1.0) * (q99 - q01 + 1e-8) + q01
        return np.where(np.asarray(self.mask), raw, actions).astype(actions.dtype)

    def agrees_with(self, other: "Normalization") -> bool:
        """Whether one action in model units is the same movement for both."""
        ours, theirs = self.to_dict(), other.to_dict()
        return self.action_dim == other.action_dim and all(
            np.allclose(ours[name], theirs[name], atol=1e-6) for name in ours
        )

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain JSON values."""
        return {"q01": list(self.q01), "q99": list(self.q99), "mask": list(self.mask)}

    @classmethod
    def of(cls, checkpoint: Path) -> "Normalization | None":
        """The statistics that a checkpoint's directory keeps, if it keeps any."""
        path = checkpoint / "normalization.json"
        return cls.from_dict(json.loads(path.read_text())) if path.is_file() else None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Normalization":
        """The inverse of `to_dict`."""
        return cls(
            q01=tuple(float(value) for value in values["q01"]),
            q99=tuple(float(value) for value in values["q99"]),
            mask=tuple(bool(value) for value in values["mask"]),
        )


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Frames and actions of one episode, real or imagined.

    A trajectory of t actions has t + 1 frames; action i leads from frame i to frame i + 1.

    Attributes:
        id: unique name of the episode; letters, digits, '-', '_' and '.'.
        task: name of a task record (`engine.records.tasks`).
        start_id: integer that fixes the initial state; -1 for an uploaded image.
        instruction: language command given to the policy.
        imagined: True inside the world model, False inside an `Env`.
        outcome: as judged by the simulator (real) or by the reward model (imagined).
        frames: uint8 [t + 1, h, w, 3] in [0, 255].
        actions: float32 [t, a], raw as executed (clipped to the environment's box).
        arrays: what else is known, by name: `tokens` int64 [chunks, l], `normalized_actions`
            float32 [t, a], `log_probs` float32 [chunks, l], `latents` float32 [t + 1, c, h, w],
            `window_ends` int64 [w], `window_probabilities` float32 [w], `entropy` float32 [chunks],
            `overridden` bool [t, a] where a person chose the number, `log_ratio` and `clipped`
            float32 [chunks]: what the update did to a chunk (engine.jobs.optimise.update.Credit).
        lineage: run, iteration, group, member, checkpoint hashes… (plain JSON).
        replay: everything needed to produce it again, bit for bit (design.md §5; plain JSON).
    """

    id: str
    task: str
    start_id: int
    instruction: str
    imagined: bool
    outcome: Outcome
    frames: Frames
    actions: Floats
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    replay: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Whether anybody or anything said how it ended; else `outcome` says nothing."""
        return is_judged(self.lineage)

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(
                f"frames must be uint8 [t + 1, h, w, 3], not {self.frames.dtype} "
                f"{list(self.frames.shape)}"
            )
        if self.actions.ndim != 2 or len(self.frames) != len(self.actions) + 1:
            raise ValueError(
                f"{len(self.frames)} frames need {len(self.frames) - 1} actions [t, a], "
                f"not {list(self.actions.shape)}"
            )


def is_judged(lineage: Mapping[str, Any]) -> bool:
    """Whether the lineage of an episode says that somebody or something judged it."""
    return not lineage.get("unjudged", False)


@dataclass(frozen=True, kw_only=True)
class Label:
    """A person's judgement of one episode: an immutable event (design.md §9).

    `outcome` is the first axis (success, fail, unsure or nothing said), `dream_broke` the second.
    An event that corrects or withdraws an earlier one names it in `supersedes`; a withdrawal
    (undo) has neither axis set. `end_step` is the frame at which it happened; `span_first` and
    `span_last` are the frames between which something is to be seen, both of them part of it.
    """

    event_id: str
    episode_id: str
    outcome: str | None = None
    dream_broke: bool | None = None
    end_step: int | None = None
    span_first: int | None = None
    span_last: int | None = None
    failure_mode: str | None = None
    note: str = ""
    mode: str = "review"
    model_probability: float | None = None
    threshold: float | None = None
    checkpoint: str | None = None
    actor: str = "local"
    latency_ms: int | None = None
    supersedes: str | None = None

    OUTCOMES = ("success", "fail", "unsure")

    def __post_init__(self) -> None:
        if self.outcome is not None and self.outcome not in self.OUTCOMES:
            raise ValueError(
                f"outcome must be one of {', '.join(self.OUTCOMES)}, not {self.outcome!r}"
            )
        if self.span_first is None and self.span_last is None:
            return
        if self.span_first is None or self.span_last is None:
            raise ValueError("a span needs both its first and its last frame")
        if not 0 <= self.span_first <= self.span_last:
            raise ValueError(
                f"a span runs from a frame to the same or a later one, not from "
                f"{self.span_first} to {self.span_last}"
            )


@dataclass(frozen=True, kw_only=True)
class DreamContext:
    """What a dream shows the world model of its past: the context of WMPO, or a variant of it.

    Attributes:
        anchored: the oldest context latent is the start's, as in a model trained with an anchor.
        noise: diffusion time in [0, 1000] that context latents are noised to; 0 leaves them clean.
    """

    anchored: bool = False
    noise: float = 0.0

    def changes(self) -> dict[str, Any]:
        """The values that are not the usual ones, plain; none for the usual context."""
        usual = asdict(DreamContext())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}
