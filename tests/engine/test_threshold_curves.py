"""Curves over the threshold, against counts made by hand and areas summed pair by pair."""

import numpy as np
import pytest

from engine.records.types import JudgeRules
from engine.reward.judge import outcome
from engine.reward.threshold_curves import (
    Judged,
    area_under_roc,
    average_precision,
    calibration,
    curves,
    episode_score,
    labels_for_width,
)
from engine.seeding import numpy_generator
from engine.statistics.intervals import Confusion, wilson_interval

# Five episodes: successes at 0.9, 0.6, 0.2, failures at 0.7 and 0.6.
FIVE = Judged.of(
    np.array([0.9, 0.6, 0.2, 0.7, 0.6], np.float32), np.array([True, True, True, False, False])
)
RELEASED = JudgeRules(first_end=10, last_window_counts=False)


def test_counts_and_shares_worked_by_hand() -> None:
    found = curves(FIVE, np.array([0.1, 0.6, 0.65, 0.95]))
    assert found.true_positives.tolist() == [3, 2, 1, 0]
    assert found.false_positives.tolist() == [2, 2, 1, 0]
    np.testing.assert_allclose(found.precision.value, [3 / 5, 2 / 4, 1 / 2, np.nan])
    np.testing.assert_allclose(found.recall.value, [1, 2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(found.false_positive_rate.value, [1, 1, 1 / 2, 0])
    np.testing.assert_allclose(found.f1.value, [6 / 8, 4 / 7, 2 / 5, 0])
    low, high = wilson_interval(2, 4)
    assert (found.precision.low[1], found.precision.high[1]) == pytest.approx((low, high))
    low, high = wilson_interval(2, 5)  # 2 of the 5 that are no true negatives
    f1 = (found.f1.low[1], found.f1.high[1])
    assert f1 == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


def test_a_score_at_the_threshold_counts_as_the_judge_counts_it() -> None:
    ends, rules = np.array([8, 9, 10]), JudgeRules()
    for threshold in (0.1, 0.3, 0.7, 0.9):  # none of them is a float32
        probabilities = np.array([0.0, threshold, 0.0], np.float32)
        score = np.array([episode_score(ends, probabilities, rules, 10)], np.float32)
        found = curves(Judged.of(score, np.array([True])), np.array([threshold]))
        judged = outcome(ends, probabilities, threshold, rules, 10)
        assert found.true_positives.tolist() == [int(judged.success)] == [1]


def test_a_score_is_that_of_the_windows_that_count() -> None:
    ends, probabilities = np.array([9, 10, 11, 12]), np.array([0.9, 0.2, 0.4, 0.8], np.float32)
    assert episode_score(ends, probabilities, RELEASED, 12) == pytest.approx(0.4)
    assert episode_score(ends, probabilities, RELEASED, 13) == pytest.approx(0.8)
    assert episode_score(ends, probabilities, JudgeRules(), 12) == pytest.approx(0.9)
    assert episode_score(ends[:1], probabilities[:1], RELEASED, 12) == 0.0


def test_curves_agree_with_a_confusion_at_every_threshold() -> None:
    random = numpy_generator(0, "scores")
    scores, success = random.random(300).round(2).astype(np.float32), random.random(300) < 0.4
    thresholds = np.linspace(0.0, 1.0, 21)
    found = curves(Judged.of(scores, success), thresholds)
    for index, threshold in enumerate(thresholds):
        one = Confusion.count(scores >= float(threshold), success)
        assert one.true_positives == found.true_positives[index]
        assert one.false_positives == found.false_positives[index]
        assert one.f1 == pytest.approx(found.f1.value[index])


def test_areas_are_those_of_all_pairs() -> None:
    # Of the six pairs: 0.9 beats both, 0.6 loses one and ties one, 0.2 loses both.
    assert area_under_roc(FIVE) == pytest.approx(2.5 / 6)
    # Precision at each success from the top: 1/1, 2/4 (a tie is not cut), 3/5.
    assert average_precision(FIVE) == pytest.approx((1 + 0.5 + 0.6) / 3)
    one_class = Judged.of(np.array([0.5], np.float32), np.array([False]))
    assert area_under_roc(one_class) is None
    assert average_precision(one_class) is None


def test_weights_undo_an_uneven_draw_and_widen_the_interval() -> None:
    # Of 100 failures above the threshold 10 were drawn, of 20 successes all.
    scores = np.full(30, 0.8, np.float32)
    success = np.arange(30) < 20
    weights = np.where(success, 1.0, 10.0)
    weighted = curves(Judged.of(scores, success, weights), np.array([0.5])).precision
    assert weighted.value[0] == pytest.approx(20 / 120)
    effective = 120**2 / (20 + 10 * 100)
    assert weighted.high[0] - weighted.low[0] > 0.3 > 1 / np.sqrt(effective)
    doubled = curves(Judged.of(scores, success, 2 * weights), np.array([0.5])).precision
    assert doubled.low[0] == pytest.approx(weighted.low[0])
    with pytest.raises(ValueError, match="weights must be positive"):
        Judged.of(scores, success, 0 * weights)


def test_calibration_counts_what_lies_in_a_bin() -> None:
    first, second, last = calibration(FIVE, num_bins=5)
    assert (first.low, first.high, first.count, first.rate) == (0.2, 0.4, 1, 1.0)
    assert (second.low, second.count, second.rate) == (0.6, 3, pytest.approx(1 / 3))
    assert last.mean_score == pytest.approx(0.9)
    assert last.interval == pytest.approx(wilson_interval(1, 1))


def test_labels_needed_are_the_fewest_that_do() -> None:
    needed = labels_for_width(0.5, 0.2)

    def width(number: int) -> float:
        low, high = wilson_interval(number // 2, number)
        return high - low

    assert needed == 93
    assert width(94) <= 0.2 < width(90)
    assert labels_for_width(1.0, 0.1) == 35  # 1 / (1 + z² / n) reaches 0.9
    with pytest.raises(ValueError, match="no number of labels"):
        labels_for_width(0.5, 0.0)
