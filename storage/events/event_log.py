"""Logs of what people said: immutable events, on disk before they are acknowledged
(reliability.md §0.4).

A log deals in plain JSON values. What they mean, and which of them can stand, its `Kind` says.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.records.durable import append_durably
from engine.records.events import encode_line, read_events
from engine.records.texts import check_fields, check_type
from storage.damage import REFUSALS, DamagedError
from storage.database import Cursor, Database, Row, first_line

logger = logging.getLogger(__name__)

FIRST_HASH = "0" * 64
PLACED = ("seq", "at", "hash")  # what a log adds to the values of an event


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the events of a log are.

    Attributes:
        noun: what one of them is called.
        record: the dataclass of an event's values.
        table: has the columns seq, event_id, recorded, event, hash, guest, actor, supersedes,
            withdrawal and further ones of its own.
        standing: the view of those that count.
        columns: an event's values -> every column but the first five.
        check: (values, those of the event that it supersedes, None if there is none such);
            raises a `ValueError` where they cannot stand.
        take_back: (values, new event id, actor, mode) -> the event that takes an event back.
    """

    noun: str
    record: type
    table: str
    standing: str
    columns: Callable[[Row], Row]
    check: Callable[[Row, Row | None], None]
    take_back: Callable[[Row, str, str, str], Row]

    @property
    def nouns(self) -> str:
        """What many of them are called."""
        return f"{self.noun}s"


@dataclass(frozen=True)
class SetAside:
    """An event of a twin that cannot stand in the database: it blocks nobody and stays there."""

    event_id: str
    reason: str


