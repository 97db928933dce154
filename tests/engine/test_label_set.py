"""Labels on their way into a training: verified, split by start, put in place of the verdict."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.data.labelled import load_labelled, split_gold, with_label
from engine.jobs.fidelity.fidelity_plan import JobConfig
from engine.jobs.fidelity.fidelity_scores import UNKNOWN, real_verdicts
from engine.jobs.fidelity.job import held_out, real_episodes
from engine.records.episodes import write_episode
from engine.records.label_set import SetLabel, content_hash, encode_labels, is_gold
from engine.records.types import Outcome, Trajectory
from engine.runs.run_directory import RunDirectory


def label(episode_id: str = "e", *, success: bool = True, end_step: int | None = None) -> SetLabel:
    return SetLabel(
        episode_id=episode_id,
        task="coffee-push",
        start_id=1,
        imagined=True,
        run=None,
        success=success,
        end_step=end_step,
    )


def episode(name: str = "e", *, outcome: Outcome, start_id: int = 1) -> Trajectory:
    return Trajectory(
        id=name,
        task="coffee-push",
        start_id=start_id,
        instruction="push",
        imagined=True,
        outcome=outcome,
        frames=np.zeros((13, 2, 2, 3), np.uint8),
        actions=np.zeros((12, 4), np.float32),
        arrays={
            "window_ends": np.arange(8, 14),
            "window_probabilities": np.array([0.1, 0.2, 0.4, 0.3, 0.2, 0.1], np.float32),
        },
    )


FAILED, SUCCEEDED = Outcome(False, 12), Outcome(True, 8)


@pytest.mark.parametrize(
    ("said", "model", "expected"),
    [
        (label(success=False), SUCCEEDED, Outcome(False, 12)),
        (label(end_step=5), SUCCEEDED, Outcome(True, 5)),
        (label(), SUCCEEDED, Outcome(True, 8)),
        (label(), FAILED, Outcome(True, 9)),  # its likeliest window ends before frame 10
    ],
)
def test_the_persons_verdict_replaces_the_models(
    said: SetLabel, model: Outcome, expected: Outcome
) -> None:
    assert with_label(episode(outcome=model), said).outcome == expected


def test_an_unjudged_success_without_a_mark_is_at_the_end() -> None:
    bare = Trajectory(**{**episode(outcome=FAILED).__dict__, "arrays": {}})
    found = with_label(replace(bare, lineage={"unjudged": True, "use": "play"}), label())
    assert (found.outcome, found.judged, found.lineage) == (
        Outcome(True, 12),
        True,
        {"use": "play"},
    )


def test_the_order_of_labels_does_not_change_the_name() -> None:
    assert encode_labels([label("a"), label("b")]) == encode_labels([label("b"), label("a")])


def test_labelled_episodes_of_a_run_carry_its_name(tmp_path: Path) -> None:
    write_episode(tmp_path / "run" / "episodes", episode("e", outcome=FAILED))
    content = encode_labels([label("run.e")])
    directory = tmp_path / content_hash(content)
    directory.mkdir()
    (directory / "labels.jsonl").write_bytes(content)
    [found] = load_labelled(directory, [str(tmp_path / "run")])
    assert (found.id, found.outcome.success) == ("run.e", True)
    stage = tmp_path / "run" / "stages" / "optimise"  # its episodes carry the run's name, too
    stage.parent.mkdir()
    (tmp_path / "run").rename(tmp_path / "moved")
    stage.parent.mkdir(parents=True)
    (tmp_path / "moved").rename(stage)
    [found] = load_labelled(directory, [str(stage)])
    assert found.id == "run.e"
    with pytest.raises(ValueError, match=r"1 labelled episodes are not where they were, run\.e"):
        load_labelled(directory, [])
    (directory / "labels.jsonl").write_bytes(content * 2)
    with pytest.raises(ValueError, match="changed after it was frozen"):
        load_labelled(directory, [])


def test_fidelity_takes_real_episodes_as_people_labelled_them(tmp_path: Path) -> None:
    with closing(RunDirectory(tmp_path / "taken")) as run:
        for start, name in enumerate("abc"):
            one = episode(name, outcome=FAILED, start_id=start)
            run.record(replace(one, imagined=False, lineage={"unjudged": True}))
        content = encode_labels(replace(label(f"taken.{n}"), success=n == "a") for n in "ab")
        labels = tmp_path / content_hash(content)
        labels.mkdir()
        (labels / "labels.jsonl").write_bytes(content)
        config = JobConfig(episodes_from=(str(tmp_path / "taken"),), label_set=str(labels))
        found = real_episodes(config, run)
    assert found is not None
    assert real_verdicts([one for _, one in found])[:, 0].tolist() == [1, 0, UNKNOWN]


def test_fidelity_leaves_out_what_a_model_learnt_from(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps({"starts": [[0, 3]]}))
    sources = [("taken", episode(str(start), outcome=FAILED, start_id=start)) for start in range(6)]
    config = JobConfig(world_model=str(tmp_path), episodes_from=("taken",))
    assert [one.start_id for _, one in held_out(config, sources)] == [4, 5]
    with pytest.raises(ValueError, match="learnt from the starts of 4 of the 5 episodes"):
        held_out(config, sources[:5])


def test_gold_is_about_its_share_and_never_moves() -> None:
    gold = {key for key in map(str, range(2_000)) if is_gold(key, 0.25)}
    assert 400 < len(gold) < 600
    assert gold < {key for key in map(str, range(2_000)) if is_gold(key, 0.5)}


def test_siblings_are_on_one_side_of_the_split() -> None:
    episodes = [
        episode(f"{start}-{member}", outcome=FAILED, start_id=start)
        for start in range(40)
        for member in range(2)
    ]
    gold, others = split_gold(episodes, 0.3)
    assert gold and others
    assert not {e.start_id for e in gold} & {e.start_id for e in others}
