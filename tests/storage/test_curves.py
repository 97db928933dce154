"""Curves of runs: on every axis, thinned without losing a peak, audited, and as tables."""

import csv
import io
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet
from storage.exports.metrics import to_csv, to_parquet

Maker = Callable[..., Trajectory]


@pytest.fixture
def logged(cabinet: Cabinet) -> Cabinet:
    """A run of three steps; what it played in reality is known of two of them."""
    cabinet.runs.create("run", "optimise", {})
    cabinet.database.write(lambda cursor: cursor.rows("update runs set started = 100.0"))
    log(cabinet, [(1, "reward", 0.25), (2, "reward", 0.5), (3, "reward", 0.75)])
    log(cabinet, [(1, "rollout/frames", 64.0), (2, "rollout/frames", 32.0)])
    log(cabinet, [(1, "real/episodes", 0.0), (3, "real/episodes", 8.0)])
    return cabinet


def log(cabinet: Cabinet, points: list[tuple[int, str, float]]) -> None:
    rows = [
        {"run": "run", "step": step, "name": name, "value": value, "attempt": 1, "seq": step}
        | {"time": 100.0 + 10 * step}
        for step, name, value in points
    ]
    cabinet.database.write(lambda cursor: cursor.insert("metrics", rows))


@pytest.mark.parametrize(
    ("axis", "points"),
    [
        ("iteration", [[1, 0.25, 1], [2, 0.5, 2], [3, 0.75, 3]]),
        ("frames", [[64.0, 0.25, 1], [96.0, 0.5, 2]]),
        ("real", [[0.0, 0.25, 1], [8.0, 0.75, 3]]),
        ("time", [[10.0, 0.25, 1], [20.0, 0.5, 2], [30.0, 0.75, 3]]),
    ],
)
def test_a_curve_has_points_where_its_axis_is_known(
    logged: Cabinet, axis: str, points: list[list[float]]
) -> None:
    assert logged.curves.of("run", axis=axis).series["reward"] == points


def test_what_was_played_in_the_simulator_has_no_imagined_frames(logged: Cabinet) -> None:
    played = """update runs set config = '{"environment": "simulator"}'"""
    logged.database.write(lambda cursor: cursor.rows(played))
    assert logged.curves.of("run", axis="frames").series == {}
    assert logged.curves.of("run", axis="real").series["reward"] == [[0.0, 0.25, 1], [8.0, 0.75, 3]]


def test_later_points_come_by_cursor_and_stand_where_the_whole_curve_has_them(
    logged: Cabinet,
) -> None:
    later = logged.curves.of("run", axis="frames", after=1)
    assert later.series["reward"] == [[96.0, 0.5, 2]]
    assert later.next == 3
    assert logged.curves.of("run", after=3).series == {}
    assert logged.curves.of("run", after=3).next == 3


def test_a_long_curve_keeps_its_extremes_and_its_end(logged: Cabinet) -> None:
    points = [(step, "noise", 0.0) for step in range(4, 10_000)]
    points[4_321] = (4_325, "noise", 9.0)
    points[777] = (781, "noise", -3.0)
    log(logged, points)
    curve = logged.curves.of("run", most=90).series["noise"]
    assert len(curve) <= 93
    assert curve == sorted(curve)
    assert [4_325, 9.0, 4_325] in curve and [781, -3.0, 781] in curve
    assert curve[-1] == [9_999, 0.0, 9_999]


def test_another_axis_is_refused(logged: Cabinet) -> None:
    with pytest.raises(ValueError, match="axis must be one of iteration, frames, real, time"):
        logged.curves.of("run", axis="vibes")


def test_tables_hold_every_point(logged: Cabinet) -> None:
    rows = logged.curves.table(["run"])
    read = list(csv.DictReader(io.StringIO(to_csv(rows).decode())))
    assert len(read) == 7
    assert read[0]["name"] == "real/episodes" and float(read[1]["value"]) == 0.25
    assert pq.read_table(io.BytesIO(to_parquet(rows))).to_pylist() == rows


def test_people_and_the_reward_model_are_counted_on_the_same_clips(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    for member, outcome in enumerate(("success", "fail", "unsure")):
        lineage = {"run": "run", "iteration": 2, "group": 7, "member": member}
        name = f"clip-{member}"
        cabinet.trajectories.add(make_trajectory(name, lineage=lineage))
        cabinet.labels.append(Label(event_id=f"event-{member}", episode_id=name, outcome=outcome))
    assert cabinet.curves.audits("run") == [
        {"iteration": 2, "judged": 2, "succeeded": 1, "claimed": 2, "confirmed": 1}
    ]
    assert cabinet.curves.audits("run", guest=True) == []


def test_probes_of_a_start_are_in_the_order_of_the_training(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    for iteration in (3, 0):
        lineage = {"run": "run", "iteration": iteration, "probe": True}
        cabinet.trajectories.add(make_trajectory(f"probe-{iteration}", lineage=lineage))
    assert [row["iteration"] for row in cabinet.curves.probes("run")] == [0, 3]
    assert cabinet.runs.iterations("run") == []
