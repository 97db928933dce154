"""The supervisor's own log of a run: which processes it started and how they ended.

Every line says where the directory lay when it was written. A copy tells by that that it is one:
the processes named in it belong to the original.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.runs.processes import identity
from engine.records.events import encode_line, read_events
from engine.records.texts import check_fields

JOURNAL = "supervisor.jsonl"


@dataclass(frozen=True, kw_only=True)
class Spawned:
    """A worker process as it was when it was started.

    Attributes:
        identity: tells it from another process that was given the same pid later.
        slot: where it computes.
        memory_kills: `app.runs.processes.memory_kills` at that time.
    """

    pid: int
    identity: str
    slot: str
    memory_kills: int


def note(directory: Path, event: dict[str, Any]) -> None:
    """Append to the supervisor's own log of a run; it survives the app and the database."""
    with (directory / JOURNAL).open("a+b") as stream:
        end = stream.seek(0, 2)
        stream.seek(max(0, end - 1))
        torn = stream.read(1) not in (b"", b"\n")  # a full disk took only a part of a line
        line = encode_line({"time": time.time(), "home": _home(directory)} | event)
        stream.write(b"\n" * torn + line)


def is_ours(directory: Path) -> bool:
    """Whether a run was queued by a studio, and not made on the command line."""
    return (directory / JOURNAL).exists()


def owner(directory: Path) -> str:
    """The visitor who began a run; empty for the house."""
    for _, event in read_events(directory / JOURNAL):
        if event.get("event") == "queued":
            return str(event.get("owner") or "")
    return ""


def came_from_elsewhere(directory: Path) -> bool:
    """Whether the last line was written in another directory, of which this one is a copy."""
    homes = [event.get("home") for _, event in read_events(directory / JOURNAL)]
    return bool(homes) and homes[-1] not in (None, _home(directory))


def _home(directory: Path) -> str:
    """Where a directory lies; a copy has another place, or at least another number there."""
    place = directory.resolve()
    return f"{place.stat().st_ino} {place}"


def crashes(directory: Path) -> list[tuple[int | None, int]]:
    """Where workers crashed, as (checkpoint step, boundaries after it), since a person resumed the
    run or a worker last saved anything."""
    places: list[tuple[int | None, int]] = []
    saved = 0
    for _, event in read_events(directory / JOURNAL):
        if event.get("event") == "resume":
            places.clear()
        elif event.get("event") == "crash" and _are_numbers(event, "saved", "turns"):
            if event["saved"] > saved:
                places.clear()
            saved = max(saved, event["saved"])
            places.append((event.get("step"), event["turns"]))
    return places


def last_spawned(directory: Path) -> Spawned | None:
    """The last worker that was started for a run, here and not for the original of a copy."""
    notes, home = [], _home(directory)
    for _, event in read_events(directory / JOURNAL):
        if event.get("event") == "spawn" and event.get("home", home) == home:
            values: dict[str, Any] = {
                name: event.get(name) for name in Spawned.__dataclass_fields__
            }
            try:
                check_fields(Spawned, values)
            except ValueError:
                continue
            notes.append(values)
    return Spawned(**notes[-1]) if notes else None


def _are_numbers(event: dict[str, Any], *names: str) -> bool:
    return all(type(event.get(name)) is int for name in names)


def living_worker(directory: Path) -> Spawned | None:
    """The last worker that was started for a run, if it lives."""
    spawned = last_spawned(directory)
    return spawned if spawned and identity(spawned.pid) == spawned.identity else None
