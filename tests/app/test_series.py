"""Curves along an episode: which arrays are shown, and at which frames."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.player.series import chunk_size, human_steps, lines
from engine.records.types import Trajectory

Make = Callable[..., Trajectory]


@pytest.fixture
def with_arrays(make_trajectory: Make) -> Callable[..., Trajectory]:
    """A trajectory of sixteen actions with these arrays and no others."""

    def make(**arrays: Any) -> Trajectory:
        return make_trajectory(arrays=arrays)

    return make


def test_an_array_of_one_number_per_frame_action_or_chunk_is_a_curve(with_arrays: Make) -> None:
    trajectory = with_arrays(
        tokens=np.zeros((2, 32), np.int64),
        entropy=np.array([2.0, 3.0], np.float32),
        blur=np.arange(17, dtype=np.float32),
        force=np.ones(16, np.float32),
    )
    curves = {line["name"]: line for line in lines(trajectory)}
    assert list(curves) == ["blur", "entropy", "force"]
    assert curves["entropy"] == {"name": "entropy", "frames": [4.0, 12.0], "values": [2.0, 3.0]}
    assert curves["blur"]["frames"] == list(range(17))
    assert curves["force"]["frames"][:2] == [0.5, 1.5]


@pytest.mark.parametrize(
    "values",
    [np.zeros(5), np.zeros((16, 4)), np.zeros(16, np.int64), np.array([np.nan] * 16)],
    ids=["another length", "a table", "whole numbers", "not a number"],
)
def test_other_arrays_are_no_curves(with_arrays: Make, values: np.ndarray) -> None:
    assert lines(with_arrays(other=values)) == []


def test_latents_give_the_drift(with_arrays: Make) -> None:
    latents = np.zeros((17, 2, 4, 4), np.float32)
    latents[:, :, ::2] = 1.0  # mean 0.5, standard deviation 0.5
    latents[9:] = 3 * latents[:1]  # both three times as large: 1 more each
    [drift] = lines(with_arrays(latents=latents))
    assert drift["name"] == "drift"
    assert drift["values"][0] == 0.0
    assert drift["values"][9:] == [1.4142] * 8


def test_the_chunk_size_follows_from_the_tokens(with_arrays: Make) -> None:
    assert chunk_size(with_arrays(tokens=np.zeros((4, 16), np.int64))) == 4
    assert chunk_size(with_arrays()) == 8


def test_a_persons_actions_are_marked(with_arrays: Make) -> None:
    overridden = np.zeros((16, 4), np.bool_)
    overridden[8:, 2] = True
    assert human_steps(with_arrays(overridden=overridden)) == [False] * 8 + [True] * 8
    assert human_steps(with_arrays()) == []
