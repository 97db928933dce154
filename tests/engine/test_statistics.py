"""Intervals and paired tests, against hand-worked or published numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.seeding import numpy_generator
from engine.statistics.intervals import (
    Confusion,
    bootstrap_interval,
    discordant,
    hierarchical_bootstrap,
    holm,
    mcnemar_exact,
    wilson_interval,
)


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_wilson_interval_stays_inside_zero_and_one() -> None:
    assert wilson_interval(0, 10)[0] >= 0.0
    assert wilson_interval(10, 10)[1] <= 1.0


def test_nothing_tried_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="5 successes of 4 trials are impossible"):
        wilson_interval(5, 4)


def test_mcnemar_counts_the_binomial_tail_twice() -> None:
    # 1 against 5 of 6 discordant pairs: 2 * (1 + 6) / 64.
    assert mcnemar_exact(1, 5) == pytest.approx(14 / 64)
    assert mcnemar_exact(5, 1) == pytest.approx(14 / 64)


def test_mcnemar_of_a_tie_or_of_no_difference_is_one() -> None:
    assert mcnemar_exact(3, 3) == 1.0
    assert mcnemar_exact(0, 0) == 1.0


def test_only_pairs_that_disagree_count() -> None:
    first = np.array([True, True, False, False, True])
    second = np.array([True, False, True, False, False])
    assert discordant(first, second) == (2, 1)


def test_a_confusion_is_counted() -> None:
    predicted = np.array([True, True, False, False, True])
    actual = np.array([True, False, True, False, True])
    confusion = Confusion.count(predicted, actual)
    assert confusion == Confusion(2, 1, 1, 1)
    assert confusion.f1 == pytest.approx(2 / 3)
    assert confusion.precision == pytest.approx(2 / 3)
    assert confusion.recall == pytest.approx(2 / 3)
    assert confusion.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_judge_that_always_says_no_has_no_f1_and_half_the_accuracy() -> None:
    confusion = Confusion(0, 0, 4, 6)
    assert confusion.f1 == 0.0
    assert confusion.balanced_accuracy == 0.5


def test_the_interval_of_balanced_accuracy_combines_two_wilson_intervals() -> None:
    confusion = Confusion(40, 10, 10, 40)
    low, high = wilson_interval(40, 50)
    bounds = confusion.balanced_accuracy_interval()
    assert bounds[0] == pytest.approx(0.8 - (0.8 - low) / 2**0.5)
    assert bounds[1] == pytest.approx(0.8 + (high - 0.8) / 2**0.5)


def test_balanced_accuracy_of_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="needs successes and failures, not 5 and 0"):
        _ = Confusion(5, 0, 0, 0).balanced_accuracy


def test_the_bootstrap_finds_the_interval_of_a_mean() -> None:
    sample = numpy_generator(0, "sample").normal(3.0, 1.0, size=400)
    low, high = bootstrap_interval(sample, lambda rows: float(rows.mean()), numpy_generator(0, "b"))
    half = 1.96 * sample.std() / 20.0
    assert (low, high) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.02)


def test_the_bootstrap_repeats_itself() -> None:
    sample = np.arange(9.0)
    intervals = [
        bootstrap_interval(sample, lambda rows: float(np.median(rows)), numpy_generator(4, "b"))
        for _ in range(2)
    ]
    assert intervals[0] == intervals[1]


def test_an_empty_sample_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one observation"):
        bootstrap_interval(np.zeros(0), lambda rows: 0.0, numpy_generator(0))


def test_holm_of_a_worked_example() -> None:
    # Sorted 0.005 0.01 0.03 0.04 times 4 3 2 1, never falling: 0.02 0.03 0.06 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_refuses_what_is_no_p_value() -> None:
    with pytest.raises(ValueError, match=r"1\.5 is not a p-value"):
        holm([1.5])


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8))
def test_holm_rejects_no_more_than_no_correction_and_no_less_than_bonferroni(
    thousandths: list[int],
) -> None:
    p_values = [value / 1000 for value in thousandths]
    bonferroni = [min(1.0, len(p_values) * p) for p in p_values]
    assert all(
        p <= adjusted <= most
        for p, adjusted, most in zip(p_values, holm(p_values), bonferroni, strict=True)
    )


def test_holm_keeps_the_family_error_where_every_null_is_true() -> None:
    draws = numpy_generator(0, "holm").uniform(size=(2000, 5))
    wrong = np.mean([min(holm(row.tolist())) < 0.05 for row in draws])
    assert 0.035 <= wrong <= 0.065


def test_with_one_seed_the_hierarchical_bootstrap_is_the_plain_one() -> None:
    values = numpy_generator(0, "sample").normal(1.0, 1.0, size=(1, 400))
    found = hierarchical_bootstrap(values, numpy_generator(0, "b"))
    half = 1.96 * values.std() / 20.0
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (found.mean - half, found.mean + half), abs=0.02
    )


def test_seeds_that_differ_widen_the_interval() -> None:
    alike = np.tile(np.arange(50) % 2, (4, 1)).astype(float)
    apart = alike.copy()
    apart[:2], apart[2:] = 0.0, 1.0
    narrow = hierarchical_bootstrap(alike, numpy_generator(0, "b"))
    wide = hierarchical_bootstrap(apart, numpy_generator(0, "b"))
    assert narrow.mean == wide.mean == 0.5
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_no_difference_at_all_has_no_small_p_value() -> None:
    assert hierarchical_bootstrap(np.zeros((3, 20)), numpy_generator(0, "b")).p_value == 1.0


def test_the_hierarchical_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Starts and seeds have effects of their own; the mean over both is 0.
    covered = 0
    for index in range(200):
        random = numpy_generator(index, "coverage")
        rates = 0.5 + random.normal(0, 0.05, (12, 1)) + random.normal(0, 0.1, (1, 100))
        values = (random.uniform(size=(12, 100)) < rates) - 0.5
        found = hierarchical_bootstrap(values, random, num_resamples=400)
        covered += found.low <= 0.0 <= found.high
    assert 0.88 <= covered / 200 <= 1.0


def test_no_values_have_no_estimate() -> None:
    with pytest.raises(ValueError, match="at least one observation"):
        hierarchical_bootstrap(np.zeros((0, 5)), numpy_generator(0))
