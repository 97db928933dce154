"""The wall of episodes: what a filter finds, in pages, with films, saved views and the queue."""

import time
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from app.episodes.groups import KEEP_HIGH, KEEP_LOW, group_words
from app.player.clips import Clips, episode_record
from app.web.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_names,
    check_number,
    check_text,
)
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import LABELS, ORDERS, EpisodeFilter

KINDS = {"imagined": True, "real": False}
VERDICTS = {"success": True, "fail": False}
TEXTS = ("run", "task", "policy", "world_model", "reward_model", "failure_mode")
FLAGS = ("disagreement", "dream_broke", "queued")
FILTERS = (
    *TEXTS,
    *FLAGS,
    *("iteration", "kind", "verdict", "truth", "low", "high", "label", "since", "until"),
)
MOST_FILMS, MOST_CHOSEN, MOST_VIEWS = 48, 1_000, 200
DAY = 86_400.0


class Gallery:
    """Episodes by filter. Every method may be called from any thread.

    A filter is plain values by the names in `FILTERS`; what is left out means any. What a user
    can get wrong raises a `ValueError` of one sentence.
    """

    def __init__(self, cabinet: Cabinet, clips: Clips, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._clips = clips
        self._guest = guest

    def find(self, query: object) -> dict[str, Any]:
        """{filter…, order, offset, limit} -> {episodes, total, groups}: one page of the wall."""
        values = check_names(query, allowed=(*FILTERS, "order", "offset", "limit"))
        wanted = self.wanted(values)
        order = check_choice("order", values.get("order", "newest first"), ORDERS)
        limit, offset = _page(values, most=200)
        rows = self._cabinet.trajectories.episodes(wanted, order=order, limit=limit, offset=offset)
        total, groups = self._cabinet.trajectories.matching(wanted)
        return {"episodes": [episode_record(row) for row in rows], "total": total, "groups": groups}

    def records(
        self, *, order: str = "newest first", limit: object = 200, offset: object = 0, **wanted: Any
    ) -> list[dict[str, Any]]:
        """Records of episodes; `wanted` are fields of `EpisodeFilter`."""
        rows = self._cabinet.trajectories.episodes(
            EpisodeFilter(**wanted, guest=self._guest),
            order=order,
            limit=check_integer("limit", limit, 1, 1_000),
            offset=check_integer("offset", offset, 0, 2**31),
        )
        return [episode_record(row) for row in rows]

    def record(self, episode_id: str) -> dict[str, Any]:
        """The record of one episode.

        Raises:
            LookupError: no such episode.
        """
        return episode_record(self._cabinet.trajectories.find(episode_id, guest=self._guest))

    def find_groups(self, query: object) -> dict[str, Any]:
        """{filter…, offset, limit} -> {groups, total}: whole groups with a member that fits."""
        values = check_names(query, allowed=(*FILTERS, "order", "offset", "limit"))
        wanted = self.wanted(values)
        limit, offset = _page(values, most=40)
        found = self._cabinet.trajectories.groups(wanted, limit=limit, offset=offset)
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

    def siblings(self, query: object) -> dict[str, Any]:
        """{episode} -> {members}: the records of its group, itself included, or none.

        Raises:
            LookupError: no such episode.
        """
        values = check_names(query, allowed=("episode",), required=("episode",))
        row = self._cabinet.trajectories.find(str(values["episode"]))
        members = self._cabinet.trajectories.siblings(row, guest=self._guest)
        return {"members": [episode_record(member) for member in members]}

    def facets(self) -> dict[str, list[list[Any]]]:
        """What can be asked for, by filter: [[value, number of episodes]…], the commonest first."""
        found = self._cabinet.trajectories.facets(guest=self._guest)
        return {name: [list(pair) for pair in pairs] for name, pairs in found.items()}

    def films(self, query: object) -> dict[str, str]:
        """{ids} -> the decisive frames of each side by side, as a data URI, by id."""
        ids = _ids(query, most=MOST_FILMS)
        rows = self._cabinet.trajectories.find_all(ids)
        return self._clips.films([rows[name] for name in ids if name in rows])

    def views(self) -> dict[str, dict[str, Any]]:
        """Saved filters by name."""
        return self._cabinet.views.all()

    def save_view(self, query: object) -> dict[str, dict[str, Any]]:
        """{name, filter} -> the saved filters then; without a filter the name is forgotten."""
        values = check_names(query, allowed=("name", "filter"), required=("name",))
        name = check_text("name", values["name"], 60).strip()
        if not name:
            raise ValueError("a view needs a name")
        chosen = values.get("filter")
        if chosen is None:
            self._cabinet.views.remove(name)
            return self.views()
        chosen = check_names(chosen, allowed=(*FILTERS, "order", "mode"))
        self.wanted({key: value for key, value in chosen.items() if key in FILTERS})
        if len(self.views()) >= MOST_VIEWS:
            raise ValueError(f"there are {MOST_VIEWS} saved views: forget some first")
        self._cabinet.views.save(name, chosen)
        return self.views()

    def queue(self, query: object) -> dict[str, int]:
        """{ids} -> {added}: put episodes into the label queue."""
        return {"added": self._cabinet.label_queue.add(_ids(query, most=MOST_CHOSEN))}

    def wanted(self, values: Mapping[str, Any]) -> EpisodeFilter:
        """The filter that plain values describe.

        Raises:
            ValueError: a value that cannot be.
        """

        def given(name: str, check: Any, *bounds: Any) -> Any:
            value = values.get(name)
            return None if value is None or value == "" else check(name, value, *bounds)

        kind = given("kind", check_choice, KINDS)
        verdict, truth = (given(name, check_choice, VERDICTS) for name in ("verdict", "truth"))
        since, until = given("since", check_day), given("until", check_day)
        return EpisodeFilter(
            **{name: given(name, check_text, 200) for name in TEXTS},
            **{name: given(name, check_flag) for name in FLAGS},
            iteration=given("iteration", check_integer, 0, 2**31 - 1),
            imagined=None if kind is None else KINDS[kind],
            success=None if verdict is None else VERDICTS[verdict],
            real_success=None if truth is None else VERDICTS[truth],
            probability_from=given("low", check_number, 0.0, 1.0),
            probability_to=given("high", check_number, 0.0, 1.0),
            created_from=since,
            created_to=None if until is None else until + DAY,
            label=given("label", check_choice, LABELS),
            guest=self._guest,
        )


def check_day(name: str, value: object) -> float:
    """Midnight, local time, at which a day such as 2026-03-01 begins, in seconds of the epoch."""
    try:
        day = date.fromisoformat(check_text(name, value, 10))
        return time.mktime(datetime(day.year, day.month, day.day).timetuple())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a day such as 2026-03-01, not {value!r}") from error


def _page(values: Mapping[str, Any], *, most: int) -> tuple[int, int]:
    limit = check_integer("limit", values.get("limit", most), 1, most)
    return limit, check_integer("offset", values.get("offset", 0), 0, 2**31)


def _ids(query: object, *, most: int) -> list[str]:
    ids = check_names(query, allowed=("ids",), required=("ids",))["ids"]
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise ValueError("ids must be a list of episode ids")
    if len(ids) > most:
        raise ValueError(f"at most {most} episodes at once, not {len(ids)}")
    return ids
