"""Labels on their way into a training: verified, split by start, put in place of the verdict."""

from pathlib import Path

import numpy as np
import pytest

from engine.data.labelled import load_labelled, split_gold, with_label
from engine.records.episodes import write_episode
from engine.records.label_set import SetLabel, content_hash, encode_labels, is_gold
from engine.records.types import Outcome, Trajectory


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
    assert with_label(bare, label()).outcome == Outcome(True, 12)


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
    with pytest.raises(ValueError, match=r"1 labelled episodes are not where they were, run\.e"):
        load_labelled(directory, [])
    (directory / "labels.jsonl").write_bytes(content * 2)
    with pytest.raises(ValueError, match="changed after it was frozen"):
        load_labelled(directory, [])


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
