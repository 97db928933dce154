"""What an error of DuckDB means: the row is bad, the place is, or the file itself is damaged."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import duckdb

# The statement's values are to blame, whatever the file is like.
REFUSALS = (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException)
# The file is as it was: waiting, or asking again, is what helps.
_PASSING = (
    *(duckdb.ResourceInUseException, duckdb.InterruptException),
    *(duckdb.OutOfMemoryException, duckdb.PermissionException),
)
LEAST_FREE = 32 * 2**20  # of bytes, below which the disk counts as full
_OF_THE_PLACE = {
    errno.EACCES: "this user may not read and write it",
    errno.EPERM: "this user may not read and write it",
    errno.EROFS: "it lies on a disk that can only be read",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of this user is used up",
    errno.ENOLCK: "this network disk gives no locks",
    errno.ENOTSUP: "this disk gives no locks",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOMEM: "the memory is used up",
    errno.EIO: "the disk cannot be read",
    errno.ESTALE: "the network disk is gone",
    errno.EISDIR: "a directory stands where the file should be",
}


class DamagedError(Exception):
    """The database says something else than what was written into it."""


def is_damage(error: BaseException) -> bool:
    """Whether an error while a database is opened says that its file is damaged."""
    return isinstance(error, DamagedError) or (
        isinstance(error, duckdb.Error) and not isinstance(error, _PASSING)
    )


def fault_of_place(path: Path, error: BaseException) -> str:
    """Why the place of a database is to blame for an error, in a sentence; empty if the file is.

    The system says so by its own numbers: DuckDB quotes their words, and a probe beside the file
    meets the same trouble.
    """
    text = str(error)
    if "could not set lock" in text.lower() and os.strerror(errno.ENOLCK) not in text:
        return (
            f"another studio is using {path}: close it, or choose another data directory "
            "with WMPO_DATA_DIR"
        )
    quoted = [number for number in _OF_THE_PLACE if os.strerror(number) in text]
    number = quoted[0] if quoted else _probe(path)
    if number is None:
        return ""
    words = _OF_THE_PLACE.get(number, os.strerror(number))
    return f"the database {path} cannot be used: {words}; WMPO_DATA_DIR names another place"


def fault_of_disk(error: BaseException) -> str:
    """What to tell a person whose request the disk did not take; empty for any other error."""
    if isinstance(error, OSError):
        number = error.errno
    elif isinstance(error, duckdb.Error):  # whichever: a commit says it as a TransactionException
        text = str(error)
        number = next((n for n in _OF_THE_PLACE if os.strerror(n) in text), None)
    else:
        return ""
    if number not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return ""
    return (
        f"Nothing was stored: {_OF_THE_PLACE[number]}. What is here can still be read; "
        "make room, then do it again."
    )


def disk_trouble(directory: Path, *, least: int = LEAST_FREE) -> str:
    """Why a data directory takes nothing more, in a sentence; empty while it does."""
    number = _probe(directory / "healthy")
    if number is None and shutil.disk_usage(directory).free < least:
        number = errno.ENOSPC
    if number is None:
        return ""
    words = _OF_THE_PLACE.get(number, os.strerror(number))
    return (
        f"The studio can be read, but it stores nothing: {words}. Make room (Data, What keeps it), "
        "and it goes on by itself."
    )


def _probe(path: Path) -> int | None:
    """The number of the trouble that a new file beside the database meets."""
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return errno.EACCES
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".probe-") as stream:
            stream.write(b"\0" * 4096)
            stream.flush()
    except OSError as error:
        return error.errno
    return None
