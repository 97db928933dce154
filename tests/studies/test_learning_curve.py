"""Learning curves: the study in miniature, and its intervals against numbers worked by hand."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from engine.runs.run_directory import RunDirectory, read_documents
from studies.learning_curve.__main__ import main
from studies.learning_curve.figure import to_table
from studies.learning_curve.report import Curves, measures, summary
from studies.learning_curve.study import StudyConfig, run
from tests.engine.reward_episodes import TINY, episode, write_run
from tests.engine.tiny import fit

TRUTH = np.array([True, True, False, False])


def test_measures_of_one_model_by_hand() -> None:
    said = np.array([[True, False, True, False]])
    draws = np.array([[1, 1, 1, 1], [2, 0, 0, 1]])
    found = measures(said, TRUTH, draws)
    assert found["f1"][:, 0].tolist() == [0.5, 1.0]
    assert found["balanced_accuracy"][:, 0].tolist() == [0.5, 1.0]


def test_orders_that_say_the_same_have_no_gain_at_all() -> None:
    successes = np.broadcast_to(np.array([True, False, True, False]), (2, 3, 1, 4)).copy()
    [found] = summary(Curves((16,), ("random", "uncertainty"), successes, TRUTH), 0)
    assert found["random_f1"] == found["uncertainty_f1"] == 0.5
    assert (found["gain_f1"], found["gain_f1_low"], found["gain_f1_high"]) == (0.0, 0.0, 0.0)
    assert found["random_f1_low"] < 0.5 < found["random_f1_high"]


def test_only_a_gain_that_leaves_zero_out_is_bold() -> None:
    point = {
        f"{order}_{name}{end}": value
        for order, values in {
            "random": (0.5, 0.4, 0.6),
            "uncertainty": (0.7, 0.6, 0.8),
            "gain": (0.2, 0.1, 0.3),
        }.items()
        for name in ("f1", "balanced_accuracy")
        for end, value in zip(("", "_low", "_high"), values, strict=True)
    }
    found = [point, point | {"gain_f1_low": -0.1}]
    _, _, first, second = to_table((16, 32), found).strip().splitlines()
    assert first.count("**+0.200 [+0.100, +0.300]**") == 2
    assert second.count("**") == 2
    assert "| +0.200 [-0.100, +0.300] |" in second


def test_a_study_labels_both_ways_from_one_start_and_does_nothing_twice(tmp_path: Path) -> None:
    pool = write_run(tmp_path / "pool", [episode(n) for n in range(24)])
    held_out = write_run(tmp_path / "held_out", [episode(n) for n in range(30, 40)])
    options: dict[str, Any] = {
        "episodes_from": [pool],
        "held_out_from": [held_out],
        "sizes": [4, 8],
        "seeds": 1,
        "batch_size": 8,
        "model": TINY,
        "first": fit(4),
        "further": fit(2),
    }
    metrics = study(tmp_path / "run", options)
    assert metrics is not None
    assert metrics["gain_f1_4"] == 0.0  # the first labels are the same ones
    curves = read_documents(tmp_path / "run", "curve")
    assert [[p["labels"] for p in curve["points"]] for curve in curves.values()] == [[4, 8]] * 2
    report = read_documents(tmp_path / "run", "report")["report"]
    assert f"| 8 | {metrics['random_f1_8']:.3f} [" in report["markdown"]
    assert ElementTree.fromstring(report["svg"]).tag.endswith("svg")
    assert study(tmp_path / "run", options) == metrics
    with pytest.raises(ValueError, match="at most the 24 episodes"):
        study(tmp_path / "more", options | {"sizes": [4, 25]})


def study(directory: Path, options: dict[str, Any]) -> dict[str, Any] | None:
    found = RunDirectory(directory)
    try:
        return run(StudyConfig.from_dict(options), found)
    finally:
        found.close()


def test_the_command_refuses_what_no_study_has_and_another_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    assert main([*out, "--set", "colour=1"]) == 2
    assert main(out) == 2  # no episodes: the run says so and is kept with its config
    assert "learning_curve needs episodes_from and held_out_from" in capsys.readouterr().err
    assert main([*out, "--set", "seeds=2"]) == 2
    assert "holds a run with another config" in capsys.readouterr().err
