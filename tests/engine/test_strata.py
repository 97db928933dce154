"""Strata of starts, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.strata import balanced_order, strata
from engine.jobs.optimise.job import JobConfig, sample_groups
from engine.seeding import numpy_generator
from tests.engine.test_groups import WrittenGroups


def test_halves_of_halves_lie_along_the_coordinates_that_vary() -> None:
    """Four corners of a table, two starts each; the third coordinate never varies."""
    corners = [(x, y, 5.0) for x in (0.0, 1.0) for y in (0.0, 1.0)]
    positions = np.array([*corners, *corners])
    numbers = strata(positions, 4)
    assert numbers[:4].tolist() == numbers[4:].tolist()
    assert sorted(numbers[:4]) == [0, 1, 2, 3]


def test_three_strata_of_a_line_are_its_thirds() -> None:
    numbers = strata(np.arange(9.0)[:, None], 3)
    assert numbers.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_millimetres_count_as_much_as_metres() -> None:
    positions = np.array([[0.0, 0.000], [0.0, 0.001], [9.0, 0.000], [9.0, 0.001]])
    assert sorted(strata(positions, 4)) == [0, 1, 2, 3]


@given(n=st.integers(1, 40), count=st.integers(1, 8), seed=st.integers(0, 9))
def test_strata_are_equally_large_and_each_is_met_before_any_is_met_again(
    n: int, count: int, seed: int
) -> None:
    count = min(n, count)
    numbers = strata(np.random.default_rng(seed).normal(size=(n, 3)), count)
    sizes = np.bincount(numbers, minlength=count)
    assert sizes.max() - sizes.min() <= 1
    order = balanced_order(numbers, np.random.default_rng(seed))
    assert sorted(order) == list(range(n))
    assert sorted(numbers[order[:count]]) == list(range(count))


def test_starts_that_are_all_alike_still_fall_into_strata() -> None:
    assert np.bincount(strata(np.zeros((4, 3)), 2)).tolist() == [2, 2]


def test_more_strata_than_starts_are_refused() -> None:
    with pytest.raises(ValueError, match="2 starts cannot be put into 3 strata"):
        strata(np.zeros((2, 3)), 3)


def test_an_iteration_takes_one_start_of_every_stratum_first() -> None:
    """Five strata of two starts: whatever the seed, the first five groups are of all five."""
    numbers = np.arange(10) // 2
    for seed in range(5):
        config = JobConfig(groups=5, max_groups=5, group_size=4, seed=seed)
        attempts, _ = sample_groups(config, WrittenGroups(), 0, numbers)
        assert sorted({a.start_id // 2 for a in attempts}) == [0, 1, 2, 3, 4]


def test_the_order_within_strata_is_drawn_anew() -> None:
    numbers = np.arange(40) // 10
    orders = [balanced_order(numbers, numpy_generator(0, i)).tolist() for i in range(2)]
    assert orders[0] != orders[1]
