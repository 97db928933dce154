"""What viewers see of a dream: chunks come in at once, frames are released one by one."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from engine.records.types import Outcome

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
        node: its place in the dream's tree.
        driver: who chose the actions: policy, human, shared or nudge.
        overridden: [k, a], which numbers of the actions a person chose.
        drift: of each frame, `engine.records.episodes.latent_drift`.
    """

    frames: Sequence[str]
    ends: Sequence[int]
    probabilities: Sequence[float]
    actions: Sequence[Sequence[float]]
    entropy: float
    outcome: Outcome
    pace: float
    node: int = 0
    driver: str = "policy"
    overridden: Sequence[Sequence[bool]] = ()
    drift: Sequence[float] = ()


@dataclass
class _Take:
    """What is known since the last jump to another place; `burst` frames show without pacing."""

    frames: list[str]
    chunks: list[SeenChunk] = field(default_factory=list)
    burst: int = 0
    shown: int = 1
    goal: int = 1
    final: int | None = None
    next_due: float = 0.0
    state: str = "paused"
    error: str | None = None
    hurried: bool = False


class Seen(TypedDict):
    """What viewers may see of a dream."""

    epoch: int
    first: int
    next: int
    frames: list[str]
    ends: list[int]
    probabilities: list[float]
    actions: list[Any]
    overridden: list[Any]
    entropy: list[float | None]
    drift: list[float]
    node: int
    nodes: list[int]
    drivers: list[str]
    threshold: float | None
    outcome: dict[str, Any] | None
    state: str
    error: str | None
    frames_per_second: float | None
    horizon: int
    chunk_size: int


