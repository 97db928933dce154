"""Comparing clips two by two: the next pairs, preferences as events of the screen, agreement."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.judging.questions import PairStroke, check_event_id
from app.player.records import episode_record
from app.web.checks import check_actor, check_integer, check_own
from app.web.questions import parse
from engine.config import Config, knob
from engine.statistics.intervals import wilson_interval
from storage.cabinet import Cabinet
from storage.events.labels import is_guest
from storage.events.preferences import PAIRINGS, Preference, Tally

MOST_AT_ONCE, MOST_SHOWN = 50, 500
NOTHING = {
    "one policy": "No start {where} has two futures of one policy to compare.",
    "two policies": "No start {where} has futures of two policies to compare.",
}


@dataclass(frozen=True, kw_only=True)
class NextPairs(Config):
    """The next two clips of one start for somebody."""

    actor: str = knob("local", "who judges", high=64)
    pairing: str = knob("one policy", "whose futures", choices=tuple(PAIRINGS))
    run: str | None = knob(None, "of one run alone")
    count: int = knob(1, "so many pairs", low=1, high=MOST_AT_ONCE)


class Preferences:
    """Preferences of one pool: people at home, or the visitors of a public studio.

    Every method may be called from any thread. What a user can get wrong raises a `ValueError`
    of one sentence, an unknown episode a `LookupError`.
    """

    def __init__(self, cabinet: Cabinet, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._guest = guest

    def next(self, question: NextPairs) -> dict[str, Any]:
        """{items, nothing}: pairs {id, left, right} of records not yet compared; and where there
        are none, a sentence that says why.

        The same question again gives the same pairs, less those judged in between. Nothing is
        held: everybody has an order of their own, and two opinions of a pair are worth having.
        """
        pairing, run = question.pairing, question.run or None
        find = self._cabinet.preferences.next
        pairs = find(pairing, self._pool(question.actor), run=run, count=question.count)
        rows = self._cabinet.trajectories.find_all([name for pair in pairs for name in pair])
        items = [
            {
                "id": f"{left} {right}",
                "left": episode_record(rows[left]),
                "right": episode_record(rows[right]),
            }
            for left, right in pairs
            if left in rows and right in rows
        ]
        if items:
            return {"items": items, "nothing": ""}
        if find(pairing, "", run=run, count=1):  # nobody's name: there are pairs, all compared
            return {"items": [], "nothing": "You have compared every pair here."}
        return {
            "items": [],
            "nothing": NOTHING[pairing].format(where=f"of {run}" if run else "here"),
        }

    def add(self, event: object, *, actor: str) -> dict[str, Any]:
        """Store a preference; {saved, seq, at} once it is durable.

        Raises:
            ValueError: an unknown or missing field, a bad value, or clips of different starts.
            LookupError: an unknown episode.
        """
        preference = Preference(**parse(PairStroke, event).to_dict(), actor=self._pool(actor))
        find = self._cabinet.trajectories.find
        left, right = find(preference.left), find(preference.right)
        if (left.task, left.start_id) != (right.task, right.start_id):
            raise ValueError("only clips of one start are compared: these have different ones")
        log, name = self._cabinet.preferences.log, preference.supersedes
        earlier = None if name is None else log.event(name)
        if earlier is not None:
            check_own(earlier["actor"], guest=self._guest)
        return _acknowledged(self._cabinet.preferences.append(preference).to_dict())

    def undo(self, event_id: object, *, new_event_id: object, actor: str) -> dict[str, Any]:
        """Take a preference back; {saved, seq, at} of the event that does so.

        Raises:
            ValueError: no such preference, an undo, or one of another pool.
        """
        target_id = check_event_id("event_id", event_id)
        log = self._cabinet.preferences.log
        target = log.event(target_id)
        if target is not None and is_guest(target["actor"]) != self._guest:
            raise ValueError("that preference belongs to another pool: it cannot be undone here")
        if target is not None:
            check_own(target["actor"], guest=self._guest)
        new = check_event_id("new_event_id", new_event_id)
        return _acknowledged(log.withdraw(target_id, new_event_id=new, actor=self._pool(actor)))

    def history(self, *, actor: str, limit: int = 20) -> list[dict[str, Any]]:
        """What a person said last of each two clips, newest first, with whether the model agrees.

        `agrees` is None where the choice is no order, or the model has none.
        """
        limit = check_integer("limit", limit, 1, MOST_SHOWN)
        said = self._cabinet.preferences.standing(
            guest=self._guest, actor=self._pool(actor), limit=limit
        )
        return [one.event.to_dict() | {"agrees": one.agrees} for one in said]

    def agreement(self, actor: str) -> dict[str, Any]:
        """{own, everybody}: how often preferences agree with the order of the model's scores.

        Each is {value, low, high, compared, total, agreed}: the share of `total` in which they
        agreed, with its 95 % Wilson interval, and what a `Tally` counts.
        """
        tally = self._cabinet.preferences.tally
        return {
            "own": _share(tally(guest=self._guest, actor=self._pool(actor))),
            "everybody": _share(tally(guest=self._guest)),
        }

    def _pool(self, actor: object) -> str:
        return check_actor(actor, guest=self._guest)


def _share(tally: Tally) -> dict[str, Any]:
    low, high = wilson_interval(tally.agreed, tally.total) if tally.total else (None, None)
    value = tally.agreed / tally.total if tally.total else None
    return {"value": value, "low": low, "high": high} | dataclasses.asdict(tally)


def _acknowledged(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"saved": event["event_id"], "seq": event["seq"], "at": event["at"]}
