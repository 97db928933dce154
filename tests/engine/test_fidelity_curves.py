"""Fidelity's curves from scores worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from engine.jobs.fidelity.fidelity_curves import (
    agreement,
    by_position,
    curves,
    frechet,
    matrices,
    points,
    reward_on_reality,
    rows_by_outcome,
)
from engine.jobs.fidelity.fidelity_scores import UNKNOWN, Scores

NAN = np.nan
# (success, end step): two real successes, at 3 and at 7, and two failures.
REAL = np.array([[1, 3], [1, 7], [0, 8], [0, 8]])
CELLS = ("true_success", "false_success", "false_failure", "true_failure")


def test_a_point_is_a_mean_with_its_interval_over_the_episodes_that_reach_it() -> None:
    found = points(np.array([[1.0, 5.0], [3.0, NAN]]))
    spread = 1.959964 * np.sqrt(2.0) / np.sqrt(2.0)
    assert found[0] == [2.0, pytest.approx(2.0 - spread), pytest.approx(2.0 + spread), 2]
    assert found[1] == [5.0, None, None, 1]


def test_places_in_the_chunk_gather_the_frames_of_all_chunks() -> None:
    values = np.array([[1.0, 2.0, 3.0, 5.0, 7.0], [10.0, 20.0, 30.0, NAN, NAN]])
    assert by_position(values, 2).tolist() == [[11.0 / 3, 3.5], [20.0, 20.0]]


def test_the_matrix_by_depth_counts_what_had_happened_so_far() -> None:
    imagined = np.array([[1, 6], [0, 8], [1, 2], [0, 8]])
    early, late = matrices(imagined, REAL, 4)
    assert early == {
        "depth": 4,
        "true_success": 0,
        "false_success": 1,
        "false_failure": 1,
        "true_failure": 2,
    }
    assert [late[name] for name in list(late)[1:]] == [1, 1, 1, 1]
    whole = agreement(imagined, REAL, name="baseline_")
    assert whole["fidelity/baseline_true_success"] == late["true_success"]
    assert whole["fidelity/baseline_balanced_accuracy"] == 0.5


def test_what_nobody_judged_counts_among_all_and_in_no_verdict() -> None:
    real = np.array([[1, 3], [UNKNOWN, 8], [0, 8]])
    rows = {name: chosen.tolist() for name, chosen in rows_by_outcome(real).items()}
    assert rows["all"] == [True, True, True]
    assert (rows["success"], rows["failure"]) == ([True, False, False], [False, False, True])
    imagined = np.array([[1, 3], [1, 8], [0, 8]])
    counted = agreement(imagined, real)
    assert [counted[f"fidelity/{name}"] for name in ("true_success", "false_success")] == [1.0, 0.0]
    names = ["imagined/psnr", "shuffled/psnr", "zero/psnr"]
    scores = Scores.empty(3, 8, pixels=names, judged=["real", "imagined"], chunks=2, width=3)
    scores.verdicts |= {"real": imagined, "imagined": imagined}
    found = curves(scores, real, chunk_size=4, judged=["imagined"])
    assert found["episodes"] == {"all": 3, "success": 1, "failure": 1}
    assert sum(found["matrix"]["imagined"][-1][name] for name in CELLS) == 2
    assert (found["reward"]["false_success"], found["reward"]["f1"]) == (0, 1.0)
    unknown = curves(scores, real | [UNKNOWN, 0], chunk_size=4, judged=["imagined"])
    assert "matrix" not in unknown and "reward" not in unknown


def test_the_reward_model_is_scored_on_real_failures_alone_too() -> None:
    found = reward_on_reality(np.array([[1, 3], [1, 7], [1, 8], [0, 8]]), REAL)
    assert found["f1"] == pytest.approx(0.8)
    assert (found["false_success"], found["false_success_rate"]) == (1, 0.5)
    low, high = found["false_success_interval"]
    assert low < 0.5 < high
    assert found["f1_interval"][0] <= 0.8 <= found["f1_interval"][1]


def test_features_are_compared_by_outcome_and_chunk_beside_a_floor() -> None:
    real = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    real[0, 1] = NAN  # the first episode ended after one chunk
    shifted = real + np.float32(2.0)
    found = frechet({"real": real, "imagined": shifted}, rows_by_outcome(REAL))
    assert found["imagined"]["all"] == pytest.approx(12.0, rel=1e-3)
    assert found["imagined"]["by_chunk"] == [pytest.approx(12.0, rel=1e-3)] * 2
    assert found["floor"] > 0.0


def test_scores_come_back_bit_for_bit_and_give_the_same_curves(tmp_path: Path) -> None:
    names = ["imagined/psnr", "shuffled/psnr", "zero/psnr"]
    random = np.random.default_rng(1)

    def fresh() -> Scores:
        return Scores.empty(4, 8, pixels=names, judged=["real", "imagined"], chunks=2, width=3)

    scores = fresh()
    for name in names:
        scores.pixels[name][:] = random.normal(size=(4, 8))
    scores.features["real"][:] = random.normal(size=(4, 2, 3))
    scores.features["imagined"][:2] = 1.0
    scores.verdicts["real"][:] = scores.verdicts["imagined"][:] = REAL
    scores.done = 3
    scores.save(tmp_path)
    other = fresh()
    other.restore(tmp_path)
    assert other.done == 3
    found, again = (curves(s, REAL, chunk_size=4, judged=["imagined"]) for s in (scores, other))
    assert found == again
    gap = scores.pixels["imagined/psnr"] - scores.pixels["zero/psnr"]
    assert found["sensitivity"]["zero"]["all"][5][0] == pytest.approx(gap[:, 5].mean())
    assert found["episodes"] == {"all": 4, "success": 2, "failure": 2}
