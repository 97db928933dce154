"""Does the database say what the files say? It is rebuilt from them in memory, and compared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.cabinet import Cabinet
from storage.database import Database, Row
from storage.episodes.trajectories import TrajectoryStore
from storage.events.event_log import EventLog
from storage.runs.ingest import Ingest
from storage.runs.runs import RunStore

MOST_PROBLEMS = 50
# Facts of the moment at which a row was made, where its files do not say it; and of the place.
_OF_THE_MOMENT = {"created", "location"}


@dataclass(frozen=True)
class Comparison:
    """One kind of thing, counted in the database and in what the files make.

    Attributes:
        differences: one sentence each, at most `MOST_PROBLEMS`.
    """

    kind: str
    database: int
    files: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare(
    cabinet: Cabinet, *, demo: Path, progress: Callable[[int, int], None]
) -> list[Comparison]:
    """Rebuild labels, preferences, runs and episodes in memory and compare them with the database.

    Runs that are still at work are left out: their logs grow while they are read.
    """
    own, space = cabinet.database, cabinet.workspace
    logs = cabinet.logs
    said = [log.events() for log in logs]
    runs = [run.id for run in cabinet.runs.all() if run.ended]
    total = 2 + len(runs)
    scratch = Database(None, exports=space.exports)
    try:
        twins = (space.label_twin, space.preference_twin)
        rebuilt = [EventLog(scratch, twin, log.kind) for twin, log in zip(twins, logs, strict=True)]
        found = [_log(events, log) for events, log in zip(said, rebuilt, strict=True)]
        progress(1, total)
        trajectories = TrajectoryStore(scratch, space.root, str(space.episodes))
        trajectories.scan(space.episodes)
        trajectories.scan(demo / "episodes")
        progress(2, total)
        store = RunStore(scratch, space.runs)
        store.discover()
        ingest = Ingest(scratch, space.runs, trajectories)
        for number, run in enumerate(runs, start=3):
            if (space.runs / run / "config.json").is_file():
                ingest.ingest(run)
            progress(number, total)
        return [
            *found,
            _same("episodes", _episodes(own, runs), _episodes(scratch, runs)),
            _same("metrics of runs", _metrics(own, runs), _metrics(scratch, runs)),
            _same("events of runs", _events(own, runs), _events(scratch, runs)),
        ]
    finally:
        scratch.close()


def _log(events: list[Row], rebuilt: EventLog) -> Comparison:
    # Something may have been said between the two readings: the log only grows.
    kind = rebuilt.kind.nouns
    database = {event["event_id"]: event for event in events}
    files = {event["event_id"]: event for event in rebuilt.events()}
    if len(files) > len(database):
        files = {name: event for name, event in files.items() if name in database}
    found = _same(kind, database, files)
    broken = rebuilt.first_broken_link()
    if broken is None:
        return found
    chain = f"the chain of hashes breaks at event {broken}"
    return Comparison(kind, found.database, found.files, (chain, *found.differences))


def _episodes(database: Database, runs: list[str]) -> dict[str, Any]:
    rows = database.read(
        "select * from episodes where run is null or run in (select unnest(?::text[]))"
        " or not starts_with(location, 'runs/')",
        [runs],
    )
    return {
        row["id"]: {name: value for name, value in row.items() if name not in _OF_THE_MOMENT}
        for row in rows
    }


def _metrics(database: Database, runs: list[str]) -> dict[str, Any]:
    rows = database.read(
        "select run, step, name, value from metrics where run in (select unnest(?::text[]))",
        [runs],
    )
    return {f"{row['run']} {row['name']} {row['step']}": row["value"] for row in rows}


def _events(database: Database, runs: list[str]) -> dict[str, Any]:
    rows = database.read(
        "select run, seq, event from run_events where run in (select unnest(?::text[]))", [runs]
    )
    return {f"{row['run']} {row['seq']}": row["event"] for row in rows}


def _same(kind: str, database: dict[str, Any], files: dict[str, Any]) -> Comparison:
    words = [f"{name} is in the files alone" for name in sorted(files.keys() - database.keys())]
    words += [f"{name} is in the database alone" for name in sorted(database.keys() - files.keys())]
    words += [
        f"{name} differs"
        for name in sorted(files.keys() & database.keys())
        if files[name] != database[name]
    ]
    return Comparison(kind, len(database), len(files), tuple(words[:MOST_PROBLEMS]))
