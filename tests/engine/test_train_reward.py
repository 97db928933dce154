"""A reward model that learns from labels: balanced, tested on gold clips, compared with before."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.jobs.train_reward import JobConfig, lessons
from engine.records.episodes import read_episode
from engine.records.label_set import SetLabel, content_hash, encode_labels
from engine.records.manifest import checkpoint_hash
from engine.reward.learning import chances
from engine.reward.regression import confusions, figures, verdict
from engine.runs.run_directory import read_documents
from engine.statistics.intervals import Confusion
from tests.engine.reward_episodes import TINY, episode, write_reward_model, write_run
from tests.engine.tiny import do, fit, last_checkpoint


def write_set(root: Path, run: str, numbers: range, *, wrong: bool = False) -> str:
    """Labels of the episodes of a run, right or all wrong; the set's directory."""
    labels = [
        SetLabel(
            episode_id=f"{run}.{episode(n).id}",
            task="coffee-push",
            start_id=episode(n).start_id,
            imagined=n >= 20,
            run=run,
            success=(n % 2 == 0) != wrong,
        )
        for n in numbers
    ]
    content = encode_labels(labels)
    directory = root / content_hash(content)
    directory.mkdir()
    (directory / "labels.jsonl").write_bytes(content)
    return str(directory)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Forty labelled episodes, half of them imagined, and a parent that knows nothing."""
    episodes = [episode(n, imagined=n >= 20) for n in range(40)]
    return {
        "label_set": write_set(tmp_path, "dreams", range(40)),
        "labelled_from": [write_run(tmp_path / "dreams", episodes)],
        "reward_model": write_reward_model(tmp_path / "parent"),
        "choose_on": "",
        "batch_size": 16,
        "largest_shift": 0,
        "model": TINY,
        "fit": fit(30) | {"learning_rate": 3e-3},
    }


def test_a_model_fine_tuned_on_labels_alone_is_tested_on_gold_and_names_its_set(
    options: dict[str, Any], tmp_path: Path
) -> None:
    metrics = do("train_reward", tmp_path / "run", **options)
    assert metrics is not None
    assert metrics["gold/better"] is True
    assert metrics["gold/verdict"].startswith("better: F1 on gold imagined clips rose from 0.")
    assert metrics["gold/imagined_before_f1"] < 0.9 < metrics["gold/imagined_after_f1"]
    assert metrics["gold/real_after_f1_low"] < metrics["gold/real_after_f1"]
    checkpoint = Path(last_checkpoint(tmp_path / "run"))
    card = json.loads((checkpoint / "card.json").read_text())
    assert card["lineage"] == {
        "reward_model": checkpoint_hash(tmp_path / "parent"),
        "label_set": Path(options["label_set"]).name,
    }
    gold = int(metrics["gold/real_clips"] + metrics["gold/imagined_clips"])
    assert card["labels"] == f"{40 - gold} labelled clips, {gold} of them gold" or gold
    kept = read_documents(tmp_path / "run")["disagreements"]
    wrong_before = [r for r in kept["rows"] if r["old"]["success"] != r["human"]]
    assert kept["clips"] >= 30 and wrong_before


def test_nothing_that_begins_where_a_gold_clip_does_is_learnt_from(
    options: dict[str, Any], tmp_path: Path
) -> None:
    real = [episode(n, id=f"real-{n}") for n in range(40)]
    config = JobConfig.from_dict(options | {"episodes_from": [write_run(tmp_path / "real", real)]})
    learnt = lessons(config)
    gold = {e.start_id for e in learnt.gold}
    assert gold and not gold & {e.start_id for e in learnt.used}
    assert len(learnt.used) == 2 * (40 - len(gold))


def test_a_person_who_contradicts_everything_is_believed(
    options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    swapped = write_set(tmp_path / "wrong", "dreams", range(40), wrong=True)
    learnt = lessons(JobConfig.from_dict(options | {"label_set": swapped}))
    stored = {
        f"dreams.{path.name}": read_episode(path).outcome.success
        for path in (tmp_path / "dreams" / "episodes").iterdir()
    }
    assert all(e.outcome.success != stored[e.id] for e in [*learnt.used, *learnt.gold])


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs episodes_from=RUN_DIRECTORIES or a label_set"):
        do("train_reward", tmp_path / "run")


def test_few_labelled_windows_are_drawn_as_often_as_all_others() -> None:
    favoured = np.array([True, False, False, False, False])
    found = chances(favoured, 0.5)
    assert found is not None
    np.testing.assert_allclose(found, [0.5, 0.125, 0.125, 0.125, 0.125])
    assert chances(np.zeros(3, bool), 0.5) is None
    assert chances(np.ones(3, bool), 0.5) is None


GOOD, BAD = Confusion(8, 1, 1, 10), Confusion(6, 3, 3, 8)


@pytest.mark.parametrize(
    ("before", "after", "better", "words"),
    [
        ({"real": BAD}, {"real": GOOD}, True, "better: F1 on gold real clips rose"),
        (
            {"real": GOOD, "imagined": BAD},
            {"real": BAD, "imagined": GOOD},
            False,
            "worse: F1 on gold real clips fell from 0.889 to 0.667 (n = 20)",
        ),
        (
            {"real": BAD, "imagined": GOOD},
            {"real": GOOD, "imagined": BAD},
            False,
            "worse: F1 on gold imagined",
        ),
        ({"real": GOOD}, {"real": GOOD}, False, "no better"),
        ({}, {"real": GOOD}, False, "unknown: the model started afresh"),
        ({}, {}, False, "unknown: no labelled clip is gold"),
    ],
)
def test_a_model_is_better_only_if_no_gold_figure_falls(
    before: dict[str, Confusion], after: dict[str, Confusion], better: bool, words: str
) -> None:
    found, why = verdict(before, after)
    assert found is better
    assert words in why


def test_gold_figures_come_apart_for_real_and_imagined_clips() -> None:
    gold = [episode(0), episode(1), episode(2, imagined=True)]
    found = confusions(np.array([True, True, False]), gold)
    assert found == {"real": Confusion(1, 1, 0, 0), "imagined": Confusion(0, 0, 1, 0)}
    flat = figures("after", found)
    assert flat["gold/real_after_precision"] == 0.5
    assert flat["gold/real_after_precision_low"] == pytest.approx(0.0945, abs=1e-4)
    # j = 1 of 2: F1's interval is that of 1 of 2, carried over by 2j / (1 + j)
    assert flat["gold/real_after_f1_high"] == pytest.approx(2 * 0.9055 / 1.9055, abs=1e-3)
