"""Runs as the studio knows them: rows filled from the run directories' event logs."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.records.states import ENDED, RunState
from engine.records.texts import check_unicode
from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run. Its JSON is parsed when somebody asks for it: pages list every run at each poll.

    Attributes:
        state: what it is doing; `changed` is when it last changed (seconds since the epoch).
        done, total: progress in the job's own unit.
        started, updated: first and last event of the log.
        seconds_left: from the pace of the current attempt; None while unknown or at rest.
        attempt: how many worker processes have run it.
        step: largest step of this attempt with a metric or a progress report.
    """

    id: str
    job: str
    created: float
    state: RunState
    changed: float
    error: str | None
    done: int | None
    total: int | None
    started: float | None
    updated: float | None
    attempt: int
    step: int | None
    seconds_left: float | None
    config_text: str
    result_text: str | None

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The options of its job."""
        values: dict[str, Any] = json.loads(self.config_text)
        return values

    @cached_property
    def result(self) -> Mapping[str, Any] | None:
        """What the job returned; None until it has."""
        return None if self.result_text is None else json.loads(self.result_text)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the run any more."""
        return self.state.ended


class RunStore:
    """The runs of a data directory.

    Args:
        root: holds one run directory per run.

    Attributes:
        unreadable: why a directory is no run, by its name.
    """

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self.unreadable: dict[str, str] = {}

    def directory(self, run_id: str) -> Path:
        """The run directory of a run.

        Raises:
            LookupError: no such run.
        """
        return self._root / self.get(run_id).id

    def place(self, run_id: str) -> Path:
        """Where a run that is known lies; nothing is asked."""
        return self._root / run_id

    def phase(self, run_id: str) -> str:
        """What the newest attempt of a run said that it does; empty where it counts progress."""
        rows = self._database.read(
            "select event from run_events join runs on runs.id = run"
            " where run = ? and kind = 'phase' and run_events.attempt = runs.attempt"
            " order by seq desc limit 1",
            [run_id],
        )
        return str(json.loads(rows[0]["event"])["phase"]) if rows else ""

    def create(self, run_id: str, job: str, config: Mapping[str, Any]) -> RunRow:
        """Make a run directory with its `config.json` and queue the run.

        Raises:
            ValueError: there is a run of that id, or some text is no Unicode.
        """
        check_unicode(run_id, "the name of a run")
        check_unicode(config)
        directory = self._root / run_id
        try:
            directory.mkdir(parents=True)
        except FileExistsError as error:
            raise ValueError(f"there is already a run {run_id}") from error
        partial = directory / ".config.json"
        partial.write_text(json.dumps({"job": job, "config": dict(config)}, indent=1) + "\n")
        partial.replace(directory / "config.json")
        [newest] = self._database.read("select max(created) as created from runs")
        # The queue is in this order, whatever becomes of the clock.
        created = max(time.time(), (newest["created"] or 0.0) + 1e-3)
        self._insert(run_id, job, config, created)
        return self.get(run_id)

    def discover(self) -> list[str]:
        """Take in run directories that have no row yet; their ids.

        A rebuilt database finds its runs this way, and so do runs started on the command line.
        """
        known = {row["id"] for row in self._database.read("select id from runs")}
        found: list[str] = []
        for path in sorted(self._root.glob("*/config.json")):
            run_id = path.parent.name
            if run_id in known:
                continue
            try:
                spec = json.loads(path.read_text())
                check_unicode([run_id, spec])
                job, config = str(spec["job"]), dict(spec["config"])
                self._insert(run_id, job, config, path.stat().st_mtime)
            except (OSError, LookupError, RuntimeError, TypeError, ValueError, *REFUSALS) as error:
                self._leave_out(run_id, error)
                continue  # not a run directory of ours, or one still being made
            found.append(run_id)
        return found

    def _leave_out(self, run_id: str, error: Exception) -> None:
        reason = str(error)
        if self.unreadable.get(run_id) != reason:
            self.unreadable[run_id] = reason
            logger.warning("the run %r is left out: %s", run_id, reason)

    def get(self, run_id: str) -> RunRow:
        """The run of an id.

        Raises:
            LookupError: no such run.
        """
        rows = self._database.read("select * from runs where id = ?", [run_id])
        if not rows:
            raise LookupError(f"there is no run {run_id}")
        return _parse(rows[0])

    def all(self) -> list[RunRow]:
        """Every run, newest first."""
        return [
            _parse(row)
            for row in self._database.read("select * from runs order by created desc, id desc")
        ]

    def unfinished(self) -> list[RunRow]:
        """Runs that have not ended, oldest first."""
        rows = self._database.read(
            f"select * from runs where state not in ({', '.join('?' * len(ENDED))}) "
            "order by created, id",
            [str(state) for state in ENDED],
        )
        return [_parse(row) for row in rows]

    def set_state(self, run_id: str, state: RunState, error: str | None = None) -> None:
        """Record what the supervisor found out about a run."""

        def change(cursor: Cursor) -> None:
            cursor.rows(
                "update runs set state = ?, error = ?, changed = ? where id = ?",
                [str(state), error, time.time(), run_id],
            )

        self._database.write(change)

    def events(self, run_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The newest events but metrics and progress, newest first; what cannot be read before."""
        rows = self._database.read(
            "select event from run_events where run = ? order by seq < 0 desc, seq desc limit ?",
            [run_id, limit],
        )
        return [json.loads(row["event"]) for row in rows]

    def iterations(self, run_id: str) -> list[int]:
        """Iterations of which groups of episodes were kept, ascending."""
        rows = self._database.read(
            "select distinct iteration from episodes where run = ? and iteration is not null "
            "and group_name is not null order by iteration",
            [run_id],
        )
        return [row["iteration"] for row in rows]

    def ledger(self, *, run: str | None = None) -> list[Row]:
        """Real episodes and what they were used for (design.md §4), of one run or of all."""
        return self._database.read(
            "select run, task, start_id, pool, use, policy, success from ledger "
            "where ? is null or run = ? order by run, line_offset",
            [run, run],
        )

    def ledger_counts(self) -> list[Row]:
        """How many real episodes of a task were used for what: task, pool, use, episodes,
        successes."""
        return self._database.read(
            "select task, pool, use, count(*) as episodes, "
            "count(*) filter (success) as successes from ledger "
            "group by task, pool, use order by task, pool, use"
        )

    def overlaps(self) -> list[Row]:
        """Starts that were used for more than one thing: the pools should make this empty."""
        return self._database.read(
            "select task, start_id, list_sort(list(distinct use)) as uses from ledger "
            "group by task, start_id having count(distinct use) > 1 order by task, start_id"
        )

    def _insert(self, run_id: str, job: str, config: Mapping[str, Any], created: float) -> None:
        row = {
            "id": run_id,
            "job": job,
            "config": json.dumps(dict(config)),
            "created": created,
            "state": str(RunState.QUEUED),
            "changed": created,
            "event_offset": 0,
            "ledger_offset": 0,
            "attempt": 0,
        }
        conflict = "on conflict (id) do nothing"  # `discover` may have seen it first
        self._database.write(lambda cursor: cursor.insert("runs", [row], conflict=conflict))


def _parse(row: Row) -> RunRow:
    return RunRow(
        id=row["id"],
        job=row["job"],
        config_text=row["config"],
        created=row["created"],
        state=RunState(row["state"]),
        changed=row["changed"],
        error=row["error"],
        done=row["done"],
        total=row["total"],
        started=row["started"],
        updated=row["updated"],
        attempt=row["attempt"],
        step=row["step"],
        seconds_left=_seconds_left(row),
        result_text=row["result"],
    )


def _seconds_left(row: Row) -> float | None:
    if row["state"] not in ("running", "pausing", "stopping") or row["pace_time"] is None:
        return None
    advanced = row["done"] - row["pace_done"]
    elapsed = row["progress_time"] - row["pace_time"]
    if advanced <= 0 or elapsed <= 0:
        return None
    return float(elapsed / advanced * max(row["total"] - row["done"], 0))
