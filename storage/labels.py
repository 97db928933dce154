"""Human labels: immutable events, on disk before they are acknowledged (reliability.md §0.4)."""

import dataclasses
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.durable import sync
from engine.events import encode_line, read_events
from engine.types import Label
from storage.database import Cursor, Database, Row

FIRST_HASH = "0" * 64


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
        """Plain JSON values: the label's fields, seq, at and hash."""
        return dataclasses.asdict(self.label) | {
            "seq": self.seq,
            "at": self.at,
            "hash": self.hash,
        }

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
    """Implements `LabelStore` (engine/protocols.py) over DuckDB and a JSONL twin.

    The twin is written and synced first, then the row. Opening the store brings the two into
    agreement, whichever of them a crash or a repair left behind.
    """

    def __init__(
        self, database: Database, twin: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._twin = twin
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, LabelEvent] = {}  # in the twin, not yet in the database
        self._last: LabelEvent | None = None
        self._reconcile()

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
        with self._lock:
            self._flush()
            known = self.event(label.event_id)
            if known is not None:
                if known.label != label:
                    raise ValueError(f"event id {label.event_id} was used for another label")
                return known
            self._check(label)
            event = _sealed(label, self._clock(), self._last)
            self._keep([event])
            return event

    def objections(self, events: Sequence[LabelEvent]) -> dict[int, str]:
        """Why `take_in` would refuse events: reasons by their place in the list."""
        found: dict[int, str] = {}
        batch: dict[str, Label] = {}
        for place, label in enumerate(event.label for event in events):
            try:
                known = batch.get(label.event_id) or self._known(label.event_id)
                if known is None:
                    self._check(label, batch)
                    batch[label.event_id] = label
                elif known != label:
                    raise ValueError(f"event id {label.event_id} was used for another label")
            except ValueError as error:
                found[place] = str(error)
        return found

    def take_in(self, events: Sequence[LabelEvent]) -> int:
        """Store events from elsewhere that are not here yet, in their order; how many they were.

        Each keeps its time, and gets a place and a hash in this log. A crash may leave some of
        them stored: taking the same events in again adds the rest.

        Raises:
            ValueError: one of them contradicts what is here; nothing was stored.
        """
        with self._lock:
            self._flush()
            for place, reason in self.objections(events).items():
                raise ValueError(f"event {place + 1}: {reason}")
            fresh: dict[str, LabelEvent] = {}
            last = self._last
            for label, at in ((event.label, event.at) for event in events):
                if label.event_id not in fresh and self._known(label.event_id) is None:
                    fresh[label.event_id] = last = _sealed(label, at, last)
            self._keep(list(fresh.values()))
            return len(fresh)

    def withdraw(self, event_id: str, *, new_event_id: str, actor: str = "local") -> LabelEvent:
        """Take a label back: a new event that supersedes it and says nothing.

        Raises:
            ValueError: there is no such label, or it is itself a withdrawal.
        """
        target = self.event(event_id)
        if target is None:
            raise ValueError(f"there is no label {event_id}")
        if target.withdrawal:
            raise ValueError("that is an undo already; label the episode again instead")
        return self.append(
            Label(
                event_id=new_event_id,
                episode_id=target.label.episode_id,
                actor=actor,
                supersedes=event_id,
            )
        )

    def event(self, event_id: str) -> LabelEvent | None:
        """The stored event of an id."""
        return next(
            iter(self._select("select event from label_events where event_id = ?", [event_id])),
            None,
        )

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

    def first_broken_link(self) -> int | None:
        """Position of the first event whose hash does not follow from the one before it."""
        previous = FIRST_HASH
        for event in self.events():
            if event.hash != _seal(previous, event.label, event.seq, event.at):
                return event.seq
            previous = event.hash
        return None

    def _select(self, sql: str, values: list[Any] | None = None) -> list[LabelEvent]:
        rows = self._database.read(sql, values or [])
        return [LabelEvent.from_dict(json.loads(row["event"])) for row in rows]

    def _check(self, label: Label, batch: Mapping[str, Label] | None = None) -> None:
        """Refuse what cannot stand; `batch` are labels that will be stored before it."""
        says_nothing = label.outcome is None and label.dream_broke is None
        if says_nothing and label.supersedes is None:
            raise ValueError("a label needs an outcome or a mark that the dream broke")
        if label.supersedes is None:
            return
        earlier = (batch or {}).get(label.supersedes) or self._known(label.supersedes)
        if earlier is None or earlier.episode_id != label.episode_id:
            raise ValueError(
                f"the label corrects {label.supersedes}, which is no label of "
                f"episode {label.episode_id}"
            )

    def _known(self, event_id: str) -> Label | None:
        event = self.event(event_id)
        return None if event is None else event.label

    def _keep(self, events: list[LabelEvent]) -> None:
        """Sync new events into the twin, then store them in the database."""
        if events:
            self._write_twin(events)
            self._pending |= {event.label.event_id: event for event in events}
            self._last = events[-1]
            self._flush()

    def _flush(self) -> None:
        """Move what is in the twin only into the database."""
        if not self._pending:
            return

        def change(cursor: Cursor) -> None:
            # `on conflict` is not to be had on a table with triggers (DuckDB 2.0)
            first = min(event.seq for event in self._pending.values())
            known = {
                row["seq"]
                for row in cursor.rows("select seq from label_events where seq >= ?", [first])
            }
            rows = [_row(event) for event in self._pending.values() if event.seq not in known]
            cursor.insert("label_events", rows)

        self._database.write(change)
        self._pending.clear()

    def _write_twin(self, events: list[LabelEvent]) -> None:
        created = not self._twin.exists()
        descriptor = os.open(self._twin, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            lines = b"".join(encode_line(event.to_dict()) for event in events)
            _write_all(descriptor, b"\n" + lines if torn else lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if created:
            sync(self._twin.parent)

    def _reconcile(self) -> None:
        in_twin = {
            values["event_id"]: LabelEvent.from_dict(values)
            for _, values in read_events(self._twin)
        }
        in_database = {event.label.event_id: event for event in self.events()}
        self._pending = {
            event_id: event for event_id, event in in_twin.items() if event_id not in in_database
        }
        missing = [event for event_id, event in in_database.items() if event_id not in in_twin]
        if missing:
            self._write_twin(missing)
        self._flush()
        self._last = max(
            [*in_twin.values(), *in_database.values()], key=lambda event: event.seq, default=None
        )


def _sealed(label: Label, at: float, last: LabelEvent | None) -> LabelEvent:
    """The event that follows the last one."""
    seq, previous = (last.seq + 1, last.hash) if last else (1, FIRST_HASH)
    return LabelEvent(label=label, seq=seq, at=at, hash=_seal(previous, label, seq, at))


def _seal(previous: str, label: Label, seq: int, at: float) -> str:
    body = json.dumps(dataclasses.asdict(label) | {"seq": seq, "at": at}, sort_keys=True)
    return hashlib.sha256(f"{previous}{body}".encode()).hexdigest()


def _row(event: LabelEvent) -> Row:
    label = event.label
    return {
        "seq": event.seq,
        "event_id": label.event_id,
        "recorded": event.at,
        "guest": is_guest(label.actor),
        "actor": label.actor,
        "episode_id": label.episode_id,
        "outcome": label.outcome,
        "dream_broke": label.dream_broke,
        "supersedes": label.supersedes,
        "withdrawal": event.withdrawal,
        "event": json.dumps(event.to_dict()),
        "hash": event.hash,
    }


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
