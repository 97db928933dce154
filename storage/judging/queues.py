"""Queues of clips to judge: named, in a fixed order, shared by people without doubled work."""

import dataclasses
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.records.durable import sync, write_json_durably
from engine.records.texts import check_fields, check_unicode
from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row
from storage.episodes.episode_filter import JOINED, EpisodeFilter
from storage.events.labels import is_guest
from storage.judging.queue_orders import SAMPLES, Candidate, Place

logger = logging.getLogger(__name__)

LEASE_SECONDS = 120.0

_CANDIDATES = (
    "select id, task, start_id, imagined, success, probability, threshold, run, iteration,"
    " group_name, policy, world_model, outcome,"
    f" json_extract_string(event, 'failure_mode') as failure_mode {JOINED}"
)
# Who judged which episode of a queue since the queue was made, in one pool of labels.
_JUDGED = (
    "judged as (select own.episode_id, own.actor, own.seq, own.outcome,"
    " coalesce(own.dream_broke, false) as broke, own.adjudication"
    " from own_labels as own join queues on queues.name = ?"
    " where own.guest = ? and own.seq > queues.after_seq)"
)
_FREE = (
    f"with {_JUDGED}, holders as ("
    " select episode_id, actor from judged where not adjudication"
    " union select episode_id, actor from queue_leases"
    " where queue = ? and purpose = 'judge' and starts_with(actor, 'guest:') = ?)"
    " select item.episode_id from queue_items as item where item.queue = ?"
    " and item.episode_id not in"
    " (select episode_id from judged where actor = ? and not adjudication)"
    " and (item.gold is not null or (select count(*) from holders"
    " where holders.episode_id = item.episode_id and holders.actor <> ?)"
    " < (select overlap from queues where name = ?))"
    " order by item.place limit ?"
)
_CONFLICTS = (
    f"with {_JUDGED}"
    " select item.episode_id from queue_items as item join judged using (episode_id)"
    " where item.queue = ? group by item.episode_id, item.place"
    " having count(distinct (outcome, broke)) filter (not adjudication) > 1"
    " and max(seq) filter (not adjudication)"
    " > coalesce(max(seq) filter (adjudication), 0)"
    " order by item.place"
)
_HELD = (
    "select episode_id from queue_leases where queue = ? and purpose = 'adjudicate'"
    " and actor <> ? and starts_with(actor, 'guest:') = ?"
)
_DONE = (
    "with counted as (select item.queue, item.episode_id, count(distinct own.actor) as judges"
    " from queue_items as item join queues on queues.name = item.queue"
    " left join own_labels as own on own.episode_id = item.episode_id and own.guest = ?"
    " and own.seq > queues.after_seq and not own.adjudication"
    " where item.gold is null group by item.queue, item.episode_id)"
    " select queues.*, count(counted.episode_id) as total,"
    " count(*) filter (counted.judges >= overlap) as done"
    " from queues left join counted on counted.queue = queues.name"
    " group by all order by created, name"
)
_JUDGEMENTS = (
    "select own.episode_id, own.event_id, own.actor, own.outcome,"
    " coalesce(own.dream_broke, false) as dream_broke, own.mode, own.seq, own.recorded as at,"
    " json_extract_string(own.event, 'failure_mode') as failure_mode,"
    " json_extract_string(own.event, 'note') as note,"
    " imagined, success, probability, threshold, {item}"
    " from own_labels as own join episodes on episodes.id = own.episode_id {join}"
    " where own.guest = ? order by own.seq"
)
# One over a clip's chance to be in a sample and answered there, which is the share of its stratum's
# population that was; of several samples, over its chance to be in any.
_WEIGHTS = (
    "with answered as (select episode_id from current_labels where guest = ?"
    "  and outcome in ('success', 'fail') and not coalesce(dream_broke, false)),"
    " strata as (select queue, stratum, sum(weight) as population,"
    "  count(*) filter (episode_id in (select episode_id from answered)) as answers"
    "  from queue_items join queues on queues.name = queue"
    "  where gold is null and json_extract_string(query, 'order') in (select unnest(?::text[]))"
    "  group by queue, stratum)"
    " select episode_id, 1 / (1 - product(1 - least(1.0, answers / population))) as weight"
    " from queue_items join strata using (queue, stratum)"
    " where gold is null and answers > 0 and episode_id in (select unnest(?::text[]))"
    " group by episode_id"
)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue and how far it is.

    Attributes:
        query: what it was made from, as plain values.
        overlap: how many people are to judge each clip.
        created: seconds since the epoch.
        after_seq: judgements up to this event were there before the queue, and do not count.
        total, done: clips without calibration clips, and those that enough people judged.
    """

    name: str
    query: Mapping[str, Any]
    overlap: int
    created: float
    after_seq: int
    total: int
    done: int


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What one person says of one episode now, beside what the model said.

    Attributes:
        success: the verdict of the reward model, of the simulator for a real episode.
        stratum, gold: the episode's place in the queue asked for; None without a queue.
    """

    episode_id: str
    event_id: str
    actor: str
    outcome: str | None
    dream_broke: bool
    mode: str
    seq: int
    at: float
    failure_mode: str | None
    note: str
    imagined: bool
    success: bool
    probability: float | None
    threshold: float | None
    stratum: str | None
    gold: str | None


