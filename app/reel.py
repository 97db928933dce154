"""What viewers see of a dream: chunks come in at once, frames are released one by one."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.types import Outcome

ACTIONS = ("run", "pause", "frame", "chunk", "reset")
FRAMES_PER_SECOND = 16.0  # released a little faster than viewers play, so that they never wait


@dataclass(frozen=True, kw_only=True)
class SeenChunk:
    """A chunk as it appears on screens.

    Attributes:
        frames: encoded frames of this chunk.
        ends, probabilities: every judged window of the dream so far; ends are exclusive.
        actions: raw actions [k, a] of this chunk.
        entropy: mean entropy of the policy's tokens in this chunk, in nats.
        outcome: verdict on the dream so far.
        pace: frames imagined per second.
    """

    frames: Sequence[str]
    ends: Sequence[int]
    probabilities: Sequence[float]
    actions: Sequence[Sequence[float]]
    entropy: float
    outcome: Outcome
    pace: float


@dataclass
class _Take:
    """The state since the last reset."""

    frames: list[str]
    shown: int = 1
    goal: int = 1
    final: int | None = None
    next_due: float = 0.0
    ends: Sequence[int] = ()
    probabilities: Sequence[float] = ()
    actions: list[Sequence[float]] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    outcome: Outcome | None = None
    state: str = "paused"
    error: str | None = None
    hurried: bool = False


class Reel:
    """Frames of one dream, shared by all its viewers; safe to use from any thread.

    A reset starts a new epoch: a chunk imagined for an older one is dropped. The dream ends at
    its horizon, or after the chunk in which it succeeds (as `engine.rollout.imagine` does).

    Args:
        start: the encoded first frame.
        horizon: most actions; a multiple of `chunk_size`.
    """

    def __init__(
        self,
        start: str,
        *,
        horizon: int,
        chunk_size: int,
        threshold: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        frames_per_second: float = FRAMES_PER_SECOND,
    ) -> None:
        self._start = start
        self._horizon = horizon
        self._chunk_size = chunk_size
        self._threshold = threshold
        self._clock = clock
        self._period = 1.0 / frames_per_second
        self._changed = threading.Condition()
        self._epoch = 0
        self._pace: float | None = None
        self._take = _Take([start])
        self.last_seen = clock()

    @property
    def epoch(self) -> int:
        """How many resets there were."""
        with self._changed:
            return self._epoch

    @property
    def seen_chunks(self) -> tuple[int, int]:
        """(epoch, chunks of which viewers have seen at least a frame)."""
        with self._changed:
            self._reveal()
            return self._epoch, -(-(self._take.shown - 1) // self._chunk_size)

    @property
    def wants_chunk(self) -> bool:
        """Whether the next chunk should be imagined now: at most one ahead of the viewers."""
        with self._changed:
            self._reveal()
            take = self._take
            if take.state != "running" or take.final is not None:
                return False
            missing = len(take.frames) < take.goal
            return missing and (take.hurried or len(take.frames) - take.shown < self._chunk_size)

    def control(self, action: str) -> None:
        """run, pause, frame (one more), chunk (to its end) or reset (to the start frame).

        Raises:
            ValueError: another action.
        """
        if action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, not {action!r}")
        with self._changed:
            self.last_seen = self._clock()
            self._reveal()
            take = self._take
            if action == "reset":
                self._epoch += 1
                self._take = _Take([self._start])
                self._changed.notify_all()
            elif take.state not in ("done", "failed"):
                seen = take.shown - 1
                goals = {
                    "run": self._horizon,
                    "pause": seen,
                    "frame": seen + 1,
                    "chunk": (seen // self._chunk_size + 1) * self._chunk_size,
                }
                take.goal = min(goals[action], self._horizon) + 1
                take.state = "paused" if action == "pause" else "running"
                take.next_due = max(take.next_due, self.last_seen)
                self._changed.notify_all()

    def hurry(self) -> None:
        """Go to the end as fast as chunks come, for somebody who wants the whole episode."""
        with self._changed:
            self._take.hurried, self._take.state = True, "running"
            self._take.goal = self._horizon + 1

    def wait(self, seconds: float) -> str:
        """Wait until the dream no longer runs, at most some seconds; its state then."""
        with self._changed:
            self._changed.wait_for(lambda: self._take.state != "running", seconds)
            return self._take.state

    def set_threshold(self, threshold: float) -> None:
        """The probability that counts as success, once the reward model is loaded."""
        with self._changed:
            self._threshold = threshold

    def append(self, epoch: int, chunk: SeenChunk) -> None:
        """Take in a chunk imagined for an epoch; dropped if there was a reset since."""
        with self._changed:
            if epoch != self._epoch:
                return
            take = self._take
            if take.shown == len(take.frames):
                take.next_due = max(take.next_due, self._clock())
            take.frames += chunk.frames
            take.ends, take.probabilities = chunk.ends, chunk.probabilities
            take.actions += chunk.actions
            take.entropy.append(chunk.entropy)
            take.outcome = chunk.outcome
            self._pace = chunk.pace
            if chunk.outcome.success or len(take.frames) > self._horizon:
                take.final = len(take.frames)
            self._reveal()

    def fail(self, epoch: int, sentence: str) -> None:
        """End the dream with the reason, unless it was reset since."""
        with self._changed:
            if epoch == self._epoch:
                self._take.state, self._take.error = "failed", sentence
                self._changed.notify_all()

    def pull(self, after: int) -> dict[str, Any]:
        """What viewers may see, with the frames from number `after` on; never waits."""
        with self._changed:
            self.last_seen = self._clock()
            self._reveal()
            take = self._take
            windows = sum(end <= take.shown for end in take.ends)
            chunks = -(-(take.shown - 1) // self._chunk_size)
            return {
                "next": take.shown,
                "frames": take.frames[after : take.shown],
                "ends": list(take.ends[:windows]),
                "probabilities": list(take.probabilities[:windows]),
                "actions": take.actions[: take.shown - 1],
                "entropy": take.entropy[:chunks],
                "threshold": self._threshold,
                "outcome": self._seen_outcome(),
                "state": take.state,
                "error": take.error,
                "frames_per_second": self._pace,
                "horizon": self._horizon,
                "chunk_size": self._chunk_size,
            }

    def _reveal(self) -> None:
        """Release the frames that are due, and settle the state they lead to."""
        take = self._take
        if take.state != "running":
            return
        now = self._clock()
        limit = min(take.goal, len(take.frames))
        if take.hurried:
            take.shown = limit
        while take.shown < limit and take.next_due <= now:
            take.shown += 1
            take.next_due += self._period
        if take.final is not None and take.shown == take.final:
            take.state = "done"
        elif take.shown == take.goal:
            take.state = "paused"
        if take.state != "running":
            self._changed.notify_all()

    def _seen_outcome(self) -> dict[str, Any] | None:
        take = self._take
        if take.outcome is None:
            return None
        seen = take.outcome.success and take.shown > take.outcome.end_step
        if not seen and take.state != "done":
            return None
        return {"success": take.outcome.success, "end_step": take.outcome.end_step}
