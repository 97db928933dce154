"""How far a download is, how fast, and how long it will take."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 10.0


class Progress:
    """Bytes that are here, and the rate at which they came within the last seconds.

    Written by one thread; others may read at any time.

    Args:
        total: bytes of the whole download.
        clock: seconds from any fixed moment.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._whole, self._current, self._came = 0, 0, 0
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])

    def seen(self, position: int, came: int) -> None:
        """Of the current file, `position` bytes are here; `came` of them just arrived."""
        self._current, self._came = position, self._came + came
        now = self._clock()
        self._marks.append((now, self._came))
        while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW_SECONDS:
            self._marks.popleft()

    def file_done(self, size: int) -> None:
        """The current file is whole."""
        self._whole, self._current = self._whole + size, 0

    @property
    def done(self) -> int:
        """Bytes that are here."""
        return min(self._whole + self._current, self._total)

    @property
    def rate(self) -> float:
        """Bytes a second that arrived lately; what was here before does not count."""
        first, base = self._marks[0]
        elapsed = self._clock() - first
        return (self._came - base) / elapsed if elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None while nothing arrives."""
        return (self._total - self.done) / rate if (rate := self.rate) > 0 else None
