"""So much in so much time: token buckets by name."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_KNOWN = 20_000  # buckets; those that were not asked for longest are forgotten
DAY = 86_400.0


class TooMuchError(Exception):
    """Somebody asked for more than they may have now: 429, with a sentence."""


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
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, kind: str, name: str, rate: Rate, amount: float = 1.0) -> float:
        """Take so many tokens; 0, or the seconds until there are as many."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop((kind, name), (rate.burst, now))
            level = min(rate.burst, level + (now - then) * rate.per_second)
            wait = max(0.0, (amount - level) / rate.per_second)
            self._levels[kind, name] = (level if wait else level - amount, now)
            while len(self._levels) > MOST_KNOWN:
                self._levels.popitem(last=False)
        return wait


def in_words(seconds: float) -> str:
    """A wait as people say it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} s"
