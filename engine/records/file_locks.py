"""Locks on files that the kernel frees at their holder's death, whatever the clock says."""

import fcntl
import time
from pathlib import Path
from typing import TextIO


def hold(path: Path) -> TextIO:
    """A lock file, held until it is closed. A look by `is_locked` lasts microseconds, so a refusal
    is tried again.

    Raises:
        BlockingIOError: another process holds it.
    """
    pauses = [0.2, 0.05, 0.01]
    while True:
        lock = try_hold(path)
        if lock is not None:
            return lock
        if not pauses:
            raise BlockingIOError(f"{path.name} is held by another process")
        time.sleep(pauses.pop())


def try_hold(path: Path, *, shared: bool = False) -> TextIO | None:
    """A lock file, held until it is closed; None where somebody else holds it."""
    lock = path.open("a")
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock file for itself alone."""
    if not path.exists():
        return False
    with path.open("r") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