class QueueStore:
    """Queues as files of one directory, indexed by DuckDB; leases live in DuckDB alone.

    A clip is handed out under a lease. Leases are counted and given in one transaction at a time,
    so that no more people hold or have judged a clip than its queue's overlap allows.
    """

    def __init__(
        self, database: Database, room: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._room = room
        self._clock = clock
        self._lock = threading.Lock()
        self._restore()

    def candidates(self, wanted: EpisodeFilter) -> list[Candidate]:
        """The episodes that fit, as `rank` orders them; only the columns that it needs."""
        where, values = wanted.where()
        rows = self._database.read(f"{_CANDIDATES} {where}", [wanted.guest, *values])
        return [Candidate(**row) for row in rows]

    def add(
        self, name: str, places: Sequence[Place], *, query: Mapping[str, Any], overlap: int
    ) -> None:
        """Keep a queue durably.

        Raises:
            ValueError: there is one of that name already.
        """
        with self._lock:
            if self._file(name).exists():
                raise ValueError(f"there is a queue {name!r} already")
            [last] = self._database.read("select coalesce(max(seq), 0) as seq from label_events")
            record = {
                "name": name,
                "query": dict(query),
                "overlap": overlap,
                "created": self._clock(),
                "after_seq": last["seq"],
                "places": [dataclasses.asdict(place) for place in places],
            }
            write_json_durably(self._file(name), record)
            self._index(record)

    def remove(self, name: str) -> None:
        """Forget a queue; its judgements stay."""
        with self._lock:
            self._file(name).unlink(missing_ok=True)
            sync(self._room)

            def change(cursor: Cursor) -> None:
                cursor.rows("delete from queues where name = ?", [name])
                cursor.rows("delete from queue_items where queue = ?", [name])
                cursor.rows("delete from queue_leases where queue = ?", [name])

            self._database.write(change)

    def all(self, *, guest: bool = False) -> list[Queue]:
        """Every queue, oldest first; `guest` says whose judgements count as done."""
        rows = self._database.read(_DONE, [guest])
        return [Queue(**row | {"query": json.loads(row["query"])}) for row in rows]

    def places(self, name: str) -> list[Place]:
        """The clips of a queue, in order."""
        rows = self._database.read(
            "select episode_id, stratum, weight, gold from queue_items where queue = ?"
            " order by place",
            [name],
        )
        return [Place(**row) for row in rows]

    def lease(self, name: str, actor: str, count: int, *, adjudicate: bool = False) -> list[str]:
        """The next clips for a person, held for them for `LEASE_SECONDS` from now on.

        Asking again gives the same clips, less those judged in between, and renews their leases.

        Args:
            adjudicate: clips on which others disagree, instead of clips to judge.

        Raises:
            ValueError: there is no such queue.
        """
        guest, now = is_guest(actor), self._clock()
        purpose = "adjudicate" if adjudicate else "judge"

        def change(cursor: Cursor) -> list[str]:
            if cursor.row("select name from queues where name = ?", [name]) is None:
                raise ValueError(f"there is no queue {name!r}")
            # A lease that ends later than any could was given before the clock was set back.
            spent = "delete from queue_leases where until <= ? or until > ?"
            cursor.rows(spent, [now, now + LEASE_SECONDS])
            if adjudicate:
                held = {row["episode_id"] for row in cursor.rows(_HELD, [name, actor, guest])}
                conflicts = cursor.rows(_CONFLICTS, [name, guest, name])
                rows = [row for row in conflicts if row["episode_id"] not in held][:count]
            else:
                named = [name, guest, name, guest, name, actor, actor, name, count]
                rows = cursor.rows(_FREE, named)
            leases: list[Row] = [
                {
                    "queue": name,
                    "episode_id": row["episode_id"],
                    "actor": actor,
                    "purpose": purpose,
                    "until": now + LEASE_SECONDS,
                }
                for row in rows
            ]
            renewed = "on conflict do update set until = excluded.until"
            cursor.insert("queue_leases", leases, conflict=renewed)
            return [row["episode_id"] for row in rows]

        with self._lock:
            return self._database.write(change)

    def release(self, name: str, actor: str) -> int:
        """Give back every clip of a queue that a person holds; how many they were."""
        sql = "delete from queue_leases where queue = ? and actor = ? returning episode_id"
        with self._lock:
            return len(self._database.write(lambda cursor: cursor.rows(sql, [name, actor])))

    def conflicts(self, name: str, *, guest: bool = False) -> list[str]:
        """Clips of a queue on which people differ and nobody has decided since, in order."""
        rows = self._database.read(_CONFLICTS, [name, guest, name])
        return [row["episode_id"] for row in rows]

    def judgements(self, name: str | None = None, *, guest: bool = False) -> list[Judgement]:
        """What each person says now, oldest first: of a queue since it was made, or of all."""
        if name is None:
            item, join = "null as stratum, null as gold", ""
        else:
            item = "item.stratum, item.gold"
            join = (
                "join queues on queues.name = ? and own.seq > queues.after_seq"
                " join queue_items as item"
                " on item.queue = queues.name and item.episode_id = own.episode_id"
            )
        values = [guest] if name is None else [name, guest]
        rows = self._database.read(_JUDGEMENTS.format(item=item, join=join), values)
        return [Judgement(**row) for row in rows]

    def weights(self, episode_ids: Sequence[str], *, guest: bool = False) -> dict[str, float]:
        """How many episodes of the population each stands for, of those that a sample drew.

        Whatever was labelled without being drawn stands for itself, and is left out. A clip that
        several samples drew counts by its chance to be in any of them.
        """
        rows = self._database.read(_WEIGHTS, [guest, list(SAMPLES), list(episode_ids)])
        return {row["episode_id"]: row["weight"] for row in rows}

    def _file(self, name: str) -> Path:
        return self._room / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"

    def _restore(self) -> None:
        """Index the files that the database does not know."""
        known = {row["name"] for row in self._database.read("select name from queues")}
        for path in sorted(self._room.glob("*.json")):
            try:
                record = json.loads(path.read_text())
                if record["name"] not in known:
                    self._index(record)
            except (
                OSError,
                LookupError,
                RuntimeError,
                TypeError,
                ValueError,
                *REFUSALS,
            ) as error:
                logger.warning("the queue in %s is left out: %s", path, error)

    def _index(self, record: Mapping[str, Any]) -> None:
        check_unicode(record)
        names = ("name", "overlap", "created", "after_seq")
        queue: Row = {name: record[name] for name in names} | {"query": json.dumps(record["query"])}
        for values in record["places"]:
            check_fields(Place, values)
        items: list[Row] = [
            dataclasses.asdict(Place(**values)) | {"queue": record["name"], "place": place}
            for place, values in enumerate(record["places"])
        ]

        def change(cursor: Cursor) -> None:
            cursor.insert("queues", [queue])
            cursor.insert("queue_items", items)

        self._database.write(change)
