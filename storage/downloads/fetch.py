"""One file over HTTP into a `.part` file: resumed, checked against what its source declares."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from storage.downloads.listings import RemoteFile
from storage.downloads.web import Reply, Web

BLOCK = 1 << 20
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 30.0
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_REFUSED = {
    401: "asks for a login that was not given",
    403: "may not be read by this login",
    404: "is not there",
    410: "is not there any more",
}


class StoppedError(Exception):
    """Somebody asked for the download to end."""


class DamagedError(ValueError):
    """What came is not what the source declared."""


class Digests:
    """The hashes that a file of a source is compared by, fed block by block."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        # The Hub declares a small file by its git blob id: SHA-1 over a header and the content.
        self._git = hashlib.sha1(f"blob {file.bytes}\0".encode(), usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take in the next bytes."""
        self._sha256.update(block)
        if self._file.git_oid:
            self._git.update(block)

    def check(self) -> str:
        """The SHA-256 in hex, where all agrees with what the source declares.

        Raises:
            DamagedError: it does not.
        """
        found = self._sha256.hexdigest()
        differs = self._file.sha256 and self._file.sha256 != found
        if differs or (self._file.git_oid and self._file.git_oid != self._git.hexdigest()):
            raise DamagedError(f"{self._file.path} is not the file that its source declares")
        return found


def read_into(path: Path, digests: Digests, stop: threading.Event) -> int:
    """Feed a local file's bytes to the digests; how many they were.

    Raises:
        StoppedError: as asked by `stop`.
    """
    size = 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            if stop.is_set():
                raise StoppedError
            digests.update(block)
            size += len(block)
    return size


def fetch(
    web: Web,
    file: RemoteFile,
    part: Path,
    *,
    headers: Mapping[str, str],
    stop: threading.Event,
    seen: Callable[[int, int], None],
    wait_seconds: float = 1.0,
) -> str:
    """Bring `part` to the whole and checked content of a file; its SHA-256.

    Trouble that may pass is tried again, after a wait that doubles, as long as bytes arrive and
    `ATTEMPTS` times without any. What was fetched stays in `part` for the next time, unless it is
    damaged.

    Args:
        seen: told how many bytes of the file are here, and how many of them came just now.

    Raises:
        ValueError: the source has no such file, or another one than it declared.
        OSError: the disk is full or broken, or (`ConnectionError`) nothing came any more.
        StoppedError: as asked by `stop`.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(web, file, part, headers, stop, seen)
        except ConnectionError:
            failures = 0 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise
        except DamagedError:
            # Bytes of an earlier attempt may have been at fault: once more, from the first one.
            part.unlink(missing_ok=True)
            if before == 0:
                raise
        if stop.wait(min(wait_seconds * 2**failures, LONGEST_WAIT_SECONDS)):
            raise StoppedError


def _attempt(
    web: Web,
    file: RemoteFile,
    part: Path,
    headers: Mapping[str, str],
    stop: threading.Event,
    seen: Callable[[int, int], None],
) -> str:
    digests, here = Digests(file), 0
    declared = file.sha256 or file.git_oid or file.etag
    if not declared or _size(part) > file.bytes:
        part.unlink(missing_ok=True)  # nothing could tell whether the rest belongs to it
    elif part.exists():
        here = read_into(part, digests, stop)
        seen(here, 0)
    if here < file.bytes or file.bytes == 0:
        asked = {**headers, **({"range": f"bytes={here}-"} if here else {})}
        if here and file.etag.startswith('"'):
            asked["if-range"] = file.etag
        with web.get(file.url, asked) as reply:
            if here and reply.status == 200:  # the whole file again
                digests, here = Digests(file), 0
            _check_reply(file, reply, here)
            _write(file, reply, part, here, digests, stop, seen)
    return digests.check()


def _check_reply(file: RemoteFile, reply: Reply, here: int) -> None:
    if reply.status in _PASSING:
        raise ConnectionError(f"{file.path}: the source answers {reply.status}")
    if reply.status == 416:
        raise DamagedError(f"{file.path} is shorter at its source than what was fetched of it")
    if reply.status not in (200, 206):
        reason = _REFUSED.get(reply.status, f"cannot be read: its source answers {reply.status}")
        raise ValueError(f"{file.path} {reason}")
    changed = file.etag and reply.headers.get("etag", file.etag) != file.etag
    span = f"bytes {here}-{file.bytes - 1}/{file.bytes}"
    if reply.status == 206 and reply.headers.get("content-range") != span:
        raise DamagedError(f"{file.path}: the source sends another range than was asked for")
    if changed or reply.number("content-length") not in (None, file.bytes - here):
        raise DamagedError(f"{file.path} has changed at its source since the plan was made")


def _write(
    file: RemoteFile,
    reply: Reply,
    part: Path,
    here: int,
    digests: Digests,
    stop: threading.Event,
    seen: Callable[[int, int], None],
) -> None:
    with part.open("ab" if here else "wb") as stream:
        for block in reply.body:
            if stop.is_set():
                raise StoppedError
            here += len(block)
            if here > file.bytes:
                raise DamagedError(f"{file.path} is larger than its source declared")
            stream.write(block)
            digests.update(block)
            seen(here, len(block))
    if here < file.bytes:
        raise ConnectionError(f"{file.path} ended after {here} of {file.bytes} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
