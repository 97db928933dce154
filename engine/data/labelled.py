"""Labelled episodes: stored frames, with a person's verdict in place of the model's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.records.episodes import STAGES, index_id, list_episodes, read_episode
from engine.records.label_set import SetLabel, is_gold, read_label_set, start_key
from engine.records.types import Outcome, Trajectory


def load_labelled(label_set: Path, roots: Sequence[str]) -> list[Trajectory]:
    """The episodes of a label set under their studio-wide ids, judged as people judged them.

    Args:
        roots: run directories, or folders of episode directories, that hold them.

    Raises:
        ValueError: a damaged set, or a labelled episode that none of the roots holds.
    """
    places = {name: path for root in roots for name, path in _episodes(Path(root)).items()}
    labels = read_label_set(label_set)
    missing = [label.episode_id for label in labels if label.episode_id not in places]
    if missing:
        raise ValueError(
            f"{len(missing)} labelled episodes are not where they were, {missing[0]} among them"
        )
    return [
        replace(
            with_label(read_episode(places[label.episode_id]), label),
            id=label.episode_id,
        )
        for label in labels
    ]


def with_label(episode: Trajectory, label: SetLabel) -> Trajectory:
    """The episode with the person's outcome: from now on somebody judged it.

    A success is at the frame the person marked; without a mark, where the episode's own verdict
    saw it; failing that, in the window of the highest probability; failing that, at the end.
    """
    known = {name: value for name, value in episode.lineage.items() if name != "unjudged"}
    return replace(episode, outcome=_said(episode, label), lineage=known)


def _said(episode: Trajectory, label: SetLabel) -> Outcome:
    if not label.success:
        return Outcome(False, len(episode.actions))
    if label.end_step is not None:
        end_step = min(label.end_step, len(episode.actions))
    elif episode.outcome.success:
        end_step = episode.outcome.end_step
    else:
        end_step = _likeliest_end(episode)
    return Outcome(True, end_step)


def split_gold(
    episodes: Sequence[Trajectory], share: float
) -> tuple[list[Trajectory], list[Trajectory]]:
    """(gold episodes, the others), by start: the same episode is always on the same side."""
    gold = [is_gold(key_of(episode), share) for episode in episodes]
    return (
        [episode for episode, aside in zip(episodes, gold, strict=True) if aside],
        [episode for episode, aside in zip(episodes, gold, strict=True) if not aside],
    )


def key_of(episode: Trajectory) -> str:
    """The `start_key` of an episode."""
    return start_key(episode.task, episode.start_id, episode.id)


def _likeliest_end(episode: Trajectory) -> int:
    arrays = episode.arrays
    if "window_ends" not in arrays or not len(arrays["window_ends"]):
        return len(episode.actions)
    return int(arrays["window_ends"][int(np.argmax(arrays["window_probabilities"]))]) - 1


def _episodes(root: Path) -> dict[str, Path]:
    """Episode directories of a run directory or folder by their studio-wide ids."""
    inside = root / "episodes"
    run = root.name if inside.is_dir() else None
    if root.parent.name == STAGES:
        run = root.parent.parent.name
    return {index_id(run, path.name): path for path in list_episodes(inside if run else root)}
