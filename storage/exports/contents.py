"""What an exported file of many episodes holds, whatever its format: episodes, labels, problems."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from engine.records.episodes import check_episode_id
from engine.records.types import Frames, Label, Outcome, Trajectory
from storage.events.labels import LabelEvent
from storage.exports.bundle import check_plausible
from storage.exports.events.labels import parse_event

UNKNOWN = "no studio wrote this: take it in as recordings, on Data or with python -m engine import"

# Of an episode record, by `engine.records.episodes.episode_record`.
_KINDS: dict[str, type] = {
    "task": str,
    "instruction": str,
    "start_id": int,
    "imagined": bool,
    "success": bool,
    "end_step": int,
    "lineage": dict,
    "replay": dict,
}


@dataclass(frozen=True, kw_only=True)
class LabelledEpisode:
    """An episode with all that people said of it; `standing` is the id of the label that counts."""

    episode: Trajectory
    events: Sequence[LabelEvent] = ()
    standing: str | None = None

    @property
    def label(self) -> Label | None:
        """The label that stands."""
        found = (e.label for e in self.events if e.label.event_id == self.standing)
        return next(found, None)


@dataclass(frozen=True)
class Problem:
    """What is wrong, in which file, and in which of its rows (from 0) where it is one row."""

    file: str
    reason: str
    row: int | None = None

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Contents:
    """The episodes of a file; with a problem, none of them is to be trusted."""

    episodes: tuple[LabelledEpisode, ...]
    problems: tuple[Problem, ...]


class WrongError(Exception):
    """A `Problem`, on its way to the report."""

    def __init__(self, file: str, reason: object, row: int | None = None) -> None:
        self.problem = Problem(file, str(reason), row)


@contextmanager
def wrong_in(place: str) -> Iterator[None]:
    """Whatever is wrong inside the block is a problem of that place."""
    try:
        yield
    except KeyError as error:
        raise WrongError(place, f"{error.args[0]} is missing") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WrongError(place, error) from error


def gathered(readers: Iterable[tuple[str, Callable[[], LabelledEpisode]]]) -> Contents:
    """Every (place, reader) read; one that is wrong does not hide what is wrong with the next."""
    problems: list[Problem] = []
    found: dict[str, LabelledEpisode] = {}
    for place, read in readers:
        try:
            item = read()
        except WrongError as wrong:
            problems.append(wrong.problem)
            continue
        if item.episode.id in found:
            problems.append(Problem(place, f"{item.episode.id} is there twice"))
        found[item.episode.id] = item
    return Contents(() if problems else tuple(found.values()), tuple(problems))


def labels_record(item: LabelledEpisode) -> dict[str, Any]:
    """What people said of an episode, as plain JSON."""
    return {"events": [event.to_dict() for event in item.events], "standing": item.standing}


def item_from(
    record: Mapping[str, Any],
    labels: Mapping[str, Any],
    *,
    frames: Frames,
    actions: npt.NDArray[Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> LabelledEpisode:
    """The inverse of `episode_record` and `labels_record`, everything checked.

    Raises:
        ValueError, LookupError, TypeError: something is not as a studio writes it.
    """
    if record["num_actions"] != len(actions):
        raise ValueError(f"it has {record['num_actions']} actions, but {len(actions)} are there")
    for name, kind in _KINDS.items():
        if type(record[name]) is not kind:
            raise ValueError(f"{name} must be {kind.__name__}, not {record[name]!r:.40}")
    episode = Trajectory(
        id=check_episode_id(str(record["id"])),
        task=record["task"],
        start_id=record["start_id"],
        instruction=record["instruction"],
        imagined=record["imagined"],
        outcome=Outcome(record["success"], record["end_step"]),
        frames=frames,
        actions=actions,
        arrays=arrays,
        lineage=record["lineage"],
        replay=record["replay"],
    )
    check_plausible(episode)
    events = tuple(parse_event(values) for values in labels["events"])
    if any(event.label.episode_id != episode.id for event in events):
        raise ValueError("a label is of another episode")
    item = LabelledEpisode(episode=episode, events=events, standing=labels["standing"])
    if item.standing is not None and item.label is None:
        raise ValueError(f"the label {item.standing} that stands is not there")
    return item
