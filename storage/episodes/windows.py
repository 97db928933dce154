"""What reward models said of every window of stored episodes: a new τ needs no model."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.database import Cursor, Database, Row
from storage.episodes.episode_filter import JOINED, JUDGED, EpisodeFilter
from storage.episodes.episode_rows import window_row
from storage.episodes.trajectories import TrajectoryStore

logger = logging.getLogger(__name__)

BATCH = 200  # episodes a transaction, so that a killed backfill loses little


@dataclass(frozen=True, kw_only=True)
class ScoredEpisode:
    """An episode, what one reward model said of its windows, and what a person said of it.

    Attributes:
        success: as stored: the simulator's verdict of a real episode, the judge's of another.
        judged: whether anything said how it ended (`Trajectory.judged`); else success says nothing.
        source: what made it (its lineage); fidelity's pairs are as long as their real twins.
        outcome, dream_broke: of the label that stands, where there is one.
        ends, probabilities: exclusive window ends, increasing, and success probabilities.
    """

    id: str
    task: str
    imagined: bool
    success: bool
    judged: bool
    end_step: int
    num_actions: int
    run: str | None
    iteration: int | None
    source: str | None
    outcome: str | None
    dream_broke: bool
    ends: Sequence[int]
    probabilities: Sequence[float]


class WindowStore:
    """Window probabilities by episode and reward model (its hash; empty where none is known)."""

    def __init__(self, database: Database, trajectories: TrajectoryStore) -> None:
        self._database = database
        self._trajectories = trajectories
        self._unreadable: set[str] = set()
        self._lock = threading.Lock()
        self._filler: threading.Thread | None = None
        self._closing = threading.Event()
        self._progress = (0, 0)
        self._changes = 0

    def close(self) -> None:
        """End the thread that fills the index; it goes on from there at the next start."""
        self._closing.set()
        if self._filler is not None:
            self._filler.join()

    def fill(self) -> tuple[int, int] | None:
        """Fill an older index in the background; (done, total), or None once nothing is missing."""
        with self._lock:
            if self._filler is not None and self._filler.is_alive():
                return self._progress
            missing = self.missing()
            if missing <= 0 or self._closing.is_set():
                return None
            self._progress = (0, missing)
            self._filler = threading.Thread(target=self._fill, name="windows", daemon=True)
            self._filler.start()
            return self._progress

    def stamp(self) -> tuple[float, ...]:
        """Changes whenever what `scored` answers, or the queue of a label, may have changed."""
        [row] = self._database.read(
            "select (select count(*) from window_scores) as scores,"
            " (select coalesce(max(seq), 0) from label_events) as labels,"
            " (select coalesce(sum(created), 0) from queues) as queues"
        )
        return row["scores"], row["labels"], row["queues"], self._changes

    def models(self) -> list[Row]:
        """Reward models that judged something, {judged_by, episodes, threshold}, most episodes
        first; the threshold is the one that the newest of them was judged with."""
        return self._database.read(
            "select judged_by, count(*) as episodes, max_by(threshold, created) as threshold"
            " from window_scores join episodes on id = episode_id where len(ends) > 0"
            " group by judged_by order by episodes desc, judged_by"
        )

    def scored(self, reward_model: str, wanted: EpisodeFilter) -> list[ScoredEpisode]:
        """Episodes that fit and that a reward model judged, by id."""
        where, values = wanted.where()
        rows = self._database.read(
            f"select {_COLUMNS} {JOINED} join window_scores on window_scores.episode_id ="
            f" episodes.id and judged_by = ? and len(ends) > 0 {where} order by id",
            [wanted.guest, reward_model, *values],
        )
        return [ScoredEpisode(**row) for row in rows]

    def iterations(self, reward_model: str) -> list[Row]:
        """Iterations with stored groups that a reward model judged: {run, iteration, groups,
        episodes}, newest first."""
        return self._database.read(
            "select run, iteration, count(distinct group_name) as groups, count(*) as episodes"
            " from episodes join window_scores on episode_id = id and judged_by = ?"
            " where group_name is not null and iteration is not null and len(ends) > 0"
            " group by run, iteration order by max(created) desc, run, iteration desc",
            [reward_model],
        )

    def put(
        self, reward_model: str, judged: Sequence[tuple[str, Sequence[int], Sequence[float]]]
    ) -> None:
        """Store (episode id, ends, probabilities) of a reward model, replacing what it said before.

        What another model than the episode's own said is not in the episode's files: it is judged
        again after the database was rebuilt.
        """
        rows = [window_row(name, reward_model, windows) for name, *windows in judged]
        conflict = (
            "on conflict (episode_id, judged_by) do update set ends = excluded.ends,"
            " probabilities = excluded.probabilities"
        )
        self._database.write(lambda cursor: cursor.insert("window_scores", rows, conflict=conflict))

    def missing(self) -> int:
        """Episodes, indexed by an older studio, whose files were not looked at for windows yet."""
        [row] = self._database.read(f"select count(*) as episodes {_MISSING}")
        return int(row["episodes"]) - len(self._unreadable)

    def backfill(self, on_progress: Callable[[int, int], bool] = lambda done, total: True) -> int:
        """Read the windows of episodes that lack them; how many were read.

        Args:
            on_progress: called with (done, total) after each batch; ends it by returning False,
                and the next call goes on from there.
        """
        rows = self._database.read(f"select id, location, reward_model {_MISSING} order by id")
        rows = [row for row in rows if row["id"] not in self._unreadable]
        done = 0
        for first in range(0, len(rows), BATCH):
            found = [self._read(row) for row in rows[first : first + BATCH]]
            read = [row for row in found if row is not None]
            self._database.write(lambda cursor, read=read: _insert(cursor, read))  # type: ignore[misc]
            done += len(read)
            if not on_progress(first + len(found), len(rows)):
                break
        return done

    def _fill(self) -> None:
        def on_progress(done: int, total: int) -> bool:
            self._progress = (done, total)
            return not self._closing.is_set()

        self.backfill(on_progress)

    def _read(self, row: Row) -> Row | None:
        """A row of `window_scores`; of unreadable files none, until the next start."""
        try:
            windows = self._trajectories.read_windows(row["location"])
        except ValueError as error:
            logger.warning("left without windows: %s", error)
            self._unreadable.add(row["id"])
            return None
        return window_row(row["id"], row["reward_model"], windows)


_MISSING = "from episodes where id not in (select episode_id from window_scores)"
_OWN = {
    "source": "json_extract_string(lineage, 'source') as source",
    "dream_broke": "coalesce(dream_broke, false) as dream_broke",
    "judged": f"{JUDGED} as judged",
}
_COLUMNS = ", ".join(
    _OWN.get(field.name, field.name) for field in dataclasses.fields(ScoredEpisode)
)


def _insert(cursor: Cursor, rows: Sequence[Row]) -> None:
    cursor.insert("window_scores", rows, conflict="on conflict do nothing")
