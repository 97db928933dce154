"""Which checkpoints stay."""

import pytest

from engine.runs.retention import Retention

STEPS = [10, 20, 30, 40, 50]
# Logged between checkpoints as well; 20 has the highest, 30 the lowest value at its step.
POINTS = [(10, 0.4), (18, 0.1), (20, 0.9), (30, 0.2), (40, 0.5), (50, 0.6)]


@pytest.mark.parametrize(
    ("retention", "gone"),
    [
        (Retention(), [10, 20, 30]),
        (Retention(last=4), [10]),
        (Retention(last=9), []),
        (Retention(best="loss"), [10, 30]),
        (Retention(best="loss", lowest=True), [10, 20]),
    ],
)
def test_the_last_ones_and_the_best_stay(retention: Retention, gone: list[int]) -> None:
    points = POINTS if retention.best else []
    assert retention.superfluous(STEPS, points) == gone


def test_a_checkpoint_has_the_value_of_the_newest_point_up_to_it() -> None:
    points = [(5, 0.9), (9, 0.1), (19, 0.5), (99, 1.0)]
    assert Retention(best="loss").superfluous(STEPS, points) == [10, 20, 30]


def test_of_a_point_logged_again_the_later_counts() -> None:
    assert Retention(best="loss").superfluous([1, 2, 3, 4], [(1, 0.9), (2, 0.5), (1, 0.1)]) == [
        1,
        2,
    ]


def test_fewer_than_two_are_never_kept() -> None:
    with pytest.raises(ValueError, match="last must be at least 2"):
        Retention(last=1)
