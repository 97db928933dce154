"""What the Imagine page asks of dreams."""

from dataclasses import dataclass
from typing import Any

from app.imagine.permalinks import LONGEST_TOKEN
from app.live.dream import VARIATIONS
from engine.config import Config, knob

MAX_FUTURES = 8
ACTIONS = ("run", "pause", "frame", "chunk", "reset", "undo")


@dataclass(frozen=True, kw_only=True)
class FrameOf(Config):
    """A frame of a stored episode."""

    episode: str = knob(help="its id")
    frame: int = knob(0, "its number", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class OpenDream(Config):
    """A new dream; what is left out is the task's."""

    policy: str = knob(help="checkpoint id", high=300)
    world_model: str = knob(help="checkpoint id", high=300)
    reward_model: str = knob(help="checkpoint id", high=300)
    start_id: int | None = knob(None, "where it begins, or", low=-(2**53), high=2**31)
    from_: FrameOf | None = knob(None, "the frame that it goes on from")
    instruction: str | None = knob(None, "language command")
    seed: int = knob(0, "of the dream", low=0, high=2**53)
    denoising_steps: int = knob(4, "of the world model", low=1, high=50)
    temperature: float = knob(1.0, "of the policy", low=0.0, high=5.0)
    horizon: int | None = knob(None, "in steps, whole chunks", low=1)


@dataclass(frozen=True, kw_only=True)
class PullDream(Config):
    """What a viewer has seen of a dream, or of the path to a node."""

    dream: str = knob(help="its id")
    after: int = knob(0, "frames seen", low=0, high=2**31)
    epoch: int | None = knob(None, "as the last answer said it", low=0, high=2**31)
    node: int | None = knob(None, "whose path, without going there", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class ActDream(Config):
    """What a dream is told."""

    dream: str = knob(help="its id")
    action: str = knob(help="undo forgets the last chunk and what came after", choices=ACTIONS)
    after: int = knob(0, "frames seen", low=0, high=2**31)
    epoch: int | None = knob(None, "as the last answer said it", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class ChangeDream(Config):
    """Settings of a dream from the next chunk on."""

    dream: str = knob(help="its id")
    instruction: str | None = knob(None, "language command")
    seed: int | None = knob(None, "of the dream", low=0, high=2**53)
    denoising_steps: int | None = knob(None, "of the world model", low=1, high=50)
    temperature: float | None = knob(None, "of the policy", low=0.0, high=5.0)


@dataclass(frozen=True, kw_only=True)
class OneDream(Config):
    """A dream by its id."""

    dream: str = knob(help="its id")


@dataclass(frozen=True, kw_only=True)
class DreamThreshold(Config):
    """A threshold for the reward model of a dream, from now on."""

    dream: str = knob(help="its id")
    threshold: float = knob(help="probability that counts as success", low=0.001, high=1.0)


@dataclass(frozen=True, kw_only=True)
class PathOf(Config):
    """The path to a node of a dream, or what was seen."""

    dream: str = knob(help="its id")
    node: int | None = knob(None, "its number", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class SteerDream(Config):
    """Who drives; `app.live.steering.Steering.steered` says what the numbers mean."""

    dream: str = knob(help="its id")
    mode: str = knob(help="policy or human")
    actions: Any = knob(None, "raw numbers, by step or by dimension")
    hold: bool = knob(False, "beyond the next chunk")
    gripper: Any = knob(None, "open, close or a raw number")
    step: bool = knob(False, "execute the chunk")
    after: int = knob(0, "frames seen", low=0, high=2**31)
    epoch: int | None = knob(None, "as the last answer said it", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class BranchDream(Config):
    """Futures that differ from a node's own."""

    dream: str = knob(help="its id")
    node: int = knob(help="its number", low=0, high=2**31)
    vary: str = knob(help="noise of policy or world, or a nudge", choices=tuple(VARIATIONS))
    dimension: Any = knob(None, "of a nudge, by name or number")
    amount: float | None = knob(None, "of a nudge, raw")
    count: int = knob(1, "so many futures", low=1, high=MAX_FUTURES)


@dataclass(frozen=True, kw_only=True)
class SelectNode(Config):
    """Where a dream goes."""

    dream: str = knob(help="its id")
    node: int = knob(help="its number", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class Linked(Config):
    """What a link shows again: a path of a dream, or a stored episode."""

    dream: str | None = knob(None, "its id")
    node: int | None = knob(None, "its number", low=0, high=2**31)
    episode: str | None = knob(None, "its id")


@dataclass(frozen=True, kw_only=True)
class Replay(Config):
    """A link."""

    token: str = knob(help="as `permalink` made it", high=LONGEST_TOKEN)
