"""Exactly-once ingestion: rows and the byte offset they came from share a transaction."""

import json
import logging
import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from engine.records.events import read_events
from storage.database import Cursor, Database, Row
from storage.episodes.trajectories import TrajectoryStore, insert_rows

logger = logging.getLogger(__name__)

BATCH = 1000  # events a transaction: short enough not to hold up other writers


@dataclass
class _Batch:
    """What some consecutive events of a log amount to."""

    metrics: dict[tuple[int, str], Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    episodes: list[Row] = field(default_factory=list)
    changes: Row = field(default_factory=dict)


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
        rows = self._database.read(
            "select id, event_offset from runs where state in ('paused', 'lost', 'failed')"
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
        batch = _Batch(changes={"event_offset": read[-1][0]})
        for _, event in read:
            self._fold(run_id, row | batch.changes, event, batch)

        def change(cursor: Cursor) -> int:
            current = cursor.row("select event_offset from runs where id = ?", [run_id])
            if current is None or current["event_offset"] != start:
                return 0  # another thread took these events in
            cursor.insert("metrics", list(batch.metrics.values()), conflict=_HIGHEST_ATTEMPT)
            cursor.insert("run_events", batch.events, conflict="on conflict do nothing")
            insert_rows(cursor, batch.episodes)
            _update_run(cursor, run_id, batch.changes)
            return len(read)

        return self._database.write(change)

    def _fold(self, run_id: str, row: Row, event: dict[str, Any], batch: _Batch) -> None:
        try:
            common = {name: event[name] for name in ("seq", "attempt", "time")}
            batch.changes |= _first_and_last(row, common)
            match event["kind"]:
                case "metric":
                    rows = _metric_rows(run_id, event, common)
                    batch.metrics |= {(point["step"], point["name"]): point for point in rows}
                    reached = (row | batch.changes)["step"] or 0
                    batch.changes["step"] = max(event["step"], reached)
                case "progress":
                    batch.changes |= _pace(row | batch.changes, event)
                case "episode":
                    batch.episodes.append(self._episode_row(run_id, event))
                case kind:
                    text = json.dumps(event)
                    batch.events.append({"run": run_id, **common, "kind": kind, "event": text})
                    batch.changes |= _state(event)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("run %s: skipped an event: %s", run_id, error)

    def _episode_row(self, run_id: str, event: dict[str, Any]) -> Row:
        directory = self._root / run_id / "episodes" / str(event["episode"])
        row = self._trajectories.row_of(directory, run=run_id)
        return row | {"created": event["time"]}

    def _ingest_ledger(self, run_id: str) -> None:
        start = self._run(run_id)["ledger_offset"]
        path = self._root / run_id / "ledger.jsonl"
        if not path.exists() or path.stat().st_size == start:
            return
        rows, end = _ledger_rows(run_id, path, start)

        def change(cursor: Cursor) -> None:
            cursor.insert("ledger", rows, conflict="on conflict do nothing")
            _update_run(cursor, run_id, {"ledger_offset": end})

        self._database.write(change)

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
    if event["kind"] == "result":
        return {"result": json.dumps(event["metrics"])}
    if event["kind"] != "state":
        return {}
    return {"state": event["state"], "changed": event["time"], "error": event.get("error")}


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
            except (ValueError, KeyError, TypeError):
                logger.warning("run %s: skipped a damaged ledger line", run_id)
                continue
            rows.append({"run": run_id, "line_offset": position, **values})
    return rows, end