class EventLog:
    """Events in a synced JSONL twin and in a table, chained by hashes.

    An event is durable when the twin holds it. It gets there inside the transaction of its row:
    what the database refuses is never written, and what it lost comes back from the twin. Opening
    the log brings the two into agreement, whichever of them a crash or a repair left behind; an
    event of the twin that no row can hold is set aside. An event is its values and `PLACED`: seq,
    its position from 1 (the order of events is this, never the clock), at in seconds since the
    epoch, and the SHA-256 over the previous event's hash and this event.

    Attributes:
        set_aside: events of the twin that cannot stand.
    """

    def __init__(
        self,
        database: Database,
        twin: Path,
        kind: Kind,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.kind = kind
        self._database = database
        self._twin = twin
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, Row] = {}  # in the twin, not yet in the database
        self._last: Row | None = None
        self.set_aside: list[SetAside] = []
        self._reconcile()

    def append(self, values: Row) -> Row:
        """Store an event durably; the same event id again returns what was stored before.

        Raises:
            ValueError: the event id belongs to another event, or the values cannot stand.
            OSError: the twin cannot be written (a full disk): nothing was stored.
        """
        with self._lock:
            self._flush()
            known = self._known(values, {})
            if known is not None:
                return known
            self._check(values, {})
            event = _sealed(values, self._clock(), self._last)
            self._keep([event])
            return event

    def objections(self, given: Sequence[Row]) -> dict[int, str]:
        """Why `take_in` would refuse values: reasons by their place in the list."""
        found: dict[int, str] = {}
        batch: dict[str, Row] = {}
        for place, values in enumerate(given):
            try:
                if self._known(values, batch) is None:
                    self._check(values, batch)
                    batch[values["event_id"]] = values
            except ValueError as error:
                found[place] = str(error)
        return found

    def take_in(self, given: Sequence[tuple[Row, float]]) -> int:
        """Store the (values, time) that are not here yet, in their order; how many they were.

        Each gets a place and a hash in this log. A crash may leave some of them stored: taking
        the same events in again adds the rest.

        Raises:
            ValueError: one of them contradicts what is here; nothing was stored.
        """
        with self._lock:
            self._flush()
            for place, reason in self.objections([values for values, _ in given]).items():
                raise ValueError(f"event {place + 1}: {reason}")
            fresh: dict[str, Row] = {}
            last = self._last
            for values, at in given:
                name = values["event_id"]
                if name not in fresh and self.event(name) is None:
                    fresh[name] = last = _sealed(values, at, last)
            self._keep(list(fresh.values()))
            return len(fresh)

    def withdraw(self, event_id: str, *, new_event_id: str, actor: str) -> Row:
        """Take an event back: a new one that supersedes it and says nothing.

        Raises:
            ValueError: there is no such event, or it is itself a withdrawal.
        """
        noun = self.kind.noun
        target = self.event(event_id)
        if target is None:
            raise ValueError(f"there is no {noun} {event_id}")
        if self.kind.columns(target)["withdrawal"]:
            raise ValueError("that is an undo already; judge again instead")
        return self.append(self.kind.take_back(target, new_event_id, actor, "review"))

    def withdraw_all(self, new_ids: Mapping[str, str], *, actor: str) -> int:
        """Take events back by one each, {event id: id of the new event}, all or none."""
        now = self._clock()
        targets = [(self.event(name), new) for name, new in new_ids.items()]
        return self.take_in(
            [
                (self.kind.take_back(target, new, actor, "audit"), now)
                for target, new in targets
                if target is not None
            ]
        )

    def event(self, event_id: str) -> Row | None:
        """The stored event of an id."""
        found = self.select(f"select event from {self.kind.table} where event_id = ?", [event_id])
        return next(iter(found), None)

    @property
    def size(self) -> int:
        """How many events there are."""
        return 0 if self._last is None else int(self._last["seq"])

    def events(self) -> list[Row]:
        """Every event, oldest first."""
        return self.select(f"select event from {self.kind.table} order by seq")

    def select(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The events in the column `event` of a query."""
        return [json.loads(row["event"]) for row in self._database.read(sql, list(values))]

    def first_broken_link(self) -> int | None:
        """Position of the first event whose hash does not follow from the one before it."""
        previous = FIRST_HASH
        for event in self.events():
            if event["hash"] != _seal(previous, event):
                return int(event["seq"])
            previous = event["hash"]
        return None

    def _known(self, values: Row, batch: Mapping[str, Row]) -> Row | None:
        """The event of the same id, stored or in the batch, if there is one.

        Raises:
            ValueError: it says something else.
        """
        name = values["event_id"]
        known = batch.get(name) or self.event(name)
        if known is not None and said(known) != values:
            raise ValueError(f"event id {name} was used for another {self.kind.noun}")
        return known

    def _check(self, values: Row, batch: Mapping[str, Row]) -> None:
        """Refuse what cannot stand; `batch` are events that will be stored before it."""
        check_fields(self.kind.record, values)
        name = values["supersedes"]
        earlier = None if name is None else batch.get(name) or self.event(name)
        self.kind.check(values, earlier)

    def _keep(self, events: list[Row]) -> None:
        """Sync new events into the twin once the database has taken them, then commit."""
        if not events:
            return
        rows = [self._row(event) for event in events]
        lines = b"".join(map(encode_line, events))
        written = False

        def change(cursor: Cursor) -> None:
            nonlocal written
            cursor.insert(self.kind.table, rows)
            if not written:  # a conflict begins the transaction anew
                append_durably(self._twin, lines)
                written = True

        try:
            self._database.write(change)
        except REFUSALS as error:
            raise ValueError(
                f"the {self.kind.noun} cannot be stored: {first_line(error)}"
            ) from error
        finally:
            if written:
                self._last = events[-1]
                self._pending |= {event["event_id"]: event for event in events}
        self._pending.clear()

    def _flush(self) -> None:
        """Move what is in the twin only into the database; what it refuses is set aside."""
        if not self._pending:
            return
        table, pending = self.kind.table, list(self._pending.values())
        # `on conflict` is not to be had on a table with triggers (DuckDB 2.0)
        first = min(event["seq"] for event in pending)
        known = {
            row["seq"]: row["event_id"]
            for row in self._database.read(
                f"select seq, event_id from {table} where seq >= ?", [first]
            )
        }
        fresh: dict[int, Row] = {}
        for event in pending:
            holder = known.get(event["seq"]) or fresh.get(event["seq"], {}).get("event_id")
            if holder is None:
                fresh[event["seq"]] = event
            elif holder != event["event_id"]:
                self._lay_aside(event, f"its place {event['seq']} is that of {holder}")
        refused = self._database.insert_each(table, [self._row(event) for event in fresh.values()])
        for row, reason in refused:
            self._lay_aside(row, reason)
        self._pending.clear()

    def _lay_aside(self, event: Row, reason: str) -> None:
        found = SetAside(str(event.get("event_id"))[:64], reason)
        if found not in self.set_aside:
            self.set_aside.append(found)
            logger.warning("%s %s is set aside: %s", self.kind.noun, found.event_id, reason)

    def _row(self, event: Row) -> Row:
        return {
            "seq": event["seq"],
            "event_id": event["event_id"],
            "recorded": event["at"],
            "event": json.dumps(event),
            "hash": event["hash"],
        } | self.kind.columns(event)

    def _reconcile(self) -> None:
        in_database = {event["event_id"]: event for event in self.events()}
        in_twin = self._read_twin()
        changed = next(
            (name for name, event in in_twin.items() if in_database.get(name, event) != event), None
        )
        if changed is not None:
            raise DamagedError(f"{self.kind.noun} {changed} is not what {self._twin.name} says")
        self._pending = {name: event for name, event in in_twin.items() if name not in in_database}
        missing = [event for name, event in in_database.items() if name not in in_twin]
        if missing:
            append_durably(self._twin, b"".join(map(encode_line, missing)))
        unsaid = set(self._pending)
        self._flush()
        aside = {found.event_id for found in self.set_aside}
        self._last = max(
            [*in_database.values(), *(in_twin[name] for name in unsaid if name not in aside)],
            key=lambda event: int(event["seq"]),
            default=None,
        )

    def _read_twin(self) -> dict[str, Row]:
        """The events of the twin that can stand, by id; the others are set aside."""
        found: dict[str, Row] = {}
        for _, event in read_events(self._twin):
            try:
                _check_placed(event)
                check_fields(self.kind.record, event)
                self.kind.record(**_known_fields(self.kind.record, event))
                self.kind.columns(event)
            except (LookupError, TypeError, ValueError) as error:
                self._lay_aside(event, f"it cannot be read: {error}")
                continue
            if found.setdefault(event["event_id"], event) != event:
                self._lay_aside(event, "another event has its id")
        return found


def _check_placed(event: Row) -> None:
    types: dict[str, tuple[type, ...]] = {"seq": (int,), "at": (float,), "hash": (str,)}
    for name, allowed in types.items():
        check_type(name, event[name], allowed)
    if event["seq"] < 1:
        raise ValueError(f"{event['seq']} is no place in a log")


def _known_fields(record: type, values: Row) -> dict[str, Any]:
    """The values that a dataclass has fields for: a later version may write more."""
    names = {field.name for field in fields(record)}
    return {name: value for name, value in values.items() if name in names}


def said(event: Row) -> Row:
    """An event's values without what the log adds."""
    return {name: value for name, value in event.items() if name not in PLACED}


def _sealed(values: Row, at: float, last: Row | None) -> Row:
    """The event that follows the last one."""
    seq, previous = (last["seq"] + 1, last["hash"]) if last else (1, FIRST_HASH)
    event = values | {"seq": seq, "at": at}
    return event | {"hash": _seal(previous, event)}


def _seal(previous: str, event: Row) -> str:
    content = {name: value for name, value in event.items() if name != "hash"}
    body = json.dumps(content, sort_keys=True)
    return hashlib.sha256(f"{previous}{body}".encode()).hexdigest()
