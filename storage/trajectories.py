"""Trajectories: episode directories, reached through fsspec, and one index row each."""

import dataclasses
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from engine.episodes import check_episode_id, episode_record, read_episode
from engine.types import Label, Trajectory
from storage.database import Cursor, Database, Row
from storage.episode_files import local_copy, put_episode

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """What the index knows of an episode.

    Attributes:
        probability: largest success probability of its windows, where it was judged.
        threshold: probability that counted as success then.
        group_name, member, advantage, reward: its place in a group of a run, where it had one.
        created: seconds since the epoch.
        label: the label that stands, where there is one.
    """

    id: str
    task: str
    start_id: int
    instruction: str
    imagined: bool
    success: bool
    end_step: int
    num_actions: int
    probability: float | None
    threshold: float | None
    run: str | None
    iteration: int | None
    group_name: str | None
    member: int | None
    advantage: float | None
    reward: float | None
    lineage: Mapping[str, Any]
    location: str
    created: float
    label: Label | None = None


@dataclass(frozen=True, kw_only=True)
class EpisodeFilter:
    """Which episodes; None means any. `guest` says whose labels count as labelled."""

    task: str | None = None
    imagined: bool | None = None
    run: str | None = None
    iteration: int | None = None
    labelled: bool | None = None
    guest: bool = False


# Orders a caller may ask for; text from a user never reaches SQL.
ORDERS = {
    "newest first": "created desc, id",
    "oldest first": "created, id",
    "by id": "id",
    "unlabelled first": "(label is not null), created desc, id",
    "closest to the threshold": "abs(probability - threshold) nulls last, id",
}


def index_id(run: str | None, episode_id: str) -> str:
    """The studio-wide name of an episode: those of a run carry the run's id.

    Two runs of one config record episodes of the same names.
    """
    if run is None or episode_id.startswith(run):
        return episode_id
    return f"{run}.{episode_id}"


