"""The event log's line codec: `crc32 json`, one line an event (design.md §9)."""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def encode_line(event: dict[str, Any]) -> bytes:
    """One event as a line: CRC-32 in eight hex digits, a space, compact JSON, a newline.

    Raises:
        ValueError: the event holds a number that is not finite.
    """
    body = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None where the line is torn or damaged."""
    checksum, separator, body = line.rstrip(b"\n").partition(b" ")
    if not separator or len(checksum) != 8:
        return None
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        event = json.loads(body)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines from a byte offset on, as (offset after the line, event).

    Damaged lines are skipped, as is a last line still being written (no newline yet).
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            event = decode_line(line)
            if event is not None:
                yield offset, event
