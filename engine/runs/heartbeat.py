"""The heartbeat file of a worker: that it lives, that it moves, and how far it got.

Written in place into a block of its own, so that it is there after kill -9 and on a full disk.
All times are of the system's monotonic clock, which no change of the date touches.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from engine.records.events import decode_line, encode_line
from engine.records.texts import check_fields

NAME = "heartbeat"
BEAT_SECONDS = 1.0
_BYTES = 1024
_SENTENCE = 600


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What a heartbeat file says.

    Attributes:
        pid: of the worker.
        beat: when the worker's heartbeat thread last wrote.
        moved: when the job last reached a boundary or reported something.
        step: the checkpoint from which the job counts `turns`; None before the first.
        turns: boundaries reached since. (step, turns) is the same for a job that does the same.
        saved: checkpoints, episodes and ledger entries of all attempts: grows with real progress.
        pace: median seconds between boundaries; 0 until there were some.
        no_room: why the worker ended, where the disk was full; else empty.
    """

    pid: int
    beat: float
    moved: float
    step: int | None = None
    turns: int = 0
    saved: int = 0
    pace: float = 0.0
    no_room: str = ""


class Heartbeat:
    """Keeps the heartbeat file of a run: at each boundary and, from `begin` on, always."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._file = os.open(directory / NAME, os.O_RDWR | os.O_CREAT, 0o644)
        self._gaps: deque[float] = deque(maxlen=31)
        self._last_turn: float | None = None
        self._closing = threading.Event()
        self._beat = Beat(pid=os.getpid(), beat=clock(), moved=clock())
        self._thread: threading.Thread | None = None
        self._change()

    def begin(self, every_seconds: float = BEAT_SECONDS) -> None:
        """Beat in a thread from now on, whatever the job does."""
        self._thread = threading.Thread(
            target=self._keep, args=(every_seconds,), name="heartbeat", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End the thread; the file stays."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._file)

    def turn(self) -> None:
        """The job reached a boundary."""
        now = self._clock()
        if self._last_turn is not None:
            self._gaps.append(now - self._last_turn)
        self._last_turn = now
        pace = median(self._gaps) if self._gaps else 0.0
        self._change(moved=now, turns=self._beat.turns + 1, pace=pace)

    def move(self) -> None:
        """The job did something that is no boundary, such as reporting or waiting its turn."""
        self._change(moved=self._clock())

    def count_from(self, step: int) -> None:
        """From now on, turns are counted from the checkpoint of this step."""
        self._change(step=step, turns=0)

    def saved(self, number: int = 1) -> None:
        """Something outlives the worker: a checkpoint, an episode or an entry of the ledger."""
        self._change(saved=self._beat.saved + number)

    def no_room(self, sentence: str) -> None:
        """The worker ends because the disk is full."""
        self._change(no_room=sentence[:_SENTENCE])

    def _keep(self, every_seconds: float) -> None:
        while not self._closing.wait(every_seconds):
            self._change()

    def _change(self, **changes: float | int | str | None) -> None:
        with self._lock:
            self._beat = replace(self._beat, beat=self._clock(), **changes)  # type: ignore[arg-type]
            os.pwrite(self._file, encode_line(vars(self._beat)).ljust(_BYTES), 0)


def read_heartbeat(directory: Path) -> Beat | None:
    """The last beat of a run's worker; None where there is none, or it is just being written."""
    path = directory / NAME
    if not path.exists():
        return None
    line, end, _ = path.read_bytes().partition(b"\n")
    values = decode_line(line) if end else None
    try:
        check_fields(Beat, values or {})
        return None if values is None else Beat(**values)
    except (TypeError, ValueError):
        return None  # written by another version, or damaged
