"""Who said what, when, and what became of it: label events in pages, and undo by actor."""

import dataclasses
import time
import uuid
from dataclasses import dataclass
from typing import Any

from engine.types import Label
from storage.database import Database
from storage.labels import LabelEvent, LabelStore

# An undo of the same label has the same event id, so that it is stored once however often it is
# asked for.
_UNDO = uuid.UUID("5f2b4c8e-3d0a-4a77-9a53-0f4d1d6f6b6e")

_EVENTS = (
    "from label_events as events"
    " left join (select supersedes, arg_max(event_id, seq) as event_id, arg_max(seq, seq) as seq"
    "  from label_events where supersedes is not null group by supersedes) as later"
    "  on later.supersedes = events.event_id"
    " where guest = ? and (? is null or actor = ?)"
)
_OPEN = "not withdrawal and event_id not in (select supersedes from label_events where withdrawal)"


@dataclass(frozen=True, kw_only=True)
class AuditedEvent:
    """A label event with its later fate.

    Attributes:
        superseded_by: the newest event that corrects it or takes it back.
        stands: whether it counts.
    """

    event: LabelEvent
    superseded_by: str | None
    superseded_seq: int | None
    stands: bool


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody who labelled: how many events, and how many labels that were not taken back."""

    name: str
    events: int
    labels: int


class AuditLog:
    """The label events of a studio, read for people who want to know."""

    def __init__(self, database: Database, labels: LabelStore) -> None:
        self._database, self._labels = database, labels

    def page(
        self, *, guest: bool, actor: str | None = None, offset: int = 0, limit: int
    ) -> list[AuditedEvent]:
        """Events of a pool, newest first; of one actor if one is named."""
        rows = self._database.read(
            "select events.event_id, later.event_id as later_id, later.seq as later_seq,"
            " events.event_id in (select event_id from standing_labels) as stands"
            f" {_EVENTS} order by events.seq desc limit ? offset ?",
            [guest, actor, actor, limit, offset],
        )
        found = []
        for row in rows:
            event = self._labels.event(row["event_id"])
            assert event is not None  # events are never deleted
            found.append(
                AuditedEvent(
                    event=event,
                    superseded_by=row["later_id"],
                    superseded_seq=row["later_seq"],
                    stands=row["stands"],
                )
            )
        return found

    def count(self, *, guest: bool, actor: str | None = None) -> int:
        """How many events there are."""
        [row] = self._database.read(f"select count(*) as events {_EVENTS}", [guest, actor, actor])
        return int(row["events"])

    def actors(self, *, guest: bool) -> list[Actor]:
        """Everybody who labelled, the busiest first."""
        rows = self._database.read(
            f"select actor, count(*) as events, count(*) filter ({_OPEN}) as labels"
            " from label_events where guest = ? group by actor order by events desc, actor",
            [guest],
        )
        return [Actor(name=r["actor"], events=r["events"], labels=r["labels"]) for r in rows]

    def undo(self, actor: str, *, by: str, expected: int) -> int:
        """Take back every label of an actor by one withdrawal each, all or none.

        What the actor took back stays taken back: an undo cannot be undone.

        Args:
            expected: how many labels the person who asks was told of.

        Raises:
            ValueError: there are not that many (any more), or none.
        """
        rows = self._database.read(
            f"select event_id, episode_id from label_events where actor = ? and {_OPEN}"
            " order by seq",
            [actor],
        )
        if not rows:
            raise ValueError(f"no label of {actor} is left to take back")
        if len(rows) != expected:
            raise ValueError(
                f"{actor} has {len(rows)} labels now, not {expected}: look again, then decide"
            )
        now = time.time()
        return self._labels.take_in(
            [
                LabelEvent(
                    label=Label(
                        event_id=str(uuid.uuid5(_UNDO, row["event_id"])),
                        episode_id=row["episode_id"],
                        mode="audit",
                        actor=by,
                        supersedes=row["event_id"],
                    ),
                    seq=0,
                    at=now,
                    hash="",
                )
                for row in rows
            ]
        )


def audit_record(found: AuditedEvent) -> dict[str, Any]:
    """Plain values of an audited event: the label's, seq and at, and its fate."""
    return dataclasses.asdict(found.event.label) | {
        "seq": found.event.seq,
        "at": found.event.at,
        "withdrawal": found.event.withdrawal,
        "superseded_by": found.superseded_by,
        "superseded_seq": found.superseded_seq,
        "stands": found.stands,
    }
