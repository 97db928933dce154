"""So much in so much time: token buckets by name."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

USUAL, MOST_KNOWN = 5_000, 40_000  # buckets; beyond the first number full ones are forgotten
DAY = 86_400.0


class TooMuchError(Exception):
    """Somebody asked for more than they may have now: 429, with a sentence.

    Attributes:
        wait: seconds until there is more, where that is known.
    """

    def __init__(self, sentence: str, wait: float = 0.0) -> None:
        super().__init__(sentence)
        self.wait = wait


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` tokens that fills by `per_second`."""

    per_second: float
    burst: float

    def times(self, factor: float) -> "Rate":
        """A bucket so many times as large."""
        return Rate(self.per_second * factor, self.burst * factor)


def a_day(amount: float, *, at_once: float) -> Rate:
    """So many a day, and at most so many at once."""
    return Rate(amount / DAY, at_once)


class Buckets:
    """Token buckets by kind and name.

    Args:
        clock: seconds, monotonic: a jump of the time of day locks nobody out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[tuple[str, str], tuple[float, float, Rate]] = OrderedDict()

    def take(self, kind: str, name: str, rate: Rate, amount: float = 1.0) -> float:
        """Take so many tokens, or give some back; 0, or the seconds until there are as many."""
        now = self._clock()
        with self._lock:
            level, then, _ = self._levels.pop((kind, name), (rate.burst, now, rate))
            level = min(rate.burst, level + (now - then) * rate.per_second)
            wait = max(0.0, (amount - level) / rate.per_second)
            self._levels[kind, name] = (level if wait else level - amount, now, rate)
            self._forget(now)
        return wait

    def _forget(self, now: float) -> None:
        """Look at two of the oldest; what is full again is as if it had never been asked for.

        Nobody's quota comes back sooner because others, or they by new names, ask for something.
        """
        for _ in range(2):
            if len(self._levels) <= USUAL:
                return
            key, (level, then, rate) = self._levels.popitem(last=False)
            is_full = level + (now - then) * rate.per_second >= rate.burst
            if not is_full and len(self._levels) < MOST_KNOWN:
                self._levels[key] = (level, then, rate)


def in_words(seconds: float) -> str:
    """A wait as people say it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} s"