class Reel:
    """Frames of one dream, shared by all its viewers; safe to use from any thread.

    A jump to another place (a reset, a rewind) starts a new epoch: a chunk imagined for an older
    one is dropped, and viewers fetch everything anew. A dream ends at its horizon, or after the
    chunk in which it succeeds (as `engine.dream.imagine.imagine` does).

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
        self._seen_nodes: set[int] = set()
        self.last_seen = clock()

    @property
    def epoch(self) -> int:
        """How many jumps to another place there were."""
        with self._changed:
            return self._epoch

    @property
    def seen_chunks(self) -> tuple[int, int]:
        """(epoch, chunks of which viewers have seen at least a frame)."""
        with self._changed:
            self._reveal()
            return self._epoch, -(-(self._take.shown - 1) // self._chunk_size)

    @property
    def seen_nodes(self) -> frozenset[int]:
        """The chunks, by node, of which viewers have seen at least a frame, in any epoch."""
        with self._changed:
            self._reveal()
            return frozenset(self._seen_nodes)

    @property
    def ended(self) -> bool:
        """Whether viewers are at the end of a finished dream."""
        with self._changed:
            self._reveal()
            return self._take.state == "done"

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

    def control(self, action: str, *, burst: bool = False) -> None:
        """run, pause, frame (one more), chunk (to its end) or reset (to the start frame).

        Args:
            burst: show the rest of the next chunk at once; whoever asked paces it on the screen.

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
                self._jump([])
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
                take.burst = min(take.goal, goals["chunk"] + 1) if burst else 0
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

    def touch(self) -> None:
        """Keep the dream as if somebody had looked at it now."""
        with self._changed:
            self.last_seen = self._clock()

    def wait_burst(self, seconds: float) -> bool:
        """Wait until the frames of a burst are out or nothing runs; False if it took longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    self._take.state != "running"
                    or self._take.shown >= min(self._take.burst, self._take.final or math.inf)
                ),
                seconds,
            )

    def load(self, chunks: Sequence[SeenChunk]) -> int:
        """Jump to the end of a path of chunks, all of it seen, and pause there; the new epoch."""
        with self._changed:
            self._jump(chunks)
            return self._epoch

    def trim(self) -> tuple[int, int]:
        """Forget chunks of which nothing was seen; (epoch, chunks left)."""
        with self._changed:
            self._reveal()
            take = self._take
            seen = -(-(take.shown - 1) // self._chunk_size)
            del take.chunks[seen:], take.frames[1 + seen * self._chunk_size :]
            if take.final is not None and take.final > len(take.frames):
                take.final = None
            return self._epoch, seen

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
            self._pace = chunk.pace
            self._take_in(chunk)
            self._reveal()
            self._changed.notify_all()

    def fail(self, epoch: int, sentence: str) -> None:
        """End the dream with the reason, unless it was reset since."""
        with self._changed:
            if epoch == self._epoch:
                self._take.state, self._take.error = "failed", sentence
                self._changed.notify_all()

    def pull(self, after: int, epoch: int | None = None) -> Seen:
        """What viewers may see; never waits.

        Args:
            after: frames the viewer has: later ones are sent. Whoever has those of another epoch
                is sent everything.
        """
        with self._changed:
            self.last_seen = self._clock()
            self._reveal()
            take = self._take
            first = after if epoch in (None, self._epoch) and after <= take.shown else 0
            seen = take.chunks[: -(-(take.shown - 1) // self._chunk_size)]
            newest = take.chunks[-1] if take.chunks else None
            windows = sum(end <= take.shown for end in newest.ends) if newest else 0
            steps = take.shown - 1
            return {
                "epoch": self._epoch,
                "first": first,
                "next": take.shown,
                "frames": take.frames[first : take.shown],
                "ends": list(newest.ends[:windows]) if newest else [],
                "probabilities": list(newest.probabilities[:windows]) if newest else [],
                "actions": [step for chunk in seen for step in chunk.actions][:steps],
                "overridden": [step for chunk in seen for step in chunk.overridden][:steps],
                "entropy": [chunk.entropy for chunk in seen],
                "drift": [0.0, *(value for chunk in seen for value in chunk.drift)][: take.shown],
                "node": seen[-1].node if seen else 0,
                "nodes": [chunk.node for chunk in seen],
                "drivers": [chunk.driver for chunk in seen],
                "threshold": self._threshold,
                "outcome": self._seen_outcome(),
                "state": take.state,
                "error": take.error,
                "frames_per_second": self._pace,
                "horizon": self._horizon,
                "chunk_size": self._chunk_size,
            }

    def _jump(self, chunks: Sequence[SeenChunk]) -> None:
        self._epoch += 1
        self._take = _Take([self._start])
        for chunk in chunks:
            self._take_in(chunk)
        take = self._take
        take.shown = take.goal = len(take.frames)
        take.state = "done" if take.final is not None else "paused"
        self._seen_nodes.update(chunk.node for chunk in chunks)
        self._changed.notify_all()

    def _take_in(self, chunk: SeenChunk) -> None:
        take = self._take
        take.chunks.append(chunk)
        take.frames += chunk.frames
        if chunk.outcome.success or len(take.frames) > self._horizon:
            take.final = len(take.frames)

    def _reveal(self) -> None:
        """Release the frames that are due, and set the state they lead to."""
        take = self._take
        if take.state != "running":
            return
        now = self._clock()
        limit = min(take.goal, len(take.frames))
        if take.hurried:
            take.shown = limit
        elif take.shown < (burst := min(take.burst, limit)):
            take.next_due = now + (burst - take.shown) * self._period
            take.shown = burst
        while take.shown < limit and take.next_due <= now:
            take.shown += 1
            take.next_due += self._period
        seen = take.chunks[: -(-(take.shown - 1) // self._chunk_size)]
        self._seen_nodes.update(chunk.node for chunk in seen)
        if take.final is not None and take.shown == take.final:
            take.state = "done"
        elif take.shown == take.goal:
            take.state = "paused"
        if take.state != "running":
            self._changed.notify_all()

    def _seen_outcome(self) -> dict[str, Any] | None:
        take = self._take
        if not take.chunks:
            return None
        outcome = take.chunks[-1].outcome
        seen = outcome.success and take.shown > outcome.end_step
        if not seen and take.state != "done":
            return None
        return {"success": outcome.success, "end_step": outcome.end_step}
