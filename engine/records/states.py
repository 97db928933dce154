"""What a run is doing, and what became of a group of its rollouts."""

from enum import StrEnum


class RunState(StrEnum):
    """What a run is doing, as its log, the database and the screen say it."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def alive(self) -> bool:
        """Whether a worker is at it."""
        return self in ALIVE

    @property
    def busy(self) -> bool:
        """Whether it moves on by itself: a worker is at it, or will be."""
        return self.alive or self is RunState.QUEUED

    @property
    def ended(self) -> bool:
        """Whether it is over for good."""
        return self in ENDED


ALIVE = (RunState.STARTING, RunState.RUNNING, RunState.PAUSING, RunState.STOPPING)
ENDED = (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


class Fate(StrEnum):
    """Why GRPO keeps or drops a group."""

    KEPT = "kept"
    TOO_FEW = "too_few_successes"
    TOO_MANY = "too_many_successes"
    SURPLUS = "surplus"  # fit to be kept, but enough groups came first
