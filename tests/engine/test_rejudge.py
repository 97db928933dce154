"""Stored episodes judged anew: instant for a threshold, resumable for a model, groups regrouped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.jobs.optimise.regrouping import regroup
from engine.records.types import Outcome
from engine.runs.run_directory import read_documents
from tests.engine.reward_episodes import episode, write_reward_model, write_run
from tests.engine.tiny import do

PEAKS = (0.9, 0.6, 0.4, 0.2)


def write_group(directory: Path, peaks: tuple[float, ...] = PEAKS) -> str:
    """Four siblings judged at 0.5: two successes, two failures."""
    members = []
    for member, peak in enumerate(peaks):
        probabilities = np.linspace(0.0, peak, 10).astype(np.float32)
        members.append(
            episode(
                member,
                id=f"iteration-0002-7-{member}",
                imagined=True,
                outcome=Outcome(peak >= 0.5, 16),
                arrays={"window_ends": np.arange(8, 18), "window_probabilities": probabilities},
                lineage={
                    "iteration": 2,
                    "group": 7,
                    "member": member,
                    "advantage": 0.866 if peak >= 0.5 else -0.866,
                    "fate": "kept",
                },
            )
        )
    return write_run(directory, members)


def judgements(directory: Path) -> list[dict[str, Any]]:
    return [r for batch in read_documents(directory, "judgements").values() for r in batch["rows"]]


def test_a_threshold_alone_flips_a_group_and_leaves_the_episodes_as_they_are(
    tmp_path: Path,
) -> None:
    source = write_group(tmp_path / "dreams")
    before = {path: path.read_bytes() for path in Path(source).rglob("episode.*")}
    metrics = do("rejudge", tmp_path / "run", episodes_from=[source], threshold=0.95)
    assert metrics is not None
    assert {path: path.read_bytes() for path in before} == before
    assert (metrics["rejudge/to_failure"], metrics["rejudge/to_success"]) == (2.0, 0.0)
    [group] = read_documents(tmp_path / "run")["groups"]["groups"]
    assert (group["run"], group["iteration"], group["group"]) == ("dreams", 2, 7)
    assert (group["was_fate"], group["fate"], group["flipped"]) == (
        "kept",
        "too_few_successes",
        True,
    )
    assert [member["advantage"] for member in group["members"]] == [0.0] * 4


def test_an_outcome_may_change_without_flipping_its_group(tmp_path: Path) -> None:
    source = write_group(tmp_path / "dreams")
    do("rejudge", tmp_path / "run", episodes_from=[source], threshold=0.3, batch_size=3)
    [group] = read_documents(tmp_path / "run")["groups"]["groups"]
    assert (group["changed"], group["flipped"]) == (True, False)
    # three of four succeed: mean 3.75, standard deviation 2.5
    assert [m["advantage"] for m in group["members"]] == [0.5, 0.5, 0.5, -1.5]
    rows = {row["episode"]: row for row in judgements(tmp_path / "run")}
    assert rows["dreams.iteration-0002-7-0"]["end_step"] == 10  # first window at 0.3 or more


def test_other_iterations_and_what_was_never_judged_are_left_out(tmp_path: Path) -> None:
    source = write_group(tmp_path / "dreams")
    with pytest.raises(ValueError, match="no episodes to judge"):
        do("rejudge", tmp_path / "a", episodes_from=[source], threshold=0.5, iteration=1)
    bare = write_run(tmp_path / "bare", [episode(0)])
    with pytest.raises(ValueError, match="no episodes to judge"):
        do("rejudge", tmp_path / "b", episodes_from=[bare], threshold=0.5)
    with pytest.raises(ValueError, match="needs a reward_model, a threshold, or both"):
        do("rejudge", tmp_path / "c", episodes_from=[source])


def test_a_model_judges_real_episodes_too_and_its_rate_is_reported(tmp_path: Path) -> None:
    metrics = do(
        "rejudge",
        tmp_path / "run",
        episodes_from=[write_run(tmp_path / "real", [episode(n) for n in range(3)])],
        reward_model=write_reward_model(tmp_path / "model", threshold=0.0625),
    )
    assert metrics is not None
    assert metrics["rejudge/success_threshold"] == 0.0625
    assert metrics["rejudge/groups"] == 0.0
    assert metrics["rejudge/episodes_per_second"] > 0.0
    assert len(judgements(tmp_path / "run")) == 3


def test_groups_of_two_runs_do_not_mix() -> None:
    def row(run: str, success: bool) -> dict[str, Any]:
        return {
            "episode": f"{run}.{success}",
            "run": run,
            "iteration": 1,
            "group": 7,
            "success": success,
            "was_success": success,
            "was_advantage": None,
            "was_fate": None,
            "probabilities": [],
        }

    groups = regroup([row("a", True), row("b", False), row("a", False)], low=0.1, high=0.9)
    assert [(group["run"], group["fate"]) for group in groups] == [
        ("a", "kept"),
        ("b", "too_few_successes"),
    ]
    assert not any(group["flipped"] for group in groups)
