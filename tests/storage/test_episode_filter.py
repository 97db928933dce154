"""The wall's questions to the index: filters, orders, groups, facets, views and the queue."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.records.types import Label, Outcome, Trajectory
from storage.cabinet import Cabinet
from storage.database import Row
from storage.episodes.episode_filter import EpisodeFilter

Maker = Callable[..., Trajectory]

MANY = 10_000


@pytest.fixture
def stocked(cabinet: Cabinet, make_trajectory: Maker) -> Cabinet:
    """Four episodes a to d: two siblings, one drifting, one real; a is contradicted by a person."""
    rows: list[tuple[str, dict[str, object]]] = [
        ("a", {"lineage": {"created": 1.0, "run": "r", "iteration": 1, "group": 7, "member": 1}}),
        ("b", {"lineage": {"created": 2.0, "run": "r", "iteration": 1, "group": 7, "member": 0}}),
        ("c", {"lineage": {"created": 3.0, "policy": "p1"}, "outcome": Outcome(False, 2)}),
        ("d", {"lineage": {"created": 4.0}, "imagined": False, "arrays": {}}),
    ]
    latents = np.random.default_rng(0).normal(size=(3, 2, 2, 2)).astype(np.float32)
    latents[2] = 5 * latents[0]
    rows[2][1]["arrays"] = {"latents": latents}
    for name, changes in rows:
        cabinet.trajectories.add(make_trajectory(name, **changes))
    cabinet.labels.add(Label(event_id="e1", episode_id="a", outcome="fail", failure_mode="slip"))
    cabinet.labels.add(Label(event_id="e2", episode_id="c", dream_broke=True))
    return cabinet


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EpisodeFilter(success=False), ["c"]),
        (EpisodeFilter(policy="p1"), ["c"]),
        (EpisodeFilter(probability_from=0.7, probability_to=0.8), ["a", "b"]),
        (EpisodeFilter(created_from=2.0, created_to=4.0), ["b", "c"]),
        (EpisodeFilter(label="fail"), ["a"]),
        (EpisodeFilter(label="any"), ["a", "c"]),
        (EpisodeFilter(label="none"), ["b", "d"]),
        (EpisodeFilter(disagreement=True), ["a"]),
        (EpisodeFilter(disagreement=False), ["b", "c", "d"]),
        (EpisodeFilter(failure_mode="slip"), ["a"]),
        (EpisodeFilter(dream_broke=True), ["c"]),
        (EpisodeFilter(groups=True), ["a", "b"]),
        (EpisodeFilter(label="fail", guest=True), []),
    ],
)
def test_filters(stocked: Cabinet, wanted: EpisodeFilter, expected: list[str]) -> None:
    found = [row.id for row in stocked.trajectories.episodes(wanted, order="by id")]
    assert found == expected
    assert stocked.trajectories.matching(wanted)[0] == len(expected)


@pytest.mark.parametrize(
    ("order", "first"),
    [("newest first", "d"), ("most disagreement", "a"), ("largest drift", "c")],
)
def test_orders(stocked: Cabinet, order: str, first: str) -> None:
    assert stocked.trajectories.episodes(EpisodeFilter(), order=order)[0].id == first


def test_a_group_is_whole_although_one_member_fits(stocked: Cabinet) -> None:
    [group] = stocked.trajectories.groups(EpisodeFilter(label="fail"), limit=5)
    assert [row.id for row in group] == ["b", "a"]
    assert group[1].label is not None
    alone = stocked.trajectories.find("c")
    assert stocked.trajectories.siblings(alone) == []


def test_facets_count_what_can_be_asked_for(stocked: Cabinet) -> None:
    facets = stocked.trajectories.facets()
    assert facets["run"] == [("r", 2)]
    assert facets["policy"] == [("p1", 1)]
    assert facets["failure_mode"] == [("slip", 1)]


def test_a_wrong_label_is_refused() -> None:
    with pytest.raises(ValueError, match="label must be one of success"):
        EpisodeFilter(label="maybe")


def test_views_are_replaced_and_forgotten(cabinet: Cabinet) -> None:
    cabinet.views.save("mine", {"kind": "real"})
    cabinet.views.save("mine", {"kind": "imagined"})
    assert cabinet.views.all() == {"mine": {"kind": "imagined"}}
    cabinet.views.remove("mine")
    assert cabinet.views.all() == {}


def test_the_queue_keeps_its_order_and_takes_an_episode_once(stocked: Cabinet) -> None:
    assert stocked.label_queue.add(["d", "b", "d", "nobody"]) == 2
    assert stocked.label_queue.add(["b", "a"]) == 1
    rows = stocked.trajectories.episodes(EpisodeFilter(queued=True), order="queue first")
    assert [row.id for row in rows] == ["d", "b", "a"]  # a is judged already


def test_ten_thousand_episodes_are_paged_without_gaps_or_repeats(cabinet: Cabinet) -> None:
    cabinet.trajectories.index([index_row(number) for number in range(MANY)])
    wanted, seen = EpisodeFilter(success=True), []
    total, groups = cabinet.trajectories.matching(wanted)
    for offset in range(0, total, 1_000):
        order = "closest to the threshold"
        page = cabinet.trajectories.episodes(wanted, order=order, limit=1_000, offset=offset)
        seen += [row.id for row in page]
    assert total == len(seen) == len(set(seen)) == MANY // 2
    assert groups == MANY // 8


def index_row(number: int) -> Row:
    """An episode of which there is nothing but its row: eight to a group."""
    return {
        "id": f"ep-{number:05d}",
        "task": "coffee-push",
        "start_id": 300_000 + number // 8,
        "instruction": "push the mug",
        "imagined": True,
        "success": number % 2 == 0,
        "end_step": 48,
        "num_actions": 48,
        "probability": (number * 37 % 1_000) / 1_000,
        "threshold": 0.6,
        "run": f"run-{number // 2_000}",
        "iteration": number // 64,
        "group_name": str(300_000 + number // 8),
        "member": number % 8,
        "advantage": 0.0,
        "reward": 0.0,
        "lineage": "{}",
        "location": f"episodes/ep-{number:05d}",
        "created": 1_000.0 + number,
        "policy": None,
        "world_model": None,
        "reward_model": None,
        "drift": None,
    }
