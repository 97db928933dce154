"""Which of two clips of one start is better: immutable events in a log of their own, and the pairs
still to be judged."""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.database import Database, Row
from storage.events.event_log import PLACED, EventLog, Kind
from storage.events.labels import is_guest

CHOICES = ("left", "right", "equal", "broken")

# Two episodes of one start, in a fixed order. Of a policy that has many futures of a start only
# some are compared with those of another policy: one each, drawn anew for each person.
_SIBLINGS = """
select a.id as one, b.id as other from episodes as a join episodes as b
  on a.task = b.task and a.start_id = b.start_id and a.imagined = b.imagined and a.id < b.id
 and a.policy is not distinct from b.policy and a.run is not distinct from b.run
 and a.iteration is not distinct from b.iteration and a.group_name is not distinct from b.group_name
where a.start_id <> -1 and a.run is not distinct from coalesce($run, a.run)
"""
_POLICIES = """
with drawn as (
    select * from episodes where policy is not null and start_id <> -1
      and run is not distinct from coalesce($run, run)
    qualify row_number() over (
        partition by task, start_id, imagined, policy order by md5($actor || id)) = 1)
select a.id as one, b.id as other from drawn as a join drawn as b
  on a.task = b.task and a.start_id = b.start_id and a.imagined = b.imagined and a.id < b.id
 and a.policy <> b.policy
"""
PAIRINGS = {"one policy": _SIBLINGS, "two policies": _POLICIES}

_NEXT = """
with pairs as ({pairs}),
open as (
    select one, other, md5($actor || one || other) as draw from pairs
    where not exists (
        select 1 from standing_preferences as said
        where said.actor = $actor and least(said.left_id, said.right_id) = one
          and greatest(said.left_id, said.right_id) = other))
select * from open order by draw limit $count
"""

# Whether the model gave the preferred clip the larger probability. Nothing where the person put
# none first, where the model did not judge both clips or found them alike, or where two reward
# models judged them: their probabilities are no order.
_JUDGED = """
with said as (
    select *, json_extract_string(event, 'mode') as mode,
        cast(json_extract_string(event, 'left_probability') as double) as "left",
        cast(json_extract_string(event, 'right_probability') as double) as "right",
        json_extract_string(event, 'left_checkpoint')
            is not distinct from json_extract_string(event, 'right_checkpoint') as one_model
    from standing_preferences
    where guest = $guest and actor = coalesce($actor, actor)),
judged as (
    select *, case when choice in ('left', 'right') and "left" <> "right" and one_model
        then (choice = 'left') = ("left" > "right") end as agrees
    from said)
"""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """A person's comparison of two episodes.

    Attributes:
        choice: one of `CHOICES`; None: it takes back the event that it supersedes.
        left_probability, right_probability: largest success probability that the reward model
            `…_checkpoint` (its hash) gave; `…_threshold` is what counted as success.
        mode: blind, or review with the model's word in sight.
    """

    event_id: str
    left: str
    right: str
    choice: str | None = None
    mode: str = "blind"
    left_probability: float | None = None
    right_probability: float | None = None
    left_threshold: float | None = None
    right_threshold: float | None = None
    left_checkpoint: str | None = None
    right_checkpoint: str | None = None
    actor: str = "local"
    latency_ms: int | None = None
    supersedes: str | None = None

    def __post_init__(self) -> None:
        if self.choice is not None and self.choice not in CHOICES:
            raise ValueError(f"choice must be one of {', '.join(CHOICES)}, not {self.choice!r}")
        if self.left == self.right:
            raise ValueError("two different episodes are compared, not one with itself")


@dataclass(frozen=True, kw_only=True)
class PreferenceEvent:
    """A stored preference; seq, at and hash as of a `LabelEvent`."""

    preference: Preference
    seq: int
    at: float
    hash: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the preference's fields, seq, at and hash."""
        return dataclasses.asdict(self.preference) | {name: getattr(self, name) for name in PLACED}

    @classmethod
    def from_dict(cls, values: Row) -> "PreferenceEvent":
        """The inverse of `to_dict`."""
        placed = {name: values[name] for name in PLACED}
        names = {field.name for field in dataclasses.fields(Preference)}
        told: dict[str, Any] = {name: value for name, value in values.items() if name in names}
        return cls(preference=Preference(**told), **placed)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A preference that counts.

    Attributes:
        agrees: whether the reward model puts the same clip first; None where it has no order.
    """

    event: PreferenceEvent
    agrees: bool | None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Standing preferences, counted.

    Attributes:
        compared: all of them.
        total: those said blind in which the person and the model each put one clip first:
            whoever saw the model's word is no independent judge of it.
        agreed: those of them in which it is the same clip.
    """

    compared: int
    total: int
    agreed: int


