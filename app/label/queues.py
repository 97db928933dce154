"""Queues of clips to judge, as the screen and scripts want them: made, handed out, counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.episodes.gallery import FILTERS, Gallery, View, given
from app.label.judgements import estimates, human_human, human_model, people
from app.player.records import episode_record
from app.web.checks import check_actor, check_text
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter
from storage.episodes.trajectories import EpisodeRow
from storage.judging.queue_orders import ORDERS, SAMPLES, Candidate, Place, rank
from storage.judging.queues import LEASE_SECONDS, Judgement, Queue

QUEUE_ORDERS = (*SAMPLES, *ORDERS)
GOLD = 10  # every so many clips, where nobody says how often
MOST_CLIPS, MOST_QUEUES, MOST_MODES, MOST_AT_ONCE = 5_000, 200, 24, 50


@dataclass(frozen=True, kw_only=True)
class MakeQueue(Config):
    """A queue over the episodes of a filter."""

    filter: View = knob(help="which episodes, as on Episodes", factory=View)
    order: str = knob("random", "in which they come, or how they are sampled", choices=QUEUE_ORDERS)
    clips: int = knob(200, "at most so many", low=1, high=MOST_CLIPS)
    overlap: int = knob(1, "people who judge each clip", low=1, high=20)
    gold: int | None = knob(
        None,
        f"every so many a clip of known answer; 0: none; else {GOLD} if there is one",
        high=100,
    )
    name: str | None = knob(None, "of the queue", high=60)
    seed: int | None = knob(None, "of the order", low=0, high=2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class QueueName(Config):
    """A queue by its name."""

    name: str = knob(help="of the queue", high=80)


@dataclass(frozen=True, kw_only=True)
class NextClips(Config):
    """The next clips of a queue for somebody."""

    queue: str = knob(help="its name", high=80)
    actor: str = knob(help="who judges", high=64)
    count: int = knob(1, "so many clips", low=1, high=MOST_AT_ONCE)
    adjudicate: bool = knob(False, "clips on which people disagree")


@dataclass(frozen=True, kw_only=True)
class Release(Config):
    """Clips that somebody does not judge after all."""

    queue: str = knob(help="its name", high=60)
    actor: str = knob(help="who held them", high=64)


@dataclass(frozen=True, kw_only=True)
class FailureModes(Config):
    """Words for failures, in the order of their keys."""

    modes: tuple[str, ...] = knob(help="the words", low=1, high=MOST_MODES)


class Queues:
    """Named queues over the episodes of a filter. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` of one sentence.
    """

    def __init__(self, cabinet: Cabinet, gallery: Gallery, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._gallery = gallery
        self._guest = guest

    def all(self) -> list[dict[str, Any]]:
        """Every queue, oldest first: {name, order, filter, overlap, gold, total, done, created}."""
        return [_record(queue) for queue in self._cabinet.queues.all(guest=self._guest)]

    def make(self, question: MakeQueue) -> dict[str, Any]:
        """Make a queue: {name, queues}."""
        order, clips, gold = question.order, question.clips, question.gold
        there = [queue.name for queue in self._cabinet.queues.all()]
        if len(there) >= MOST_QUEUES:
            raise ValueError(f"there are {MOST_QUEUES} queues: remove some first")
        seed = len(there) if question.seed is None else question.seed
        name = _name(question.name or order, there, given=bool(question.name))
        places = self._places(self._gallery.wanted(question.filter), order, clips, seed)
        if not places:
            raise ValueError("no episode fits this filter: there is nothing to judge")
        known = self._known(question.filter.task, besides={place.episode_id for place in places})
        if gold and not known:
            raise ValueError("calibration needs real episodes beside those of the filter")
        gold = GOLD if gold is None else gold
        if gold and known:
            places = _with_gold(places, known, every=gold, seed=seed)
        chosen = {key: value for key, value in given(question.filter).items() if key in FILTERS}
        told = {"filter": chosen, "order": order, "clips": clips, "gold": gold, "seed": seed}
        self._cabinet.queues.add(name, places, query=told, overlap=question.overlap)
        return {"name": name, "queues": self.all()}

    def remove(self, question: QueueName) -> dict[str, Any]:
        """{queues}: those that stay; judgements stay too."""
        self._cabinet.queues.remove(self._find(question.name).name)
        return {"queues": self.all()}

    def next(self, question: NextClips) -> dict[str, Any]:
        """{items}: the next clips, leased to the actor for `seconds`.

        The same question again gives the same clips, less those judged in between, and renews the
        leases. With `adjudicate`: clips on which people disagree, with their `verdicts`.
        """
        queue, adjudicate = self._find(question.queue), question.adjudicate
        actor = check_actor(question.actor, guest=self._guest)
        ids = self._cabinet.queues.lease(queue.name, actor, question.count, adjudicate=adjudicate)
        rows = self._cabinet.trajectories.find_all(ids)
        said = self._judgements(queue.name) if adjudicate and ids else []
        return {"items": [_item(rows[name], said) for name in ids if name in rows]}

    def release(self, question: Release) -> dict[str, int]:
        """{released}: how many clips may go to others, now that the actor judges something else."""
        actor = check_actor(question.actor, guest=self._guest)
        return {"released": self._cabinet.queues.release(question.queue, actor)}

    def statistics(self, name: str | None) -> dict[str, Any]:
        """Who judged how much of a queue, and how people agree with each other and the model.

        {queue, people, human_human, human_model, conflicts, estimates}; without a queue: of all
        judgements. Estimates speak of the whole population that a sampled queue was drawn from.
        """
        queue = None if name is None else self._find(name)
        said = self._judgements(None if queue is None else queue.name)
        sampled = queue is not None and queue.query["order"] in SAMPLES
        places = self._cabinet.queues.places(queue.name) if queue and sampled else []
        conflicts = self._cabinet.queues.conflicts(queue.name, guest=self._guest) if queue else []
        return {
            "queue": None if queue is None else _record(queue),
            "people": people(said),
            "human_human": human_human(said),
            "human_model": human_model(said),
            "conflicts": len(conflicts),
            "estimates": estimates(said, places) if sampled else None,
        }

    def gold_answers(self, name: str) -> dict[str, str]:
        """The known answers of a queue's calibration clips, by episode."""
        places = self._cabinet.queues.places(self._find(name).name)
        return {place.episode_id: place.gold for place in places if place.gold is not None}

    def failure_modes(self) -> list[str]:
        """Words for failures, in the order of their keys."""
        return self._cabinet.failure_modes.all()

    def save_failure_modes(self, question: FailureModes) -> dict[str, list[str]]:
        """{modes}: the words for failures then; labels keep the words they were given."""
        words = [check_text("a failure mode", name, 40).strip() for name in question.modes]
        if not all(words) or len({word.lower() for word in words}) < len(words):
            raise ValueError("every failure mode needs a name of its own")
        self._cabinet.failure_modes.replace(words)
        return {"modes": words}

    def _find(self, name: str) -> Queue:
        for queue in self._cabinet.queues.all(guest=self._guest):
            if queue.name == name:
                return queue
        there = ", ".join(queue.name for queue in self._cabinet.queues.all()) or "none yet"
        raise ValueError(f"there is no queue {name!r}; there is {there}")

    def _judgements(self, name: str | None) -> list[Judgement]:
        return self._cabinet.queues.judgements(name, guest=self._guest)

    def _places(self, wanted: EpisodeFilter, order: str, clips: int, seed: int) -> list[Place]:
        rows = self._cabinet.queues.candidates(wanted)
        kin = EpisodeFilter(task=wanted.task, guest=wanted.guest)
        related = order in ("seed disagreement", "GRPO leverage") and kin != wanted
        relatives = self._cabinet.queues.candidates(kin) if related else rows
        return rank(order, rows, relatives=relatives, limit=clips, seed=seed)

    def _known(self, task: str | None, *, besides: Collection[str]) -> list[Candidate]:
        """Real episodes, whose outcome the simulator knows."""
        real = EpisodeFilter(imagined=False, judged=True, task=task, guest=self._guest)
        rows = sorted(self._cabinet.queues.candidates(real), key=lambda row: row.id)
        return [row for row in rows if row.id not in besides]


def _with_gold(
    places: Sequence[Place], rows: Sequence[Candidate], *, every: int, seed: int
) -> list[Place]:
    """Every `every`th place a known row: as many successes as failures, while both last."""
    generator = np.random.default_rng(seed)
    rows = [rows[index] for index in generator.permutation(len(rows))]
    wins, losses = ([row for row in rows if row.success is won] for won in (True, False))
    fair = [row for pair in zip(wins, losses, strict=False) for row in pair]
    rest = wins[len(losses) :] + losses[len(wins) :]
    mixed: list[Place] = []
    known = iter([*fair, *rest])
    for place in places:
        if len(mixed) % every == every - 1 and (row := next(known, None)) is not None:
            answer = "success" if row.success else "fail"
            mixed.append(Place(episode_id=row.id, gold=answer))
        mixed.append(place)
    return mixed


def _name(wanted: str, there: Sequence[str], *, given: bool) -> str:
    name = wanted.strip()
    if not name:
        raise ValueError("a queue needs a name")
    if given:
        return name
    numbered = (f"{name} {number}" for number in range(2, MOST_QUEUES + 2))
    return next(free for free in (name, *numbered) if free not in there)


def _record(queue: Queue) -> dict[str, Any]:
    told: Mapping[str, Any] = queue.query
    return {
        "name": queue.name,
        **{key: told[key] for key in ("order", "filter", "gold")},
        "overlap": queue.overlap,
        "total": queue.total,
        "done": queue.done,
        "created": queue.created,
    }


def _item(row: EpisodeRow, said: Sequence[Judgement]) -> dict[str, Any]:
    verdicts = [one for one in said if one.episode_id == row.id and one.mode != "adjudicate"]
    newest = max(verdicts, key=lambda one: one.seq, default=None)
    return {
        **episode_record(row),
        "label": newest and {"event_id": newest.event_id, "outcome": None, "dream_broke": None},
        "seconds": LEASE_SECONDS,
        "verdicts": [
            {
                "actor": one.actor,
                "outcome": one.outcome,
                "dream_broke": one.dream_broke,
                "failure_mode": one.failure_mode,
                "note": one.note,
            }
            for one in verdicts
        ],
    }
