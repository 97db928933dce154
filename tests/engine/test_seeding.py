"""What a row is decides its draws: not its position, its batch or the order of calls."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.seeding import (
    generator,
    initialisation,
    numpy_generator,
    rand,
    randn,
    row_generators,
)

# The first is the sha256 of "7/world model/3/300000/1", its first 8 bytes little-endian, halved.
# These constants fix every stored replay record: when they change, no permalink replays any more.
GOLDEN_ROOT = 714892064890029266
GOLDEN_NORMAL = [-0.2017446, -2.5969431, 0.1208560]
GOLDEN_NUMPY = [724, 548, 613, 955]


def test_the_golden_draws_stay_what_they_were() -> None:
    drawn = generator(7, "world model", 3, 300_000, 1)
    assert drawn.initial_seed() == GOLDEN_ROOT
    assert torch.randn(3, generator=drawn).tolist() == pytest.approx(GOLDEN_NORMAL, abs=1e-6)
    integers = numpy_generator(7, "world model", 3, 300_000, 1).integers(0, 1000, 4)
    assert integers.tolist() == GOLDEN_NUMPY


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 7)), min_size=1, unique=True))
def test_a_row_is_the_same_alone_and_in_any_batch(rows: list[tuple[int, int]]) -> None:
    together = randn((2, 3), row_generators(5, "policy", 1, rows=rows))
    alone = [randn((2, 3), row_generators(5, "policy", 1, rows=[row])) for row in rows]
    assert torch.equal(together, torch.cat(alone))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 7)), min_size=2, unique=True))
def test_rows_keep_their_draws_in_another_order(rows: list[tuple[int, int]]) -> None:
    forward = rand((4,), row_generators(5, "judge", rows=rows))
    backward = rand((4,), row_generators(5, "judge", rows=rows[::-1]))
    assert torch.equal(forward, backward.flip(0))


@pytest.mark.parametrize(
    "other", [(1, "policy", 0), (0, "world model", 0), (0, "policy", 1), (0, "policy", 0, 0)]
)
def test_another_seed_purpose_or_row_is_another_generator(other: tuple[int, str, int]) -> None:
    assert generator(*other).initial_seed() != generator(0, "policy", 0).initial_seed()


@given(st.integers(-(2**63), 2**64))
def test_any_integer_is_a_seed(seed: int) -> None:
    assert generator(seed, "policy").initial_seed() >= 0


def test_uniform_numbers_lie_between_nought_and_one() -> None:
    numbers = rand((1000,), row_generators(0, "noise", rows=[(0,), (1,)]))
    assert numbers.shape == (2, 1000)
    assert 0.0 <= numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1.0


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    randn((4,), [generator(0, "policy")])
    assert torch.equal(torch.get_rng_state(), before)


def test_first_weights_come_from_the_seed_alone() -> None:
    torch.rand(5)
    with initialisation(3, "policy"):
        first = torch.nn.Linear(2, 2).weight
    torch.rand(7)
    with initialisation(3, "policy"):
        second = torch.nn.Linear(2, 2).weight
    assert torch.equal(first, second)


def test_building_a_module_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    with initialisation(3, "policy"):
        torch.nn.Linear(2, 2)
    assert torch.equal(torch.get_rng_state(), before)