class PreferenceStore:
    """Preferences over DuckDB and a JSONL twin.

    Attributes:
        log: the events as plain values.
    """

    def __init__(
        self, database: Database, twin: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self.log = EventLog(database, twin, PREFERENCES, clock=clock)

    def append(self, preference: Preference) -> PreferenceEvent:
        """Store a preference durably; the same event id again returns what was stored before.

        Raises:
            ValueError: the event id belongs to another one, nothing is said, or `supersedes`
                names no preference of these two episodes.
            OSError: the twin cannot be written (a full disk): nothing was stored.
        """
        return PreferenceEvent.from_dict(self.log.append(dataclasses.asdict(preference)))

    def events(self) -> list[PreferenceEvent]:
        """Every event, oldest first."""
        return [PreferenceEvent.from_dict(event) for event in self.log.events()]

    def standing(
        self, *, guest: bool = False, actor: str | None = None, limit: int | None = None
    ) -> list[Standing]:
        """What each person, or one, says now of each two episodes, newest first."""
        rows = self._database.read(
            f"{_JUDGED} select event, agrees from judged order by seq desc limit $limit",
            {"guest": guest, "actor": actor, "limit": limit},
        )
        return [
            Standing(
                event=PreferenceEvent.from_dict(json.loads(row["event"])), agrees=row["agrees"]
            )
            for row in rows
        ]

    def tally(self, *, guest: bool = False, actor: str | None = None) -> Tally:
        """What each person, or one, says now, counted in the database."""
        [row] = self._database.read(
            f"{_JUDGED} select count(*) as compared,"
            " count(*) filter (mode = 'blind' and agrees is not null) as total,"
            " count(*) filter (mode = 'blind' and agrees) as agreed from judged",
            {"guest": guest, "actor": actor},
        )
        return Tally(**row)

    def next(
        self, pairing: str, actor: str, *, run: str | None, count: int
    ) -> list[tuple[str, str]]:
        """(left, right) episodes that a person has not compared yet, in an order of their own.

        The same question again gives the same pairs, less those judged in between. Which of two
        stands left is as random as the order, and as fixed.

        Args:
            pairing: one of `PAIRINGS`.
            run: only episodes of this run.
        """
        sql = _NEXT.format(pairs=PAIRINGS[pairing])
        rows = self._database.read(sql, {"run": run, "actor": actor, "count": count})
        return [
            (row["one"], row["other"]) if row["draw"][-1] < "8" else (row["other"], row["one"])
            for row in rows
        ]


def _check(values: Row, earlier: Row | None) -> None:
    if values["supersedes"] is None:
        if values["choice"] is None:
            raise ValueError(f"a preference needs a choice: {', '.join(CHOICES)}")
    elif earlier is None or _pair(earlier) != _pair(values):
        raise ValueError(
            f"the preference corrects {values['supersedes']}, which is none of "
            f"{values['left']} and {values['right']}"
        )


def _pair(values: Row) -> set[str]:
    return {values["left"], values["right"]}


def _columns(values: Row) -> Row:
    return {
        "guest": is_guest(values["actor"]),
        "actor": values["actor"],
        "left_id": values["left"],
        "right_id": values["right"],
        "choice": values["choice"],
        "supersedes": values["supersedes"],
        "withdrawal": values["choice"] is None,
    }


def _take_back(values: Row, event_id: str, actor: str, mode: str) -> Row:
    return dataclasses.asdict(
        Preference(
            event_id=event_id,
            left=values["left"],
            right=values["right"],
            mode=mode,
            actor=actor,
            supersedes=values["event_id"],
        )
    )


PREFERENCES = Kind(
    noun="preference",
    record=Preference,
    table="preference_events",
    standing="standing_preferences",
    columns=_columns,
    check=_check,
    take_back=_take_back,
)
