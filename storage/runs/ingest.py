"""Exactly-once ingestion: rows and the byte offset they came from share a transaction."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from engine.records.episodes import STAGES, check_episode_id
from engine.records.events import read_events
from engine.records.states import RunState
from engine.records.texts import check_fields
from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row, first_line
from storage.episodes.episode_rows import insert_rows
from storage.episodes.trajectories import TrajectoryStore

logger = logging.getLogger(__name__)

Placed = tuple[int, dict[str, Any]]  # an event and the offset after its line

BATCH = 1000  # events a transaction: short enough not to hold up other writers


class _Event:
    """The types of an event's values, where they have a meaning here."""

    seq: int
    attempt: int
    time: float
    kind: str
    step: int | None
    done: int
    total: int
    mono: float
    metrics: dict[str, Any]
    message: str
    phase: str
    error: str | None


class _Entry:
    """The types of a line of the ledger."""

    task: str
    start_id: int
    pool: str
    use: str
    policy: str | None
    success: bool


@dataclass
class _Batch:
    """What some consecutive events of a log amount to."""

    metrics: dict[tuple[int, str], Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    episodes: list[Row] = field(default_factory=list)
    changes: Row = field(default_factory=dict)

    def add(self, other: "_Batch") -> None:
        """Take in what came later."""
        self.metrics |= other.metrics
        self.events += other.events
        self.episodes += other.episodes
        self.changes |= other.changes


class Ingest:
    """Reads event logs and ledgers of run directories into the database.

    Args:
        root: holds one run directory per run, named as the run.
    """

    def __init__(self, database: Database, root: Path, trajectories: TrajectoryStore) -> None:
        self._database = database
        self._root = root
        self._trajectories = trajectories

    def ingest(self, run_id: str) -> int:
        """Take in what a run has written since the last time; how many events it was.

        Ends where the log ended when it got there: a worker that writes faster than this reads
        does not keep it here. Damaged lines are skipped. Of two values of one (step, name) the
        later attempt's stays.

        Raises:
            LookupError: no such run.
        """
        total = count = self._ingest_batch(run_id)
        while count == BATCH:
            count = self._ingest_batch(run_id)
            total += count
        self._ingest_ledger(run_id)
        return total

    def gone_on(self) -> list[str]:
        """Runs that rest in the database but whose logs have grown: the same command goes on."""
        return self._behind(("paused", "lost", "failed"))

    def behind(self) -> list[str]:
        """Every run whose log holds more than the database took in, such as after it was cut."""
        return self._behind(tuple(RunState))

    def _behind(self, states: Sequence[str]) -> list[str]:
        rows = self._database.read(
            "select id, event_offset from runs where state in (select unnest(?::text[]))"
            " order by id",
            [list(states)],
        )
        logs = ((row, self._root / row["id"] / "events.jsonl") for row in rows)
        return [
            row["id"]
            for row, log in logs
            if log.exists() and log.stat().st_size > row["event_offset"]
        ]

    def _ingest_batch(self, run_id: str) -> int:
        row = self._run(run_id)
        start = row["event_offset"]
        log = self._root / run_id / "events.jsonl"
        read = list(islice(read_events(log, start), BATCH))
        if not read:
            return 0
        batch = _Batch()
        for end, event in read:
            self._fold(run_id, row | batch.changes, (end, event), batch)
        try:
            return len(read) if self._store(run_id, start, batch) else 0
        except REFUSALS:
            self._store_each(run_id, read)
            return len(read)

    def _store(self, run_id: str, start: int, batch: _Batch) -> bool:
        """Store a batch, unless another thread took these events in."""

        def change(cursor: Cursor) -> bool:
            current = cursor.row("select event_offset from runs where id = ?", [run_id])
            if current is None or current["event_offset"] != start:
                return False
            cursor.insert("metrics", list(batch.metrics.values()), conflict=_HIGHEST_ATTEMPT)
            cursor.insert("run_events", batch.events, conflict="on conflict do nothing")
            insert_rows(cursor, batch.episodes)
            _update_run(cursor, run_id, batch.changes)
            return True

        return self._database.write(change)

    def _store_each(self, run_id: str, read: Sequence[Placed]) -> None:
        """Store events one by one; of one that the database refuses, that it is there."""
        for placed in read:
            row, single = self._run(run_id), _Batch()
            self._fold(run_id, row, placed, single)
            try:
                self._store(run_id, row["event_offset"], single)
            except REFUSALS as error:
                unread = _unread(run_id, placed[0], first_line(error))
                self._store(run_id, row["event_offset"], unread)

    def _fold(self, run_id: str, row: Row, placed: Placed, batch: _Batch) -> None:
        """Add an event to a batch; of one that cannot be read, that it is there."""
        end, event = placed
        try:
            batch.add(self._read(run_id, row, event))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            batch.add(_unread(run_id, end, str(error)))
        batch.changes["event_offset"] = end

    def _read(self, run_id: str, row: Row, event: dict[str, Any]) -> _Batch:
        check_fields(_Event, event)
        common = {name: event[name] for name in ("seq", "attempt", "time")}
        read = _Batch(changes=_first_and_last(row, common))
        match event["kind"]:
            case "metric":
                rows = _metric_rows(run_id, event, common)
                read.metrics = {(point["step"], point["name"]): point for point in rows}
                read.changes["step"] = max(event["step"], (row | read.changes)["step"] or 0)
            case "progress":
                read.changes |= _pace(row | read.changes, event)
            case "episode":
                read.episodes += self._episode_rows(run_id, event)
            case kind:
                text = json.dumps(event)
                read.events.append({"run": run_id, **common, "kind": kind, "event": text})
                read.changes |= _state(event)
        return read

    def _episode_rows(self, run_id: str, event: dict[str, Any]) -> list[Row]:
        name = check_episode_id(str(event["episode"]))
        run = self._root / run_id
        if stage := event.get("stage"):
            run = run / STAGES / check_episode_id(str(stage))
        directory = run / "episodes" / name
        try:
            row = self._trajectories.row_of(directory, run=run_id)
        except ValueError as error:
            logger.warning("run %s: skipped an episode: %s", run_id, error)
            return []
        return [row | {"created": event["time"]}]

    def _ingest_ledger(self, run_id: str) -> None:
        start = self._run(run_id)["ledger_offset"]
        path = self._root / run_id / "ledger.jsonl"
        if not path.exists() or path.stat().st_size == start:
            return
        rows, end = _ledger_rows(run_id, path, start)

        # Rows first, each of which is stored once: a kill before the offset only reads them again.
        conflict = "on conflict do nothing"
        for row, reason in self._database.insert_each("ledger", rows, conflict=conflict):
            logger.warning(
                "run %s: skipped ledger line at %d: %s", run_id, row["line_offset"], reason
            )
        self._database.write(lambda cursor: _update_run(cursor, run_id, {"ledger_offset": end}))

    def _run(self, run_id: str) -> Row:
        rows = self._database.read("select * from runs where id = ?", [run_id])
        if not rows:
            raise LookupError(f"there is no run {run_id}")
        return rows[0]


_HIGHEST_ATTEMPT = (
    "on conflict (run, step, name) do update set value = excluded.value, "
    "attempt = excluded.attempt, seq = excluded.seq, time = excluded.time "
    "where excluded.attempt >= metrics.attempt"
)


def _update_run(cursor: Cursor, run_id: str, changes: Row) -> None:
    assignments = ", ".join(f"{name} = ?" for name in changes)
    cursor.rows(f"update runs set {assignments} where id = ?", [*changes.values(), run_id])


def _metric_rows(run_id: str, event: dict[str, Any], common: Row) -> list[Row]:
    return [
        {"run": run_id, "step": event["step"], "name": name, "value": float(value), **common}
        for name, value in event["metrics"].items()
        if math.isfinite(value)
    ]


def _first_and_last(row: Row, common: Row) -> Row:
    changes = {"updated": common["time"]}
    if row["started"] is None:
        changes["started"] = common["time"]
    if common["attempt"] != row["attempt"]:
        changes |= {"attempt": common["attempt"], "step": None}
        changes |= {"pace_done": None, "pace_time": None}
    return changes


def _pace(row: Row, event: dict[str, Any]) -> Row:
    now = event.get("mono", event["time"])  # the pace does not know of the time of day
    changes = {
        "done": event["done"],
        "total": event["total"],
        "progress_time": now,
        "step": max(event["done"], row["step"] or 0),
    }
    if row["pace_time"] is None:
        changes |= {"pace_done": event["done"], "pace_time": now}
    return changes


def _state(event: dict[str, Any]) -> Row:
    if event["kind"] == "phase":  # what was counted belongs to the phase before
        return {"done": None, "total": None, "pace_done": None, "pace_time": None}
    if event["kind"] == "result":
        return {"result": json.dumps(event["metrics"])}
    if event["kind"] != "state":
        return {}
    if event["state"] not in tuple(RunState):
        raise ValueError(f"{event['state']!r} is no state of a run")
    return {"state": event["state"], "changed": event["time"], "error": event.get("error")}


def _unread(run_id: str, end: int, reason: str) -> _Batch:
    """An alarm in the place of a line that cannot be read; `end` is its last byte's offset."""
    message = f"an event of the log cannot be read (the line before byte {end}): {reason}"
    logger.warning("run %s: %s", run_id, message)
    event = {"seq": -end, "attempt": 0, "time": 0.0, "kind": "alarm", "message": message}
    common = {name: event[name] for name in ("seq", "attempt", "time", "kind")}
    row = {"run": run_id, **common, "event": json.dumps(event)}
    return _Batch(events=[row], changes={"event_offset": end})


def _ledger_rows(run_id: str, path: Path, start: int) -> tuple[list[Row], int]:
    rows: list[Row] = []
    end = start
    with path.open("rb") as stream:
        stream.seek(start)
        for line in stream:
            if not line.endswith(b"\n"):
                break
            position, end = end, end + len(line)
            try:
                entry = json.loads(line)
                names = ("task", "start_id", "pool", "use", "policy", "success")
                values = {name: entry[name] for name in names}
                check_fields(_Entry, values)
            except (LookupError, RecursionError, TypeError, ValueError):
                logger.warning("run %s: skipped a damaged ledger line", run_id)
                continue
            rows.append({"run": run_id, "line_offset": position, **values})
    return rows, end
