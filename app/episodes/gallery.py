"""The wall of episodes: what a filter finds, in pages, with films, saved views and the queue."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, TypedDict

from app.episodes.groups import KEEP_HIGH, KEEP_LOW, group_words
from app.player.clips import Clips, OneEpisode
from app.player.records import EpisodeRecord, Members, episode_record
from app.web.checks import check_integer
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import LABELS, ORDERS, EpisodeFilter

KINDS = {"imagined": True, "real": False}
VERDICTS = {"success": True, "fail": False}
MOST_FILMS, MOST_CHOSEN, MOST_VIEWS = 48, 1_000, 200
DAY = 86_400.0
UNJUDGED = "real, nobody judged"  # clips that a person has to judge: nothing else did


@dataclass(frozen=True, kw_only=True)
class Filter(Config):
    """Which episodes; what is left out means any."""

    run: str | None = knob(None, "that a run stored")
    task: str | None = knob(None, "of a task")
    policy: str | None = knob(None, "acted by the policy of this hash")
    world_model: str | None = knob(None, "imagined by the world model of this hash")
    reward_model: str | None = knob(None, "judged by the reward model of this hash")
    failure_mode: str | None = knob(None, "that people say failed in this way")
    disagreement: bool | None = knob(None, "on which people and the reward model disagree")
    dream_broke: bool | None = knob(None, "of which people say that the dream broke")
    queued: bool | None = knob(None, "in the label queue")
    judged: bool | None = knob(None, "of which a model, a simulator or its recording told the end")
    iteration: int | None = knob(None, "of an iteration", low=0, high=2**31 - 1)
    kind: str | None = knob(None, "imagined or real", choices=tuple(KINDS))
    verdict: str | None = knob(None, "the reward model's", choices=tuple(VERDICTS))
    truth: str | None = knob(None, "of the real twin", choices=tuple(VERDICTS))
    low: float | None = knob(None, "least probability", low=0.0, high=1.0)
    high: float | None = knob(None, "largest probability", low=0.0, high=1.0)
    label: str | None = knob(None, "what people say", choices=LABELS)
    since: str | None = knob(None, "first day, such as 2026-03-01", high=10)
    until: str | None = knob(None, "last day", high=10)


FILTERS = tuple(field.name for field in fields(Filter))


@dataclass(frozen=True, kw_only=True)
class View(Filter):
    """A filter and how its episodes are shown."""

    order: str | None = knob(None, "which come first")
    mode: str | None = knob(None, "episodes or groups")


@dataclass(frozen=True, kw_only=True)
class Find(Filter):
    """One page of the episodes of a filter."""

    order: str = knob("newest first", "which come first", choices=tuple(ORDERS))
    offset: int = knob(0, "so many are left out", low=0, high=2**31)
    limit: int = knob(200, "at most so many", low=1, high=200)


@dataclass(frozen=True, kw_only=True)
class FindGroups(Filter):
    """One page of the groups with a member that fits."""

    order: str | None = knob(None, "as a filter has it; groups are newest first")
    offset: int = knob(0, "so many are left out", low=0, high=2**31)
    limit: int = knob(40, "at most so many", low=1, high=40)


@dataclass(frozen=True, kw_only=True)
class Films(Config):
    """Episodes whose films are shown."""

    ids: tuple[str, ...] = knob(help="their ids", high=MOST_FILMS)


@dataclass(frozen=True, kw_only=True)
class Enqueue(Config):
    """Episodes for the label queue."""

    ids: tuple[str, ...] = knob(help="their ids", high=MOST_CHOSEN)


@dataclass(frozen=True, kw_only=True)
class SaveView(Config):
    """A filter to keep under a name; without one the name is forgotten."""

    name: str = knob(help="of the view", high=60)
    filter: View | None = knob(None, "what it shows")


class Found(TypedDict):
    """One page of the wall: its episodes, and how many episodes and groups fit."""

    episodes: list[EpisodeRecord]
    total: int
    groups: int


class Gallery:
    """Episodes by filter. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` of one sentence. `run_name` says what the run
    of an id is called.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        clips: Clips,
        *,
        guest: bool,
        run_name: Callable[[str], str] = str,
    ) -> None:
        self._run_name = run_name
        self._cabinet = cabinet
        self._clips = clips
        self._guest = guest

    def find(self, question: Find) -> Found:
        """One page of the wall."""
        wanted = self.wanted(question)
        rows = self._cabinet.trajectories.episodes(
            wanted, order=question.order, limit=question.limit, offset=question.offset
        )
        total, groups = self._cabinet.trajectories.matching(wanted)
        return {"episodes": [episode_record(row) for row in rows], "total": total, "groups": groups}

    def records(
        self, *, order: str = "newest first", limit: object = 200, offset: object = 0, **wanted: Any
    ) -> list[EpisodeRecord]:
        """Records of episodes; `wanted` are fields of `EpisodeFilter`."""
        rows = self._cabinet.trajectories.episodes(
            EpisodeFilter(**wanted, guest=self._guest),
            order=order,
            limit=check_integer("limit", limit, 1, 1_000),
            offset=check_integer("offset", offset, 0, 2**31),
        )
        return [episode_record(row) for row in rows]

    def count(self, **wanted: Any) -> int:
        """How many episodes there are; `wanted` are fields of `EpisodeFilter`."""
        return self._cabinet.trajectories.matching(EpisodeFilter(**wanted, guest=self._guest))[0]

    def record(self, episode_id: str) -> EpisodeRecord:
        """The record of one episode.

        Raises:
            LookupError: no such episode.
        """
        return episode_record(self._cabinet.trajectories.find(episode_id, guest=self._guest))

    def run_names(self, ids: Sequence[str]) -> dict[str, str]:
        """What the runs of episodes are called, by episode; those without one are missing."""
        rows = self._cabinet.trajectories.find_all(ids)
        return {name: self._run_name(row.run) for name, row in rows.items() if row.run}

    def find_groups(self, question: FindGroups) -> dict[str, Any]:
        """Whole groups with a member that fits: {groups, total, num_groups}."""
        wanted = self.wanted(question)
        found = self._cabinet.trajectories.groups(
            wanted, limit=question.limit, offset=question.offset
        )
        total, groups = self._cabinet.trajectories.matching(wanted)
        return {
            "groups": [
                {
                    **group_words(members, low=KEEP_LOW, high=KEEP_HIGH),
                    "run": members[0].run,
                    "iteration": members[0].iteration,
                    "members": [episode_record(row) for row in members],
                }
                for members in found
            ],
            "total": total,
            "num_groups": groups,
        }

    def siblings(self, question: OneEpisode) -> Members:
        """The records of an episode's group, itself included, or none.

        Raises:
            LookupError: no such episode.
        """
        row = self._cabinet.trajectories.find(question.episode)
        members = self._cabinet.trajectories.siblings(row, guest=self._guest)
        return {"members": [episode_record(member) for member in members]}

    def facets(self) -> dict[str, list[list[Any]]]:
        """What can be asked for, by filter: [[value, number of episodes, its name]…], the commonest
        first."""
        found = self._cabinet.trajectories.facets(guest=self._guest)
        words = {"run": self._run_name}
        return {
            name: [[value, count, words.get(name, str)(value)] for value, count in pairs]
            for name, pairs in found.items()
        }

    def films(self, question: Films) -> dict[str, str]:
        """The decisive frames of each episode side by side, as a data URI, by id."""
        ids = question.ids
        rows = self._cabinet.trajectories.find_all(ids)
        return self._clips.films([rows[name] for name in ids if name in rows])

    def views(self) -> dict[str, dict[str, Any]]:
        """Saved filters by name."""
        return self._cabinet.views.all()

    def save_view(self, question: SaveView) -> dict[str, dict[str, Any]]:
        """Keep a filter, or forget one; the saved filters then."""
        name = question.name.strip()
        if not name:
            raise ValueError("a view needs a name")
        if question.filter is None:
            self._cabinet.views.remove(name)
            return self.views()
        self.wanted(question.filter)
        if len(self.views()) >= MOST_VIEWS:
            raise ValueError(f"there are {MOST_VIEWS} saved views: forget some first")
        self._cabinet.views.save(name, given(question.filter))
        return self.views()

    def queue(self, question: Enqueue) -> dict[str, int]:
        """{added}: put episodes into the label queue."""
        return {"added": self._cabinet.label_queue.add(question.ids)}

    def wanted(self, chosen: Filter) -> EpisodeFilter:
        """What the storage looks for.

        Raises:
            ValueError: a day that is none.
        """
        since, until = chosen.since, chosen.until
        return EpisodeFilter(
            run=chosen.run or None,
            task=chosen.task or None,
            policy=chosen.policy or None,
            world_model=chosen.world_model or None,
            reward_model=chosen.reward_model or None,
            failure_mode=chosen.failure_mode or None,
            disagreement=chosen.disagreement,
            dream_broke=chosen.dream_broke,
            queued=chosen.queued,
            judged=chosen.judged,
            iteration=chosen.iteration,
            imagined=KINDS.get(chosen.kind or ""),
            success=VERDICTS.get(chosen.verdict or ""),
            real_success=VERDICTS.get(chosen.truth or ""),
            probability_from=chosen.low,
            probability_to=chosen.high,
            created_from=None if not since else begin_of("since", since),
            created_to=None if not until else begin_of("until", until) + DAY,
            label=chosen.label,
            guest=self._guest,
        )


def given(question: Filter) -> dict[str, Any]:
    """What a filter names, as plain values."""
    return {name: value for name, value in question.to_dict().items() if value not in (None, "")}


def begin_of(name: str, value: str) -> float:
    """Midnight, local time, at which a day such as 2026-03-01 begins, in seconds of the epoch."""
    try:
        day = date.fromisoformat(value)
        return time.mktime(datetime(day.year, day.month, day.day).timetuple())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a day such as 2026-03-01, not {value!r}") from error
