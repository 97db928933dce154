"""Files of any size between a browser and the studio, part by part."""

import base64
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob

PART = 4 * 2**20  # bytes
SPARE = 2**30  # that must stay free on the disk
UPLOAD = ".partial-upload-"  # cleaned up like everything that was begun and never finished


@dataclass(frozen=True, kw_only=True)
class Part(Config):
    """A part of a file that is taken in; the first has no `upload` and offset 0."""

    data: str = knob(help="its bytes, base64", high=PART * 4 // 3 + 8)
    upload: str | None = knob(None, "the file that it belongs to")
    offset: int = knob(0, "where it begins", low=0, high=2**50)


class Handover:
    """Hands files out and takes them in, in one directory of the studio.

    Args:
        hours: how long a file that was handed out is kept.
    """

    def __init__(
        self, room: Path, *, hours: float = 24.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._room, self._hours, self._clock = room, hours, clock
        self._sizes: dict[str, int] = {}
        self._made: dict[Path, float] = {}  # when, by a clock that nobody sets

    def place(self, name: str) -> Path:
        """A new path for a file to hand out; old files go to make room for it."""
        now = self._clock()
        for path in self._room.glob("[!.]*"):
            # Those of an earlier studio begin their time when this one sees them.
            if now - self._made.setdefault(path, now) > self._hours * 3600:
                path.unlink(missing_ok=True)
                del self._made[path]
        path = self._room / f"{secrets.token_hex(4)}-{name}"
        self._made[path] = now
        return path

    def part(self, path: Path, offset: int) -> dict[str, Any]:
        """{data: base64, next, total} of a file from a byte on; `next` is null at the end."""
        if not path.is_file():
            raise LookupError("that file was cleaned up: make it again")
        total = path.stat().st_size
        start = min(offset, total)
        with path.open("rb") as stream:
            stream.seek(start)
            content = stream.read(PART)
        end = start + len(content)
        data = base64.b64encode(content).decode()
        return {"data": data, "next": end if end < total else None, "total": total}

    def take(self, question: Part) -> dict[str, Any]:
        """{upload, offset}: how much of a file came; a part that came already changes nothing."""
        try:
            content = base64.b64decode(question.data, validate=True)
        except ValueError as error:
            raise ValueError("a part of the file did not arrive whole: try again") from error
        if shutil.disk_usage(self._room).free < SPARE + len(content):
            raise ValueError("the disk of the studio is nearly full: clean up first")
        upload = question.upload
        if upload is None:
            upload = secrets.token_hex(16)
            self._sizes[upload] = 0
            self._path(upload).touch()
        path = self.uploaded(upload)
        size = self._sizes[upload]
        if question.offset == size:
            with path.open("ab") as stream:
                stream.write(content)
            self._sizes[upload] = size + len(content)
        elif question.offset + len(content) != size:
            raise ValueError("the parts of the file came in another order: try again")
        return {"upload": upload, "offset": self._sizes[upload]}

    def uploaded(self, upload: str) -> Path:
        """The file of an upload.

        Raises:
            LookupError: there is none.
        """
        if upload not in self._sizes:
            raise LookupError("that file is not here any more: choose it again")
        return self._path(upload)

    def drop(self, upload: str) -> None:
        """Forget an upload."""
        if self._sizes.pop(upload, None) is not None:
            self._path(upload).unlink(missing_ok=True)

    def _path(self, upload: str) -> Path:
        return self._room / f"{UPLOAD}{upload}"


def stamp() -> str:
    """The time as part of a file's name."""
    return time.strftime("%Y%m%d-%H%M%S")
