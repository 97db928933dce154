"""Gates worked by hand: bounds, ranks, intervals, and what a run says of them."""

from pathlib import Path

import numpy as np
import pytest

from engine.jobs.gates.report import (
    BOUNDS,
    auc,
    auc_interval,
    in_words,
    judge_gates,
    report,
    say_gates,
    spearman,
    verdict_measures,
)
from engine.records.durable import write_json_durably
from tests.fakes import MemoryRun

HASHES = {"world_model": "w", "reward_model": "r"}


def test_an_auc_counts_pairs_and_halves_ties() -> None:
    scores, success = np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])
    # Pairs: 3 > 2, 3 > 1, 2 = 2, 2 > 1.
    assert auc(scores, success) == pytest.approx(3.5 / 4)
    assert np.isnan(auc(scores, np.ones(4, bool)))


def test_the_interval_of_an_auc_is_hanley_and_mcneil_s() -> None:
    low, high = auc_interval(0.9, 50, 80)
    # q1 = .9 / 1.1, q2 = 1.62 / 1.9; variance (.09 + 49 * .00818 + 79 * .04263) / 4000.
    spread = 1.959964 * np.sqrt((0.09 + 49 * (0.9 / 1.1 - 0.81) + 79 * (1.62 / 1.9 - 0.81)) / 4000)
    assert (low, high) == (pytest.approx(0.9 - spread), pytest.approx(0.9 + spread))


def test_ranks_and_not_sizes_decide_a_correlation_of_siblings() -> None:
    assert spearman(np.array([1.0, 2.0, 30.0]), np.array([0.1, 0.2, 0.3])) == pytest.approx(1.0)
    assert spearman(np.array([3.0, 2.0, 1.0]), np.array([0.1, 0.2, 0.3])) == pytest.approx(-1.0)
    # Ranks 0.5, 0.5, 2 against 0, 1, 2: covariance 1.5 of sqrt(1.5 * 2).
    tied = spearman(np.array([5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert tied == pytest.approx(1.5 / np.sqrt(3.0))
    assert np.isnan(spearman(np.array([1.0, 1.0]), np.array([1.0, 2.0])))


def test_verdicts_are_counted_against_reality() -> None:
    judged = np.array([True, True, False, False, True])
    real = np.array([True, False, True, False, False])
    found = verdict_measures(judged, real)
    assert (found["false_successes"]["count"], found["false_successes"]["of"]) == (2, 3)
    assert (found["missed"]["count"], found["missed"]["of"]) == (1, 2)
    assert found["balanced_accuracy"]["value"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert 0.0 < found["false_successes"]["low"] < 2 / 3 < found["false_successes"]["high"] < 1.0


def measured(false: float, agreement: float) -> dict[str, dict[str, dict[str, float]]]:
    return {
        "moved": {"false_successes": {"value": false}, "balanced_accuracy": {"value": agreement}}
    }


def test_a_gate_is_passed_on_its_side_of_the_bound() -> None:
    [false, agreement] = judge_gates(measured(0.25, 0.9))
    assert not false.passed and false.margin == pytest.approx(-0.05)
    assert agreement.passed and agreement.margin == pytest.approx(0.05)
    assert BOUNDS["auc"].above and not BOUNDS["object_error_cm"].above
    [empty, _] = judge_gates({"x": {"auc": {"value": None}, "siblings": {"value": float("nan")}}})
    assert empty.passed is None and not report({"x": {"auc": {"value": None}}}, HASHES)["passed"]


def test_the_gates_missed_farthest_are_told_first_and_the_others_counted() -> None:
    document = report(
        {
            "held out": {"missed": {"value": 0.16}, "auc": {"value": None}},
            "moved": {"false_successes": {"value": 0.42}, "balanced_accuracy": {"value": 0.76}},
        },
        HASHES,
    )
    words = in_words(document, HASHES, most=1)
    assert words == (
        "4 of 4 gates were not passed: false successes of failures (moved) 42.0 %, at most 20.0 % "
        "was asked; and 3 more."
    )
    assert in_words(document, HASHES).endswith("(held out) was not measured.")


def test_a_run_says_which_gates_were_missed_and_by_how_much(tmp_path: Path) -> None:
    document = report(measured(0.25, 0.9), HASHES)
    words = in_words(document, HASHES)
    assert words == (
        "1 of 2 gates were not passed: false successes of failures (moved) 25.0 %, at most 20.0 % "
        "was asked."
    )
    other = in_words(document, HASHES | {"world_model": "another"})
    assert other == "The gates were measured with another world model."
    (tmp_path / "documents").mkdir()
    write_json_durably(tmp_path / "documents" / "gates.json", document)
    run = MemoryRun(tmp_path / "run")
    say_gates(str(tmp_path), HASHES, run)
    assert run.alarms == [words]
    write_json_durably(tmp_path / "documents" / "gates.json", report(measured(0.1, 0.9), HASHES))
    say_gates(str(tmp_path), HASHES, run)
    assert run.alarms == [words]
    with pytest.raises(ValueError, match="is no finished run of gates"):
        say_gates(str(tmp_path / "nowhere"), HASHES, run)
