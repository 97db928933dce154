"""Who said what, when, and what became of it: events in pages, and undo by actor."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.database import Database, Row
from storage.events.event_log import EventLog

# An undo of the same event has the same event id, so that it is stored once however often it is
# asked for.
_UNDO = uuid.UUID("5f2b4c8e-3d0a-4a77-9a53-0f4d1d6f6b6e")

_EVENTS = (
    "from {table} as events"
    " left join (select supersedes, arg_max(event_id, seq) as event_id, arg_max(seq, seq) as seq"
    "  from {table} where supersedes is not null group by supersedes) as later"
    "  on later.supersedes = events.event_id"
    " where guest = ? and (? is null or actor = ?)"
)
_OPEN = "not withdrawal and event_id not in (select supersedes from {table} where withdrawal)"


@dataclass(frozen=True, kw_only=True)
class AuditedEvent:
    """An event with its later fate.

    Attributes:
        event: its plain values.
        withdrawal: whether it only takes another one back.
        superseded_by: the newest event that corrects it or takes it back.
        stands: whether it counts.
    """

    event: Row
    withdrawal: bool
    superseded_by: str | None
    superseded_seq: int | None
    stands: bool


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody who judged: how many events, and how many of them were not taken back."""

    name: str
    events: int
    open: int


class AuditLog:
    """What people said in a studio, read for those who want to know.

    Args:
        logs: by name.
    """

    def __init__(self, database: Database, logs: Mapping[str, EventLog]) -> None:
        self._database, self._logs = database, logs
        self.names = tuple(logs)

    def page(
        self,
        *,
        guest: bool,
        actor: str | None = None,
        offset: int = 0,
        limit: int,
        log: str = "labels",
    ) -> list[AuditedEvent]:
        """Events of a pool, newest first; of one actor if one is named."""
        kind = self._logs[log].kind
        rows = self._database.read(
            "select event, withdrawal, later.event_id as superseded_by,"
            " later.seq as superseded_seq,"
            f" events.event_id in (select event_id from {kind.standing}) as stands"
            f" {_EVENTS.format(table=kind.table)} order by events.seq desc limit ? offset ?",
            [guest, actor, actor, limit, offset],
        )
        return [AuditedEvent(**row | {"event": json.loads(row["event"])}) for row in rows]

    def count(self, *, guest: bool, actor: str | None = None, log: str = "labels") -> int:
        """How many events there are."""
        events = _EVENTS.format(table=self._logs[log].kind.table)
        [row] = self._database.read(f"select count(*) as n {events}", [guest, actor, actor])
        return int(row["n"])

    def actors(self, *, guest: bool, log: str = "labels") -> list[Actor]:
        """Everybody who judged, the busiest first."""
        table = self._logs[log].kind.table
        rows = self._database.read(
            "select actor as name, count(*) as events,"
            f" count(*) filter ({_OPEN.format(table=table)}) as open"
            f" from {table} where guest = ? group by actor order by events desc, actor",
            [guest],
        )
        return [Actor(**row) for row in rows]

    def undo(self, actor: str, *, by: str, expected: int, log: str = "labels") -> int:
        """Take back everything an actor said by one withdrawal each, all or none.

        What the actor took back stays taken back: an undo cannot be undone.

        Args:
            expected: how many events the person who asks was told of.

        Raises:
            ValueError: there are not that many (any more), or none.
        """
        kind = self._logs[log].kind
        rows = self._database.read(
            f"select event_id from {kind.table} where actor = ?"
            f" and {_OPEN.format(table=kind.table)} order by seq",
            [actor],
        )
        if not rows:
            raise ValueError(f"no {kind.noun} of {actor} is left to take back")
        if len(rows) != expected:
            raise ValueError(
                f"{actor} has {len(rows)} {kind.nouns} now, not {expected}: look again, then decide"
            )
        names = [row["event_id"] for row in rows]
        return self._logs[log].withdraw_all(
            {name: str(uuid.uuid5(_UNDO, name)) for name in names}, actor=by
        )


def audit_record(found: AuditedEvent) -> dict[str, Any]:
    """Plain values of an audited event: its own without its hash, and its fate."""
    fate = {name: value for name, value in vars(found).items() if name != "event"}
    return {name: value for name, value in found.event.items() if name != "hash"} | fate