class TrajectoryStore:
    """Implements `TrajectoryStore` (engine/protocols.py) over files and DuckDB.

    Args:
        root: the data directory; locations inside it are kept relative, so it may be moved.
        episodes: where `add` puts episodes: a directory or any fsspec URI.
    """

    def __init__(self, database: Database, root: Path, episodes: str) -> None:
        self._database = database
        self._root = root
        self._episodes = episodes

    def add(self, trajectory: Trajectory) -> str:
        """Store an episode and index it; an id that is there already is kept as it is."""
        location = f"{self._episodes.rstrip('/')}/{check_episode_id(trajectory.id)}"
        put_episode(self._episodes, trajectory)
        row = self.row(episode_record(trajectory), trajectory.arrays, location)
        self.index([row])
        return trajectory.id

    def get(self, episode_id: str) -> Trajectory:
        """The stored trajectory, under its studio-wide id.

        Raises:
            LookupError: no such episode.
            ValueError: its files cannot be read.
        """
        row = self.find(episode_id)
        with local_copy(self._absolute(row.location)) as directory:
            trajectory = read_episode(directory)
        return dataclasses.replace(trajectory, id=row.id)

    def ids(
        self, *, task: str | None = None, imagined: bool | None = None, run: str | None = None
    ) -> list[str]:
        """Ids of the episodes that fit, sorted."""
        wanted = EpisodeFilter(task=task, imagined=imagined, run=run)
        return [row.id for row in self.episodes(wanted, order="by id")]

    def find(self, episode_id: str, *, guest: bool = False) -> EpisodeRow:
        """The index row of an episode.

        Raises:
            LookupError: no such episode.
        """
        sql, values = _query(EpisodeFilter(guest=guest), "where id = ?", [episode_id])
        rows = self._database.read(sql, values)
        if not rows:
            raise LookupError(f"there is no episode {episode_id}")
        return _parse(rows[0])

    def find_all(self, episode_ids: Sequence[str]) -> dict[str, EpisodeRow]:
        """The index rows of those ids that there are, without labels."""
        rows = self._database.read(
            "select *, null as label from episodes where id in (select unnest(?::text[]))",
            [list(episode_ids)],
        )
        return {row["id"]: _parse(row) for row in rows}

    def episodes(
        self,
        wanted: EpisodeFilter,
        *,
        order: str = "newest first",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[EpisodeRow]:
        """Index rows that fit, in one of `ORDERS`.

        Raises:
            ValueError: another order.
        """
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
        conditions, values = _conditions(wanted)
        tail = f"{conditions} order by {ORDERS[order]} limit ? offset ?"
        sql, values = _query(wanted, tail, [*values, limit, offset])
        return [_parse(row) for row in self._database.read(sql, values)]

    def count(self) -> int:
        """How many episodes there are."""
        [row] = self._database.read("select count(*) as episodes from episodes")
        return int(row["episodes"])

    def index(self, rows: Sequence[Row]) -> None:
        """Insert index rows; ids that are there already are kept."""
        self._database.write(lambda cursor: insert_rows(cursor, rows))

    def scan(self, root: Path, *, run: str | None = None) -> int:
        """Index the episodes under a directory that are not indexed yet; how many they were."""
        if not root.is_dir():
            return 0
        known = {row["id"] for row in self._database.read("select id from episodes")}
        fresh = [
            path.parent
            for path in sorted(root.glob("*/episode.json"))
            if index_id(run, path.parent.name) not in known
        ]
        rows: list[Row] = []
        for directory in fresh:
            try:
                rows.append(self.row_of(directory, run=run))
            except ValueError as error:
                logger.warning("left out of the index: %s", error)
        self.index(rows)
        return len(rows)

    def row_of(self, directory: Path, *, run: str | None = None) -> Row:
        """The index row of an episode directory, without reading its frames.

        Raises:
            ValueError: the directory is not a whole, readable episode.
        """
        try:
            record = json.loads((directory / "episode.json").read_text())
            with np.load(directory / "episode.npz", allow_pickle=False) as archive:
                arrays = {
                    name: archive[name]
                    for name in ("window_probabilities",)
                    if name in archive.files
                }
            return self.row(record, arrays, str(directory), run=run)
        except (OSError, EOFError, BadZipFile, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{directory} is not a readable episode: {error}") from error

    def row(
        self,
        record: Mapping[str, Any],
        arrays: Mapping[str, Any],
        location: str,
        *,
        run: str | None = None,
    ) -> Row:
        """The index row of an episode record (`engine.episodes.episode_record`)."""
        lineage = record["lineage"]
        probabilities = arrays.get("window_probabilities", np.zeros(0, np.float32))
        group = lineage.get("group")
        return {
            "id": check_episode_id(index_id(run, record["id"])),
            "task": record["task"],
            "start_id": record["start_id"],
            "instruction": record["instruction"],
            "imagined": record["imagined"],
            "success": record["success"],
            "end_step": record["end_step"],
            "num_actions": record["num_actions"],
            "probability": round(float(np.max(probabilities)), 4) if len(probabilities) else None,
            "threshold": lineage.get("threshold", record["replay"].get("threshold")),
            "run": run or lineage.get("run"),
            "iteration": lineage.get("iteration"),
            "group_name": None if group is None else str(group),
            "member": lineage.get("member"),
            "advantage": lineage.get("advantage"),
            "reward": lineage.get("reward"),
            "lineage": json.dumps(lineage),
            "location": self._relative(location),
            "created": lineage.get("created") or time.time(),
        }

    def _relative(self, location: str) -> str:
        path = Path(location)
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else location

    def _absolute(self, location: str) -> str:
        if "://" in location or Path(location).is_absolute():
            return location
        return str(self._root / location)


def insert_rows(cursor: Cursor, rows: Sequence[Row]) -> None:
    """Insert index rows inside a transaction; ids that are there already are kept."""
    unique = {row["id"]: row for row in rows}
    cursor.insert("episodes", list(unique.values()), conflict="on conflict (id) do nothing")


def _query(wanted: EpisodeFilter, tail: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    sql = (
        "select episodes.*, current.event as label from episodes "
        "left join (select episode_id, event from current_labels where guest = ?) as current "
        f"on current.episode_id = episodes.id {tail}"
    )
    return sql, [wanted.guest, *values]


def _conditions(wanted: EpisodeFilter) -> tuple[str, list[Any]]:
    columns: dict[str, Any] = {
        "task": wanted.task,
        "imagined": wanted.imagined,
        "run": wanted.run,
        "iteration": wanted.iteration,
    }
    asked = {name: value for name, value in columns.items() if value is not None}
    clauses = [f"{name} = ?" for name in asked]
    if wanted.labelled is not None:
        clauses.append(f"label is {'not ' if wanted.labelled else ''}null")
    return (f"where {' and '.join(clauses)}" if clauses else ""), list(asked.values())


def _parse(row: Row) -> EpisodeRow:
    label = row.pop("label")
    if label is not None:
        values = json.loads(label)
        names = [field.name for field in dataclasses.fields(Label)]
        label = Label(**{name: values[name] for name in names})
    return EpisodeRow(**row | {"lineage": json.loads(row["lineage"])}, label=label)
