"""Window probabilities in the index: there from the start, filled in later, of any model."""

import dataclasses
from collections.abc import Callable

import numpy as np

from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter

Maker = Callable[..., Trajectory]
JUDGED = {
    "window_ends": np.array([8, 9]),
    "window_probabilities": np.array([0.25, 0.75], np.float32),
}
EVERYTHING = EpisodeFilter()


def add(cabinet: Cabinet, make: Maker, name: str, *, arrays: object = JUDGED) -> None:
    lineage = {"reward_model": "r1", "run": "grpo-1", "iteration": 2, "group": 7, "member": 0}
    cabinet.trajectories.add(make(name, arrays=arrays, lineage=lineage))


def test_windows_are_indexed_with_the_episode(cabinet: Cabinet, make_trajectory: Maker) -> None:
    add(cabinet, make_trajectory, "a")
    add(cabinet, make_trajectory, "b", arrays={})
    cabinet.labels.add(Label(event_id="e1", episode_id="a", outcome="fail", dream_broke=True))
    [found] = cabinet.windows.scored("r1", EVERYTHING)
    assert (found.id, list(found.ends), list(found.probabilities)) == ("a", [8, 9], [0.25, 0.75])
    assert (found.outcome, found.dream_broke) == ("fail", True)
    assert cabinet.windows.models() == [{"judged_by": "r1", "episodes": 1, "threshold": 0.5}]
    assert cabinet.windows.missing() == 0
    [iteration] = cabinet.windows.iterations("r1")
    assert (iteration["run"], iteration["iteration"], iteration["groups"]) == ("grpo-1", 2, 1)


def test_an_older_index_is_filled_from_the_files_in_parts(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    for name in ("a", "b"):
        add(cabinet, make_trajectory, name)
    add(cabinet, make_trajectory, "c", arrays={})
    gone = cabinet.workspace.episodes / "b" / "episode.npz"
    gone.unlink()
    cabinet.database.write(lambda cursor: cursor.rows("delete from window_scores"))
    assert cabinet.windows.missing() == 3
    told: list[tuple[int, int]] = []
    assert cabinet.windows.backfill(lambda *progress: told.append(progress) or True) == 2
    assert told == [(3, 3)]
    assert [one.id for one in cabinet.windows.scored("r1", EVERYTHING)] == ["a"]
    assert cabinet.windows.missing() == 0  # b is asked for again only after a restart


def test_another_model_judges_the_same_episode_beside_the_first(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    add(cabinet, make_trajectory, "a")
    cabinet.windows.put("r2", [("a", [8], [0.5])])
    cabinet.windows.put("r2", [("a", [8, 9], [0.5, 0.125])])
    [second] = cabinet.windows.scored("r2", EVERYTHING)
    assert list(second.probabilities) == [0.5, 0.125]
    [first] = cabinet.windows.scored("r1", EpisodeFilter(run="grpo-1"))
    assert list(first.probabilities) == [0.25, 0.75]
    assert dataclasses.replace(second, ends=first.ends, probabilities=first.probabilities) == first
