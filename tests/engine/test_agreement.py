"""Agreement beyond chance, and shares of a population from a sample."""

import numpy as np
import pytest

from engine.statistics.agreement import cohen_kappa, share_interval, weighted_share
from engine.statistics.intervals import wilson_interval


def table(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int64)


def test_kappa_of_a_textbook_table() -> None:
    # Worked by hand: agreement .70, by chance .50 · .60 + .50 · .40 = .50, so (.7 - .5) / .5.
    agreement = cohen_kappa(table([20, 5], [10, 15]))
    assert agreement.kappa == pytest.approx(0.4)
    assert (agreement.total, agreement.agreed) == (50, 35)
    low, high = wilson_interval(35, 50)
    assert agreement.low == pytest.approx((low - 0.5) / 0.5)
    assert agreement.high == pytest.approx((high - 0.5) / 0.5)


def test_full_agreement_of_few_is_no_certainty() -> None:
    agreement = cohen_kappa(table([5, 0], [0, 5]))
    assert agreement.kappa == 1.0
    assert agreement.low is not None and agreement.low < 0.6


@pytest.mark.parametrize("counts", [table([0, 0], [0, 0]), table([9, 0], [0, 0])])
def test_where_chance_explains_everything_there_is_no_kappa(counts: np.ndarray) -> None:
    assert cohen_kappa(counts).kappa is None


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        cohen_kappa(table([1, -1], [0, 1]))


def test_the_interval_of_kappa_covers_the_truth() -> None:
    # Two judges who see success half the time and agree on 4 of 5 clips: kappa .6.
    generator = np.random.default_rng(0)
    tables = generator.multinomial(60, [0.4, 0.1, 0.1, 0.4], 200).reshape(200, 2, 2)
    found = [cohen_kappa(counts) for counts in tables]
    covered = np.mean([one.low <= 0.6 <= one.high for one in found])
    assert 0.92 <= covered <= 0.99


def test_weights_undo_what_stratified_drawing_bends() -> None:
    # 900 failures for sure and 100 of which 80 % succeed, judged 50 each: 8 % succeed, not 40 %.
    generator = np.random.default_rng(1)
    values, covered = [], []
    for _ in range(300):
        hits = np.concatenate([np.zeros(50, bool), generator.random(50) < 0.8])
        weights = np.repeat([18.0, 2.0], 50)
        share = weighted_share(hits, weights)
        values.append(share.value)
        covered.append(share.low <= 0.08 <= share.high)
    assert np.mean(values) == pytest.approx(0.08, abs=0.002)
    assert np.mean(covered) >= 0.95


def test_equal_weights_give_wilson_s_interval() -> None:
    share = weighted_share(np.array([True] * 7 + [False] * 3), np.full(10, 4.0))
    assert share.value == pytest.approx(0.7)
    assert (share.low, share.high) == pytest.approx(wilson_interval(7, 10))
    assert share_interval(0.7, 10.0) == pytest.approx(wilson_interval(7, 10))


def test_nothing_judged_says_nothing() -> None:
    share = weighted_share(np.zeros(0, bool), np.zeros(0))
    assert (share.value, share.low, share.high) == (None, 0.0, 1.0)


def test_weights_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        weighted_share(np.ones(2, bool), np.array([1.0, 0.0]))
