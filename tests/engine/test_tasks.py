"""Task records and the pools of start ids."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.tasks import POOLS, TASKS, Task, get_task, pool_of, pool_starts


@pytest.mark.parametrize("task", list(TASKS.values()), ids=list(TASKS))
def test_a_task_record_is_complete(task: Task) -> None:
    assert get_task(task.name) is task
    assert task.instruction
    assert task.action_low < task.action_high
    assert task.horizon % 8 == 0
    assert task.horizon >= task.judge.first_end >= task.judge.window


def test_an_unknown_task_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ValueError, match="unknown task 'pour'; known tasks: coffee-push"):
        get_task("pour")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(POOLS, 2)))
def test_no_start_is_in_two_pools(one: str, other: str) -> None:
    assert max(POOLS[one][0], POOLS[other][0]) > min(POOLS[one][-1], POOLS[other][-1])


@pytest.mark.parametrize("pool", list(POOLS))
def test_the_ends_of_a_pool_belong_to_it(pool: str) -> None:
    assert pool_of(POOLS[pool][0]) == pool_of(POOLS[pool][-1]) == pool


@pytest.mark.parametrize(
    ("start_id", "pool"),
    [(-1, "upload"), (1_000_400, "unassigned"), (500_000, "unassigned"), (1_000_399, "test")],
)
def test_a_start_outside_the_pools_says_so(start_id: int, pool: str) -> None:
    assert pool_of(start_id) == pool


@given(st.sampled_from(tuple(POOLS)), st.integers(-10, 500), st.integers(-10, 500))
def test_starts_come_from_their_pool_or_not_at_all(pool: str, first: int, episodes: int) -> None:
    fits = first >= 0 and episodes >= 1 and first + episodes <= len(POOLS[pool])
    try:
        starts = pool_starts(pool, first, episodes)
    except ValueError as error:
        assert not fits
        assert re.search(f"pool {pool} has {len(POOLS[pool])} starts", str(error))
    else:
        assert fits
        assert list(starts) == [POOLS[pool][0] + first + i for i in range(episodes)]
        assert {pool_of(start) for start in starts} == {pool}


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pool 'holdout'; known pools: demonstrations"):
        pool_starts("holdout", 0, 1)


def test_every_dimension_of_an_action_has_a_name() -> None:
    assert get_task("coffee-push").dimension_names == ("x", "y", "z", "gripper")
    assert get_task("square").dimension_names[-2:] == ("yaw", "gripper")
    assert get_task("aloha").dimension_names[0] == "a0"
    assert all(len(task.dimension_names) == task.action_dim for task in TASKS.values())
