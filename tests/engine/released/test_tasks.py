"""The released tasks as data, against the tables of the paper's code (method.md §1.6, §3)."""

import math

import pytest

from engine.envs.factory import make_env
from engine.records.tasks import get_task
from engine.released.tasks import RELEASED, get_released
from engine.reward.judge import window_ends

TABLE = [  # max_steps, chunks, threshold, instruction
    ("square", 184, 23, 0.96, "Insert the square into the stick"),
    ("coffee", 256, 32, 0.82, "coffee"),
    ("stack_three", 320, 40, 0.66, "stack_three"),
    ("three_piece_assembly", 384, 48, 0.62, "three_piece_assembly"),
    ("aloha", 224, 28, None, "Insert the square into the stick"),
]


@pytest.mark.parametrize(("name", "steps", "chunks", "threshold", "instruction"), TABLE)
def test_a_task_is_as_published(
    name: str, steps: int, chunks: int, threshold: float | None, instruction: str
) -> None:
    released = get_released(name)
    task = released.task
    assert task is get_task(name)
    assert (task.horizon, task.horizon // 8) == (steps, chunks)
    assert (released.success_threshold, task.instruction) == (threshold, instruction)
    assert (task.action_dim, task.image_size) == (7, 256)
    ends = window_ends(steps + 1, task.judge)
    assert (ends[0], ends[-1], task.judge.last_window_counts) == (108, steps + 1, False)


def test_only_the_listed_tasks_were_released() -> None:
    assert sorted(RELEASED) == sorted(row[0] for row in TABLE)
    with pytest.raises(ValueError, match="nothing was released for the task 'tea'"):
        get_released("tea")


def test_the_statistics_are_named_after_the_demonstrations() -> None:
    assert get_released("square").statistics_key == "square_d0_300_demos"
    assert get_released("square").bounds == ("q01", "q99")
    assert get_released("aloha").bounds == ("min", "max")


def test_absolute_joint_angles_are_in_no_box() -> None:
    assert get_task("aloha").action_high == math.inf
    assert get_task("coffee").action_high == 1.0


def test_a_released_task_is_not_simulated_here() -> None:
    with pytest.raises(ValueError, match="coffee has no simulator here"):
        make_env(get_task("coffee"))
