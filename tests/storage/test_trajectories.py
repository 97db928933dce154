"""Episodes: files and their index."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from engine.records.episodes import index_id, write_episode
from engine.records.types import Label, Outcome, Trajectory
from storage.cabinet import Cabinet
from storage.database import Database
from storage.episodes.episode_filter import EpisodeFilter
from storage.episodes.trajectories import TrajectoryStore
from storage.workspace import Workspace

Maker = Callable[..., Trajectory]


def test_what_is_added_comes_back(cabinet: Cabinet, make_trajectory: Maker) -> None:
    given = make_trajectory()
    assert cabinet.trajectories.add(given) == "episode-1"
    found = cabinet.trajectories.get("episode-1")
    assert (found.id, found.outcome, found.lineage, found.replay) == (
        given.id,
        given.outcome,
        given.lineage,
        given.replay,
    )
    np.testing.assert_array_equal(found.frames, given.frames)
    np.testing.assert_array_equal(found.actions, given.actions)
    np.testing.assert_array_equal(found.arrays["window_ends"], given.arrays["window_ends"])


def test_the_index_knows_the_largest_probability(cabinet: Cabinet, make_trajectory: Maker) -> None:
    cabinet.trajectories.add(make_trajectory())
    row = cabinet.trajectories.find("episode-1")
    assert (row.probability, row.threshold) == (0.75, 0.5)


def test_an_episode_that_was_never_judged_has_no_probability(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    cabinet.trajectories.add(make_trajectory(arrays={}, replay={}))
    assert cabinet.trajectories.find("episode-1").probability is None


def test_an_unknown_episode_is_a_lookup_error(cabinet: Cabinet) -> None:
    with pytest.raises(LookupError, match="there is no episode nothing"):
        cabinet.trajectories.get("nothing")


def test_an_id_that_leaves_the_directory_is_refused(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    with pytest.raises(ValueError, match="is not an episode id"):
        cabinet.trajectories.add(make_trajectory("../outside"))


def test_the_first_episode_of_an_id_stays(cabinet: Cabinet, make_trajectory: Maker) -> None:
    cabinet.trajectories.add(make_trajectory(outcome=Outcome(True, 2)))
    cabinet.trajectories.add(make_trajectory(outcome=Outcome(False, 2)))
    assert cabinet.trajectories.get("episode-1").outcome.success


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EpisodeFilter(), ["a", "b", "c"]),
        (EpisodeFilter(task="push"), ["b"]),
        (EpisodeFilter(imagined=True), ["a", "b"]),
        (EpisodeFilter(imagined=False), ["c"]),
        (EpisodeFilter(iteration=3), ["a"]),
        (EpisodeFilter(run="run-1"), ["a"]),
        (EpisodeFilter(labelled=True), ["c"]),
        (EpisodeFilter(labelled=False), ["a", "b"]),
        (EpisodeFilter(labelled=True, guest=True), ["b"]),
        (EpisodeFilter(task="push", imagined=False), []),
    ],
)
def test_filters(
    cabinet: Cabinet, make_trajectory: Maker, wanted: EpisodeFilter, expected: list[str]
) -> None:
    cabinet.trajectories.add(make_trajectory("a", lineage={"iteration": 3, "run": "run-1"}))
    cabinet.trajectories.add(make_trajectory("b", task="push"))
    cabinet.trajectories.add(make_trajectory("c", imagined=False))
    cabinet.labels.add(Label(event_id="1", episode_id="c", outcome="fail"))
    cabinet.labels.add(Label(event_id="2", episode_id="b", outcome="fail", actor="guest"))
    rows = cabinet.trajectories.episodes(wanted, order="by id")
    assert [row.id for row in rows] == expected


def test_unlabelled_episodes_come_first_and_pages_do_not_overlap(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    for name in ("a", "b", "c"):
        cabinet.trajectories.add(make_trajectory(name))
    cabinet.labels.add(Label(event_id="1", episode_id="a", outcome="fail"))
    order = "unlabelled first"
    first = cabinet.trajectories.episodes(EpisodeFilter(), order=order, limit=2)
    second = cabinet.trajectories.episodes(EpisodeFilter(), order=order, limit=2, offset=2)
    assert [row.id for row in first] == ["b", "c"]
    assert [row.id for row in second] == ["a"]
    assert second[0].label == Label(event_id="1", episode_id="a", outcome="fail")


def test_another_order_is_refused(cabinet: Cabinet) -> None:
    with pytest.raises(ValueError, match="order must be one of"):
        cabinet.trajectories.episodes(EpisodeFilter(), order="id; drop table episodes")


def test_ids_are_filtered_and_sorted(cabinet: Cabinet, make_trajectory: Maker) -> None:
    cabinet.trajectories.add(make_trajectory("b"))
    cabinet.trajectories.add(make_trajectory("a"))
    cabinet.trajectories.add(make_trajectory("c", imagined=False))
    assert cabinet.trajectories.ids(imagined=True) == ["a", "b"]


@pytest.mark.parametrize(
    ("run", "episode", "expected"),
    [(None, "e", "e"), ("run-1", "e", "run-1.e"), ("run-1", "run-1-e", "run-1-e")],
)
def test_episodes_of_a_run_carry_its_name(run: str | None, episode: str, expected: str) -> None:
    assert index_id(run, episode) == expected


def test_a_scan_indexes_what_is_there_and_leaves_out_what_is_broken(
    cabinet: Cabinet, make_trajectory: Maker, tmp_path: Path
) -> None:
    write_episode(tmp_path / "found", make_trajectory("good"))
    (write_episode(tmp_path / "found", make_trajectory("bad")) / "episode.npz").write_bytes(b"")
    assert cabinet.trajectories.scan(tmp_path / "found") == 1
    assert cabinet.trajectories.ids() == ["good"]
    assert cabinet.trajectories.get("good").task == "coffee-push"


class Watched(type(Path())):  # type: ignore[misc]
    """A path that counts how often something is looked up on the disk, below it too."""

    looks: ClassVar[list[str]] = []

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        Watched.looks.append(self.name)
        return super().stat(follow_symlinks=follow_symlinks)


def test_a_second_scan_looks_into_no_episode_that_is_known(
    cabinet: Cabinet, make_trajectory: Maker, tmp_path: Path
) -> None:
    found = Watched(tmp_path / "found")
    for number in range(20):
        write_episode(found, make_trajectory(f"known-{number}"))
    assert cabinet.trajectories.scan(found) == 20
    write_episode(found, make_trajectory("new"))
    Watched.looks.clear()
    assert cabinet.trajectories.scan(found) == 1
    assert Watched.looks.count("episode.json") == 1


def test_episodes_can_live_on_another_file_system(
    database: Database, workspace: Workspace, make_trajectory: Maker
) -> None:
    store = TrajectoryStore(database, workspace.root, "memory://episodes-elsewhere")
    given = make_trajectory("far")
    store.add(given)
    np.testing.assert_array_equal(store.get("far").frames, given.frames)


def test_locations_inside_the_data_directory_are_relative(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    cabinet.trajectories.add(make_trajectory())
    assert cabinet.trajectories.find("episode-1").location == "episodes/episode-1"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04torn", b"text"])
def test_an_episode_damaged_after_it_was_indexed_is_one_sentence(
    cabinet: Cabinet, workspace: Workspace, make_trajectory: Maker, content: bytes
) -> None:
    cabinet.trajectories.add(make_trajectory())
    (workspace.episodes / "episode-1" / "episode.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is not a readable episode"):
        cabinet.trajectories.get("episode-1")
