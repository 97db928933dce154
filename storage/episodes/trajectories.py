"""Trajectories: episode directories, reached through fsspec, and one index row each."""

import dataclasses
import json
import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from engine.records.episodes import (
    check_episode_id,
    episode_record,
    index_id,
    read_episode,
)
from engine.records.types import Label, Trajectory, is_judged
from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row, first_line
from storage.episodes.episode_files import local_copy, put_episode, remove_episode
from storage.episodes.episode_filter import JOINED, EpisodeFilter, order_clause
from storage.episodes.episode_rows import index_row, insert_rows
from storage.events.labels import LabelEvent

logger = logging.getLogger(__name__)

# All that json, zipfile and numpy were seen to raise on a damaged or a foreign episode.
_UNREADABLE = (
    *(OSError, EOFError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    *(BadZipFile, zlib.error),
)


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """What the index knows of an episode.

    Attributes:
        probability: largest success probability of its windows, where it was judged.
        threshold: probability that counted as success then.
        group_name, member, advantage, reward: its place in a group of a run, where it had one.
        created: seconds since the epoch.
        policy, world_model, reward_model: hashes of the checkpoints that made and judged it.
        drift: `latent_drift` of its last frame, where its latents are stored.
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
    policy: str | None = None
    world_model: str | None = None
    reward_model: str | None = None
    drift: float | None = None
    label: Label | None = None

    @property
    def judged(self) -> bool:
        """As `Trajectory.judged`."""
        return is_judged(self.lineage)


class TrajectoryStore:
    """Keeps trajectories as files, and their index in DuckDB.

    Args:
        root: the data directory; locations inside it are kept relative, so it may be moved.
        episodes: where `add` puts episodes: a directory or any fsspec URI.

    Attributes:
        unreadable: why a directory was left out of the index, by its name.
    """

    def __init__(self, database: Database, root: Path, episodes: str) -> None:
        self._database = database
        self._root = root
        self._episodes = episodes
        self.unreadable: dict[str, str] = {}

    def add(self, trajectory: Trajectory) -> str:
        """Store an episode and index it; an id that is there already is kept as it is.

        Raises:
            ValueError: no index can hold its record; nothing was stored.
        """
        location = f"{self._episodes.rstrip('/')}/{check_episode_id(trajectory.id)}"
        row = self.row(episode_record(trajectory), trajectory.arrays, location)

        def change(cursor: Cursor) -> None:
            insert_rows(cursor, [row])
            put_episode(self._episodes, trajectory)  # once, however often it is tried

        try:
            self._database.write(change)
        except REFUSALS as error:
            raise ValueError(f"the episode cannot be stored: {first_line(error)}") from error
        return trajectory.id

    def remove(self, episode_ids: Sequence[str]) -> None:
        """Take back what `add` stored, rows first; what is not there is gone already."""
        names = [check_episode_id(name) for name in episode_ids]
        self._database.write(
            lambda cursor: cursor.rows(
                "delete from episodes where id in (select unnest(?::text[]))", [names]
            )
        )
        for name in names:
            remove_episode(self._episodes, name)

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
        rows = self._database.read(f"{_SELECT} where id = ?", [guest, episode_id])
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

    def directories(self, episode_ids: Sequence[str]) -> dict[str, Path]:
        """Where the episodes are that are on this machine, by id."""
        rows = self.find_all(episode_ids).values()
        places = {row.id: Path(self._absolute(row.location)) for row in rows}
        return {name: path for name, path in places.items() if path.is_dir()}

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
        where, values = wanted.where()
        sql = f"{_SELECT} {where} {order_clause(order)} limit ? offset ?"
        rows = self._database.read(sql, [wanted.guest, *values, limit, offset])
        return [_parse(row) for row in rows]

    def groups(
        self, wanted: EpisodeFilter, *, limit: int, offset: int = 0
    ) -> list[list[EpisodeRow]]:
        """Whole groups of siblings with a member that fits, newest first, members in order."""
        where, values = dataclasses.replace(wanted, groups=True).where()
        named = self._database.read(
            f"select min(id) as id {JOINED} {where} group by run, iteration, group_name"
            " order by max(created) desc, group_name, run limit ? offset ?",
            [wanted.guest, *values, limit, offset],
        )
        first = self.find_all([row["id"] for row in named])
        return [self.siblings(first[row["id"]], guest=wanted.guest) for row in named]

    def siblings(self, row: EpisodeRow, *, guest: bool = False) -> list[EpisodeRow]:
        """The members of an episode's group, itself included; none where it has no group."""
        if row.group_name is None:
            return []
        rows = self._database.read(
            f"{_SELECT} where group_name = ? and run is not distinct from ?"
            " and iteration is not distinct from ? order by member, id",
            [guest, row.group_name, row.run, row.iteration],
        )
        return [_parse(found) for found in rows]

    def matching(self, wanted: EpisodeFilter) -> tuple[int, int]:
        """How many episodes fit, and how many groups have a member that fits."""
        where, values = wanted.where()
        [row] = self._database.read(
            "select count(*) as episodes, count(distinct (run, iteration, group_name))"
            f" filter (group_name is not null) as groups {JOINED} {where}",
            [wanted.guest, *values],
        )
        return int(row["episodes"]), int(row["groups"])

    def facets(self, *, guest: bool = False) -> dict[str, list[tuple[Any, int]]]:
        """The values that filters can ask for, each with its number of episodes, by name."""
        columns = {name: name for name in ("run", "task", "policy", "world_model", "reward_model")}
        columns["failure_mode"] = "json_extract_string(event, 'failure_mode')"
        found: dict[str, list[tuple[Any, int]]] = {}
        for name, column in columns.items():
            rows = self._database.read(
                f"select {column} as value, count(*) as episodes {JOINED}"
                f" where {column} is not null"
                " group by value order by episodes desc, value limit 50",
                [guest],
            )
            found[name] = [(row["value"], row["episodes"]) for row in rows]
        return found

    def count(self) -> int:
        """How many episodes there are."""
        [row] = self._database.read("select count(*) as episodes from episodes")
        return int(row["episodes"])

    def index(self, rows: Sequence[Row]) -> list[tuple[Row, str]]:
        """Insert index rows; ids that are there already are kept. Those that are refused, and why.

        Halves what is refused, so that one bad row holds up no other.
        """
        try:
            self._database.write(lambda cursor: insert_rows(cursor, rows))
            return []
        except REFUSALS as error:
            if len(rows) == 1:
                return [(rows[0], first_line(error))]
        middle = len(rows) // 2
        return [*self.index(rows[:middle]), *self.index(rows[middle:])]

    def scan(self, root: Path, *, run: str | None = None) -> int:
        """Index the episodes under a directory that are not indexed yet; how many they were."""
        if not root.is_dir():
            return 0
        known = {row["id"] for row in self._database.read("select id from episodes")}
        # The names alone: what is known is not looked into, however many episodes there are.
        unknown = sorted(name for name in os.listdir(root) if index_id(run, name) not in known)
        fresh = [root / name for name in unknown if (root / name / "episode.json").is_file()]
        rows: list[Row] = []
        for directory in fresh:
            try:
                rows.append(self.row_of(directory, run=run))
            except ValueError as error:
                self._leave_out(directory, str(error))
        refused = self.index(rows)
        for row, reason in refused:
            self._leave_out(Path(row["location"]), reason)
        return len(rows) - len(refused)

    def _leave_out(self, directory: Path, reason: str) -> None:
        self.unreadable[directory.name] = reason
        logger.warning("%s is left out of the index: %s", directory, reason)

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
                    for name in ("window_ends", "window_probabilities", "latents")
                    if name in archive.files
                }
            return self.row(record, arrays, str(directory), run=run)
        except _UNREADABLE as error:
            raise ValueError(f"{directory} is not a readable episode: {error}") from error

    def row(
        self,
        record: Mapping[str, Any],
        arrays: Mapping[str, Any],
        location: str,
        *,
        run: str | None = None,
    ) -> Row:
        """The index row of an episode record (`engine.records.episodes.episode_record`)."""
        return index_row(record, arrays, self._relative(location), run=run)

    def read_windows(self, location: str) -> tuple[list[int], list[float]]:
        """(ends, probabilities) of the windows in an episode's files; empty if it was not judged.

        Args:
            location: of an index row.

        Raises:
            ValueError: its files cannot be read.
        """
        try:
            with (
                local_copy(self._absolute(location)) as directory,
                np.load(directory / "episode.npz", allow_pickle=False) as archive,
            ):
                if "window_ends" not in archive.files:
                    return [], []
                return _listed(archive["window_ends"]), _listed(archive["window_probabilities"])
        except _UNREADABLE as error:
            raise ValueError(f"{location} is not a readable episode: {error}") from error

    def _relative(self, location: str) -> str:
        path = Path(location)
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else location

    def _absolute(self, location: str) -> str:
        if "://" in location or Path(location).is_absolute():
            return location
        return str(self._root / location)


def _listed(values: Any) -> list[Any]:
    return np.asarray(values).tolist()


_SELECT = f"select episodes.*, event as label {JOINED}"


def _parse(row: Row) -> EpisodeRow:
    event = row.pop("label")
    label = None if event is None else LabelEvent.from_dict(json.loads(event)).label
    return EpisodeRow(**row | {"lineage": json.loads(row["lineage"])}, label=label)
