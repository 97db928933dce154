"""One lock per GPU, and one per place on the CPU: who computes there now (design.md §6).

A worker holds its slot while it computes. On a GPU a dream on a page asks for it, and the worker
yields at its next chunk or micro-batch; on a CPU nobody asks, and both go on.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from engine.records.file_locks import try_hold

LOOK_SECONDS = 0.005


class Slot:
    """A place to compute at, held by one process at a time and freed by the kernel at its death.

    Args:
        path: the lock file. Beside it `….asked` is locked, shared, by whoever waits for a turn.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._asked = path.with_name(f"{path.name}.asked")
        self._held: TextIO | None = None

    @property
    def name(self) -> str:
        """Such as `gpu-0` or `cpu-1`."""
        return self._path.stem

    def take(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Hold the slot; `waiting` is called again and again until it is free."""
        while self._held is None:
            if not self._is_asked():  # those who ask go first
                self._held = try_hold(self._path)
            if self._held is None:
                waiting()
                time.sleep(LOOK_SECONDS)

    def leave(self) -> None:
        """Let go of the slot."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def give_way(self, waiting: Callable[[], None] = lambda: None) -> bool:
        """Let everybody go first who asks for a turn; whether somebody did."""
        if self._held is None or not self._is_asked():
            return False
        self.leave()
        self.take(waiting)
        return True

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Compute at the slot before whoever holds it goes on; the wait ends at its next boundary.

        One turn at a time: those of one process queue up for it outside.
        """
        with _asking(self._asked):
            while (held := try_hold(self._path)) is None:
                time.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            held.close()

    def _is_asked(self) -> bool:
        """Whether anybody waits: a shared lock on `….asked` keeps this look from being alone."""
        if not self._asked.exists():
            return False
        look = try_hold(self._asked)
        if look is None:
            return True
        look.close()
        return False


@contextmanager
def _asking(path: Path) -> Iterator[None]:
    while (asked := try_hold(path, shared=True)) is None:
        time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        asked.close()
