"""Room on the disk: looked for before a checkpoint is written, and told from other errors."""

import errno
import shutil
from pathlib import Path

RESERVE_BYTES = 64 * 2**20  # for events, episodes and the database beside a checkpoint
_FULL = (errno.ENOSPC, errno.EDQUOT)


def free_bytes(directory: Path) -> int:
    """What may still be written where a directory lies."""
    return shutil.disk_usage(directory).free


def check_room(directory: Path, needed: int, reserve: int = RESERVE_BYTES) -> None:
    """Refuse to begin what would fill the disk.

    Args:
        needed: bytes that are to be written.

    Raises:
        OSError: there is too little room, with ENOSPC as its number.
    """
    free = free_bytes(directory)
    if free < needed + reserve:
        raise OSError(
            errno.ENOSPC, f"{in_words(needed)} are to be saved, {in_words(free)} are free"
        )


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full; safetensors says it in words alone."""
    return (isinstance(error, OSError) and error.errno in _FULL) or "os error 28" in str(error)


def newest_checkpoint_bytes(run_directory: Path) -> int:
    """Size of a run's newest checkpoint, which its next one will be near; 0 before the first."""
    found = (run_directory / "checkpoints").glob("step-*")
    newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    if newest is None:
        return 0
    return sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())


def in_words(number: int) -> str:
    """A number of bytes for a person: `1.3 GB`, `20 MB`."""
    return f"{number / 2**30:.1f} GB" if number >= 2**30 else f"{number / 2**20:.0f} MB"
