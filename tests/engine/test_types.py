"""The nouns: what they refuse, and the action statistics of a policy."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.types import Label, Normalization, Outcome, Trajectory

STATISTICS = Normalization(q01=(-1.0, 0.0, -1.0), q99=(1.0, 4.0, 1.0), mask=(True, True, False))


def trajectory(*, frames: np.ndarray, actions: np.ndarray) -> Trajectory:
    return Trajectory(
        id="a",
        task="push",
        start_id=0,
        instruction="push",
        imagined=True,
        outcome=Outcome(False, 2),
        frames=frames,
        actions=actions,
    )


def test_quantiles_become_the_ends_of_the_models_range() -> None:
    normalized = STATISTICS.normalize(np.array([[-1.0, 4.0, 0.3], [0.0, 2.0, 7.0]]))
    assert normalized.tolist() == [[-1.0, 1.0, 0.3], [0.0, 0.0, 7.0]]


def test_values_beyond_the_quantiles_are_not_clipped() -> None:
    assert STATISTICS.normalize(np.array([2.0, 8.0, 0.0])).tolist() == [2.0, 3.0, 0.0]


@given(st.integers(0, 2**32 - 1))
def test_denormalising_undoes_normalising(seed: int) -> None:
    actions = np.random.default_rng(seed).uniform(-2.0, 5.0, (4, 3)).astype(np.float32)
    returned = STATISTICS.denormalize(STATISTICS.normalize(actions))
    assert returned.dtype == np.float32
    np.testing.assert_allclose(returned, actions, atol=2e-6)  # 1e-8 in method.md §2.2, float32


def test_a_constant_dimension_that_is_not_normalised_passes_unchanged() -> None:
    gripper = Normalization(q01=(0.5,), q99=(0.5,), mask=(False,))
    assert gripper.normalize(np.array([[0.25]])).tolist() == [[0.25]]


def test_statistics_survive_a_journey_through_plain_values() -> None:
    assert Normalization.from_dict(STATISTICS.to_dict()) == STATISTICS
    assert STATISTICS.action_dim == 3


def test_statistics_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length, not 2, 1 and 1"):
        Normalization(q01=(0.0, 0.0), q99=(1.0,), mask=(True,))


def test_a_trajectory_has_one_frame_more_than_actions() -> None:
    with pytest.raises(ValueError, match="3 frames need 2 actions"):
        trajectory(frames=np.zeros((3, 4, 4, 3), np.uint8), actions=np.zeros((3, 2), np.float32))


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 3, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint8),
    ],
)
def test_frames_of_another_kind_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames must be uint8"):
        trajectory(frames=frames, actions=np.zeros((2, 2), np.float32))


def test_a_label_says_success_fail_unsure_or_nothing() -> None:
    assert Label(event_id="e", episode_id="a", dream_broke=True).outcome is None
    with pytest.raises(ValueError, match="success, fail, unsure, not 'won'"):
        Label(event_id="e", episode_id="a", outcome="won")


def test_a_noun_never_changes() -> None:
    outcome = Outcome(True, 3)
    with pytest.raises(FrozenInstanceError):
        outcome.success = False  # type: ignore[misc]
