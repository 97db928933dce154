"""Human labels: immutable events in a log of their own (`storage.events.event_log`)."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.records.types import Label
from storage.database import Database, Row
from storage.events.event_log import EventLog, Kind

# A span came later than the rest: events without one have, and hash, the fields of before.
SPAN = ("span_first", "span_last")


@dataclass(frozen=True, kw_only=True)
class LabelEvent:
    """A stored label.

    Attributes:
        label: what the person said.
        seq: position in the log, from 1; the order of events is this, never the clock.
        at: seconds since the epoch.
        hash: SHA-256 over the previous event's hash and this event.
    """

    label: Label
    seq: int
    at: float
    hash: str

    @property
    def withdrawal(self) -> bool:
        """Whether the event only takes another one back (undo)."""
        return self.label.outcome is None and self.label.dream_broke is None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the label's fields (of a span only where there is one), seq, at and
        hash."""
        return _plain(self.label) | {"seq": self.seq, "at": self.at, "hash": self.hash}

    @classmethod
    def from_dict(cls, values: Row) -> "LabelEvent":
        """The inverse of `to_dict`."""
        names = {field.name for field in dataclasses.fields(Label)}
        said: dict[str, Any] = {name: value for name, value in values.items() if name in names}
        return cls(label=Label(**said), seq=values["seq"], at=values["at"], hash=values["hash"])


def is_guest(actor: str) -> bool:
    """Whether an actor is a visitor of a public studio; guests' labels are a pool of their own."""
    return actor.split(":", 1)[0] == "guest"


class LabelStore:
    """Keeps labels as append-only events in DuckDB and in a JSONL twin.

    Attributes:
        log: the events as plain values.
    """

    def __init__(
        self, database: Database, twin: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self.log = EventLog(database, twin, LABELS, clock=clock)

    def add(self, label: Label) -> Label:
        """Store a label; see `append`."""
        return self.append(label).label

    def append(self, label: Label) -> LabelEvent:
        """Store a label durably; the same event id again returns what was stored before.

        Raises:
            ValueError: the event id belongs to another label, nothing is said, or `supersedes`
                names no label of this episode.
            OSError: the twin cannot be written (a full disk): nothing was stored.
        """
        return LabelEvent.from_dict(self.log.append(_plain(label)))

    def objections(self, events: Sequence[LabelEvent]) -> dict[int, str]:
        """Why `take_in` would refuse events: reasons by their place in the list."""
        return self.log.objections([_plain(event.label) for event in events])

    def take_in(self, events: Sequence[LabelEvent]) -> int:
        """Store events from elsewhere that are not here yet, in their order; how many they were.

        Each keeps its time, and gets a place and a hash in this log. A crash may leave some of
        them stored: taking the same events in again adds the rest.

        Raises:
            ValueError: one of them contradicts what is here; nothing was stored.
        """
        return self.log.take_in([(_plain(event.label), event.at) for event in events])

    def withdraw(self, event_id: str, *, new_event_id: str, actor: str = "local") -> LabelEvent:
        """Take a label back: a new event that supersedes it and says nothing.

        Raises:
            ValueError: there is no such label, or it is itself a withdrawal.
        """
        undone = self.log.withdraw(event_id, new_event_id=new_event_id, actor=actor)
        return LabelEvent.from_dict(undone)

    def event(self, event_id: str) -> LabelEvent | None:
        """The stored event of an id."""
        found = self.log.event(event_id)
        return None if found is None else LabelEvent.from_dict(found)

    def of(self, episode_id: str) -> list[Label]:
        """Every label of an episode, oldest first."""
        return [event.label for event in self.events(episode_id)]

    def events(self, episode_id: str | None = None) -> list[LabelEvent]:
        """Every event, or those of an episode, oldest first."""
        sql = "select event from label_events where episode_id = coalesce(?, episode_id)"
        return self._select(f"{sql} order by seq", [episode_id])

    def current(self, episode_id: str, *, guest: bool = False) -> Label | None:
        """The label of an episode that stands: not corrected, not withdrawn, the newest."""
        sql = "select event from current_labels where episode_id = ? and guest = ?"
        return next((event.label for event in self._select(sql, [episode_id, guest])), None)

    def all(self) -> list[Label]:
        """Every label, oldest first."""
        return [event.label for event in self.events()]

    def history(self, *, limit: int, guest: bool = False) -> list[LabelEvent]:
        """The newest events of a pool, withdrawals included, newest first."""
        sql = "select event from label_events where guest = ? order by seq desc limit ?"
        return self._select(sql, [guest, limit])

    def standing(
        self, *, limit: int, guest: bool = False, actor: str | None = None
    ) -> list[LabelEvent]:
        """The newest labels of a pool, or of one actor, that were not taken back or corrected."""
        sql = "select event from standing_labels where guest = ? and actor = coalesce(?, actor)"
        return self._select(f"{sql} order by seq desc limit ?", [guest, actor, limit])

    def counts(self, *, guest: bool = False) -> dict[str, int]:
        """Standing labels of a pool by what they say."""
        [row] = self._database.read(
            "select count(*) as labelled,"
            " count(*) filter (outcome = 'success') as success,"
            " count(*) filter (outcome = 'fail') as fail,"
            " count(*) filter (outcome = 'unsure') as unsure,"
            " count(*) filter (dream_broke) as dream_broke"
            " from current_labels where guest = ?",
            [guest],
        )
        return row

    def _select(self, sql: str, values: Sequence[object] = ()) -> list[LabelEvent]:
        return [LabelEvent.from_dict(event) for event in self.log.select(sql, values)]


def _plain(label: Label) -> Row:
    values = dataclasses.asdict(label)
    return {name: value for name, value in values.items() if name not in SPAN or value is not None}


def _says_nothing(values: Row) -> bool:
    return values["outcome"] is None and values["dream_broke"] is None


def _check(values: Row, earlier: Row | None) -> None:
    if values["supersedes"] is None:
        if _says_nothing(values):
            raise ValueError("a label needs an outcome or a mark that the dream broke")
    elif earlier is None or earlier["episode_id"] != values["episode_id"]:
        raise ValueError(
            f"the label corrects {values['supersedes']}, which is no label of "
            f"episode {values['episode_id']}"
        )


def _columns(values: Row) -> Row:
    names = ("actor", "episode_id", "outcome", "dream_broke", "supersedes")
    return {name: values[name] for name in names} | {
        "guest": is_guest(values["actor"]),
        "withdrawal": _says_nothing(values),
    }


def _take_back(values: Row, event_id: str, actor: str, mode: str) -> Row:
    return _plain(
        Label(
            event_id=event_id,
            episode_id=values["episode_id"],
            mode=mode,
            actor=actor,
            supersedes=values["event_id"],
        )
    )


LABELS = Kind(
    noun="label",
    record=Label,
    table="label_events",
    standing="standing_labels",
    columns=_columns,
    check=_check,
    take_back=_take_back,
)
