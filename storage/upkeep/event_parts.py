"""What people said as immutable parts on a shelf elsewhere, and taken in from there.

A part is `ROOM/LOG/FIRST-LAST.jsonl`: the events of those places in a log, one CRC-checked line
each, as in the twin. ROOM says of which kind they are, `labels` or `preferences`; LOG is the
beginning of the hash of the log's first event, so parts of two studios never meet. A part is
written once and never changed; what is not there yet is one more part. The database itself never
leaves the studio.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.records.durable import write_json_durably
from engine.records.events import decode_line, encode_line
from storage.database import Row
from storage.events.event_log import EventLog
from storage.events.labels import LABELS
from storage.events.preferences import PREFERENCES
from storage.exports.events import labels, preferences
from storage.exports.events.tables import EventTable, ImportReport, Placed, import_placed
from storage.upkeep.shelves import Shelf

MOST_PARTS = 100_000
_TABLES: Mapping[str, EventTable[Any]] = {
    LABELS.nouns: labels.TABLE,
    PREFERENCES.nouns: preferences.TABLE,
}
_PART = re.compile(r"[a-z]+/([0-9a-f]{12})/(\d{9})-(\d{9})\.jsonl")


@dataclass(frozen=True)
class SyncStatus:
    """How much of a log is on a shelf.

    Attributes:
        synced: the last place in the log that is there.
        events: the last place in the log here.
        parts: of this log, on the shelf.
    """

    synced: int
    events: int
    parts: int


NOTHING = SyncStatus(0, 0, 0)


def status(shelf: Shelf, log: EventLog) -> SyncStatus:
    """How far a log is synced; gaps between parts count as not there."""
    events = log.events()
    return _status(_parts(shelf, log.kind.nouns, _name(events)), events) if events else NOTHING


def push(shelf: Shelf, log: EventLog) -> SyncStatus:
    """Write what the shelf lacks, as one part; the status then.

    Raises:
        ValueError: the shelf has other events in their places: two studios, one of them restored
            from the other, went on with one log.
    """
    events = log.events()
    if not events:
        return NOTHING
    room, name = log.kind.nouns, _name(events)
    parts = _parts(shelf, room, name)
    _check_same(shelf, room, name, parts, events)
    fresh = events[_covered(parts) :]
    if fresh:
        part = _part(room, name, fresh[0]["seq"], fresh[-1]["seq"])
        shelf.write(part, b"".join(map(encode_line, fresh)))
        parts = _parts(shelf, room, name)  # as the shelf has them now
    return _status(parts, events)


def pull(shelf: Shelf, logs: Sequence[EventLog], *, dry_run: bool) -> dict[str, ImportReport]:
    """Take in the events of every log on a shelf; a report by kind.

    With a problem in any part, of whatever kind, nothing is stored. A crash may leave some events
    stored: taking them in again adds the rest.

    Raises:
        ValueError: there are no parts at all.
    """
    placed = {log.kind.nouns: list(_read_room(shelf, log.kind.nouns)) for log in logs}
    if not any(placed.values()):
        raise ValueError(f"there are no parts of {' or '.join(placed)}")

    def take(dry: bool) -> dict[str, ImportReport]:
        return {
            log.kind.nouns: import_placed(log, placed[log.kind.nouns], dry_run=dry) for log in logs
        }

    found = take(True)
    refused = any(report.problems for report in found.values())
    return found if dry_run or refused else take(False)


def _check_same(
    shelf: Shelf, room: str, log: str, parts: Sequence[tuple[int, int]], events: Sequence[Row]
) -> None:
    """Whether the last event that is here and there is one: its hash speaks of all before it."""
    common = [(first, last) for first, last in parts if first <= len(events)]
    if not common:
        return
    part, place = _part(room, log, *common[-1]), min(common[-1][1], len(events))
    there = [decode_line(line) for line in shelf.read(part).splitlines()]
    if not any(one and one.get("hash") == events[place - 1]["hash"] for one in there):
        raise ValueError(f"{part} holds no event {place} of this studio: sync to another place")


def _read_room(shelf: Shelf, room: str) -> Iterator[Placed[Any]]:
    for log, parts in sorted(_logs(shelf, room).items()):
        yield from _read_log(shelf, room, log, parts)


def _read_log(
    shelf: Shelf, room: str, log: str, parts: Sequence[tuple[int, int]]
) -> Iterator[Placed[Any]]:
    """Every event of a log once, with its part and line; what is wrong with a part ends the log."""
    table, reached = _TABLES[room], 0
    for first, last in parts:
        name = _part(room, log, first, last)
        if first > reached + 1:
            yield name, "the events before it are missing"
            return
        lines = shelf.read(name).splitlines(keepends=True)
        if len(lines) != last - first + 1:
            yield name, f"it has {len(lines)} lines, not {last - first + 1}"
            return
        for number, line in enumerate(lines, start=1):
            seq = first + number - 1
            values = partial(_values, line, seq=seq, log=log)
            if seq > reached:
                yield table.placed(f"{name}, line {number}", values)
        reached = max(reached, last)


def _values(line: bytes, *, seq: int, log: str) -> Row:
    """The values of a line, which is to be that event of a log."""
    values = decode_line(line)
    if values is None:
        raise ValueError("it is damaged")
    if values.get("seq", seq) != seq:
        raise ValueError(f"it is event {values['seq']} of its log, not {seq}")
    if seq == 1 and not str(values.get("hash")).startswith(log):
        raise ValueError("it is the first event of another log")
    return values


def _name(events: Sequence[Row]) -> str:
    return str(events[0]["hash"])[:12]


def _part(room: str, log: str, first: int, last: int) -> str:
    return f"{room}/{log}/{first:09d}-{last:09d}.jsonl"


def _logs(shelf: Shelf, room: str) -> dict[str, list[tuple[int, int]]]:
    """(first, last) of each part, in order, of every log in a room."""
    names = shelf.names(room)
    if len(names) > MOST_PARTS:
        raise ValueError(f"there are {len(names)} files, more than any log has parts")
    logs: dict[str, list[tuple[int, int]]] = {}
    for part in filter(None, map(_PART.fullmatch, names)):
        logs.setdefault(part[1], []).append((int(part[2]), int(part[3])))
    return {log: sorted(parts) for log, parts in logs.items()}


def _parts(shelf: Shelf, room: str, log: str) -> list[tuple[int, int]]:
    return _logs(shelf, room).get(log, [])


def _status(parts: Sequence[tuple[int, int]], events: Sequence[Row]) -> SyncStatus:
    return SyncStatus(_covered(parts), events[-1]["seq"], len(parts))


def _covered(parts: Sequence[tuple[int, int]]) -> int:
    """The last place in a log up to which parts leave no gap."""
    covered = 0
    for first, last in parts:
        if first > covered + 1:
            break
        covered = max(covered, last)
    return covered


def remember(path: Path, target: str, synced: Mapping[str, int]) -> None:
    """Keep where the parts go and how far each log is."""
    write_json_durably(path, {"target": target, "at": time.time(), "synced": dict(synced)})


def remembered(path: Path) -> dict[str, Any]:
    """{target, at, synced: {kind: last place}} of the last success; empty if there was none."""
    values: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if isinstance(values.get("synced"), int):  # when labels alone were synced
        values["synced"] = {LABELS.nouns: values["synced"]}
    return values
