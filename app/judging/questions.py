"""What a person says of one clip or of two, as a stroke brings it; who says it comes beside it."""

import re
from dataclasses import dataclass

from engine.config import Config, knob
from engine.records.types import Label
from storage.events.preferences import CHOICES

_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
MODES = ("blind", "review")


@dataclass(frozen=True, kw_only=True)
class LabelStroke(Config):
    """What somebody says of an episode."""

    event_id: str = knob(help="made by whoever says it")
    episode_id: str = knob(help="of the clip", high=128)
    outcome: str | None = knob(None, "of the episode", choices=Label.OUTCOMES)
    dream_broke: bool | None = knob(None, "whether the world model is to blame")
    end_step: int | None = knob(None, "first frame that shows the success", low=0, high=100_000)
    span_first: int | None = knob(None, "first frame that matters", low=0, high=100_000)
    span_last: int | None = knob(None, "last frame that matters", low=0, high=100_000)
    failure_mode: str | None = knob(None, "what went wrong", high=64)
    note: str = knob("", "anything else", high=2_000)
    mode: str = knob("review", "how it was judged", high=32)
    model_probability: float | None = knob(None, "of success, as shown", low=0.0, high=1.0)
    threshold: float | None = knob(None, "of success, as shown", low=0.0, high=1.0)
    checkpoint: str | None = knob(None, "reward model, as shown", high=128)
    latency_ms: int | None = knob(None, "from the first frame to the key", low=0, high=2**40)
    supersedes: str | None = knob(None, "the label that it corrects")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_event_id("event_id", self.event_id)
        if self.supersedes is not None:
            check_event_id("supersedes", self.supersedes)


@dataclass(frozen=True, kw_only=True)
class PairStroke(Config):
    """Which of two clips of one start somebody finds better."""

    event_id: str = knob(help="made by whoever says it")
    left: str = knob(help="episode", high=128)
    right: str = knob(help="episode", high=128)
    choice: str = knob(help="which is better", choices=tuple(CHOICES))
    mode: str = knob("blind", "how it was judged", choices=MODES)
    left_probability: float | None = knob(None, "of success, as known", low=0.0, high=1.0)
    left_threshold: float | None = knob(None, "of success, as known", low=0.0, high=1.0)
    right_probability: float | None = knob(None, "of success, as known", low=0.0, high=1.0)
    right_threshold: float | None = knob(None, "of success, as known", low=0.0, high=1.0)
    left_checkpoint: str | None = knob(None, "reward model of the left", high=128)
    right_checkpoint: str | None = knob(None, "reward model of the right", high=128)
    latency_ms: int | None = knob(None, "from the first frame to the key", low=0, high=2**40)
    supersedes: str | None = knob(None, "the preference that it corrects")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_event_id("event_id", self.event_id)
        if self.supersedes is not None:
            check_event_id("supersedes", self.supersedes)


def check_event_id(name: str, value: object) -> str:
    """The id of an event.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not _EVENT_ID.fullmatch(value):
        raise ValueError(f"{name} must be an id of 8 to 64 letters, digits and dashes")
    return value
