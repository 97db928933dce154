"""How long a supervisor waits for its workers."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the supervisor waits, in seconds.

    Attributes:
        stop: for a run to save and end; `cancel`: for one to end without saving.
        terminate: from SIGTERM to SIGKILL.
        resume: before the first automatic resume; doubled with each.
        stalled: without progress until it is said, unless twenty usual steps take longer.
        hung: without a sign of life until it is said.
    """

    stop: float = 180.0
    cancel: float = 30.0
    terminate: float = 10.0
    resume: float = 1.0
    stalled: float = 120.0
    hung: float = 60.0
