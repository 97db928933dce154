"""The event log's line codec: `crc32 json`, one line an event (design.md §9)."""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.records.texts import check_fields, check_unicode


def encode_line(event: dict[str, Any]) -> bytes:
    """One event as a line: CRC-32 in eight hex digits, a space, compact JSON, a newline.

    Raises:
        ValueError: the event holds a number that is not finite, or a text that is no Unicode.
    """
    text = json.dumps(event, separators=(",", ":"), allow_nan=False)
    if "\\ud" in text:  # a surrogate; those of a pair may stand
        check_unicode(event)
    body = text.encode()
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
    except (ValueError, RecursionError):
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


class _Common:
    """The types of what every event of a run has, and of what its reader goes by."""

    seq: int
    attempt: int
    kind: str
    step: int | None
    episode: str
    metrics: dict[str, Any]


def read_run_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a run's own log; skips lines that are none, and damaged ones."""
    for _, event in read_events(path):
        try:
            check_fields(_Common, event)
        except ValueError:
            continue
        if {"seq", "attempt", "kind"} <= event.keys():
            yield event
