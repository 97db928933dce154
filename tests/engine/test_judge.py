"""Window rules and outcomes."""

from pathlib import Path

import numpy as np
import pytest

from engine.parity.items import load_vectors
from engine.records.types import JudgeRules, Outcome
from engine.reward.judge import check_judgeable, later_window_ends, outcome, window_ends

GOLDEN = Path(__file__).parents[1] / "golden" / "reward_success_a"
RELEASED = JudgeRules(first_end=108, last_window_counts=False)


def test_windows_end_from_the_first_end_to_the_number_of_frames() -> None:
    assert window_ends(11, JudgeRules()).tolist() == [8, 9, 10, 11]


def test_a_stride_skips_windows() -> None:
    assert window_ends(13, JudgeRules(stride=2)).tolist() == [8, 10, 12]


def test_a_video_shorter_than_a_window_has_none() -> None:
    assert window_ends(7, JudgeRules()).tolist() == []


def test_a_longer_video_adds_only_the_later_windows() -> None:
    assert later_window_ends(13, 9, JudgeRules(stride=2)).tolist() == [10, 12]


def test_the_first_hit_decides_and_its_last_frame_is_the_end_step() -> None:
    ends, probabilities = np.array([8, 9, 10]), np.array([0.1, 0.9, 0.95], np.float32)
    assert outcome(ends, probabilities, 0.9, JudgeRules(), 11) == Outcome(True, 8)


def test_a_probability_at_the_threshold_is_a_hit() -> None:
    assert outcome(np.array([8]), np.array([0.5], np.float32), 0.5, JudgeRules(), 9).success


def test_a_failure_ends_at_the_last_frame() -> None:
    judged = outcome(np.array([8]), np.array([0.1], np.float32), 0.5, JudgeRules(), 25)
    assert judged == Outcome(False, 24)


def test_a_hit_in_the_last_window_counts_only_by_the_rules() -> None:
    ends, probabilities = np.array([8, 9]), np.array([0.0, 1.0], np.float32)
    strict = JudgeRules(last_window_counts=False)
    assert outcome(ends, probabilities, 0.5, JudgeRules(), 9) == Outcome(True, 8)
    assert outcome(ends, probabilities, 0.5, strict, 9) == Outcome(False, 8)


def test_a_video_too_short_to_ever_succeed_is_refused() -> None:
    with pytest.raises(ValueError, match="a video of 108 frames can never succeed"):
        check_judgeable(108, RELEASED)


def test_one_frame_more_can_succeed() -> None:
    check_judgeable(109, RELEASED)


def test_outcomes_equal_the_official_ones() -> None:
    scalars, tensors = load_vectors(GOLDEN)
    num_frames = scalars["total_frames"]
    rules = JudgeRules(first_end=108, last_window_counts=False)
    ends = window_ends(num_frames, rules)
    probabilities = tensors["window_prob_by_end_from8"].numpy()[:, ends - 8]
    judged = [outcome(ends, row, scalars["threshold"], rules, num_frames) for row in probabilities]
    assert [o.success for o in judged] == tensors["complete"].bool().tolist()
    assert [o.end_step for o in judged] == tensors["finish_step"].tolist()
