"""Label sets: what stands is frozen under the name of its content, and read back from the files."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet
from storage.judging.label_sets import LabelFilter

Maker = Callable[..., Trajectory]


def say(cabinet: Cabinet, episode_id: str, event_id: str, **said: Any) -> None:
    cabinet.labels.append(Label(event_id=event_id, episode_id=episode_id, **said))


@pytest.fixture
def labelled(cabinet: Cabinet, make_trajectory: Maker) -> Cabinet:
    """Six episodes: success, fail, unsure, a broken dream, a guest's, and nothing said."""
    for name in "abcdef":
        cabinet.trajectories.add(make_trajectory(name, imagined=name != "b"))
    say(cabinet, "a", "event-a1", outcome="success", end_step=1, actor="ada")
    say(cabinet, "b", "event-b1", outcome="fail", actor="bob", mode="blind")
    say(cabinet, "c", "event-c1", outcome="unsure")
    say(cabinet, "d", "event-d1", outcome="success", dream_broke=True)
    say(cabinet, "e", "event-e1", outcome="success", actor="guest:eve")
    return cabinet


def said(cabinet: Cabinet, **wanted: Any) -> dict[str, bool]:
    standing = cabinet.label_sets.standing(LabelFilter(**wanted))
    return {label.episode_id: label.success for label in standing}


def test_only_certain_labels_of_whole_dreams_are_frozen(labelled: Cabinet) -> None:
    frozen = labelled.label_sets.freeze(LabelFilter())
    labels = labelled.label_sets.labels(frozen.version)
    assert [(x.episode_id, x.success, x.end_step) for x in labels] == [
        ("a", True, 1),
        ("b", False, None),
    ]
    assert frozen.counts == {"success": 1, "fail": 1, "real": 1, "imagined": 1}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"actor": "ada"}, {"a": True}),
        ({"mode": "blind"}, {"b": False}),
        ({"imagined": True}, {"a": True}),
        ({"task": "coffee-push"}, {"a": True, "b": False}),
        ({"run": "elsewhere"}, {}),
    ],
)
def test_filters(labelled: Cabinet, wanted: dict[str, Any], expected: dict[str, bool]) -> None:
    assert said(labelled, **wanted) == expected


def test_of_two_opinions_the_newest_stands_and_an_adjudicated_one_before_both(
    labelled: Cabinet,
) -> None:
    say(labelled, "a", "event-a2", outcome="fail", actor="bob")
    assert said(labelled)["a"] is False
    assert said(labelled, actor="ada")["a"] is True
    say(labelled, "a", "event-a3", outcome="success", actor="judge", mode="adjudicate")
    say(labelled, "a", "event-a4", outcome="fail", actor="cem")
    assert said(labelled)["a"] is True
    say(labelled, "b", "event-b2", outcome="unsure", actor="cem")
    assert "b" not in said(labelled)


def test_equal_content_has_one_version_whoever_said_it_and_whenever(labelled: Cabinet) -> None:
    first = labelled.label_sets.freeze(LabelFilter())
    labelled.labels.withdraw("event-b1", new_event_id="event-b2")
    second = labelled.label_sets.freeze(LabelFilter())
    say(labelled, "b", "event-b3", outcome="fail", actor="cem")
    third = labelled.label_sets.freeze(LabelFilter())
    assert third == first
    assert second.version != first.version
    assert {found.version for found in labelled.label_sets.all()} == {
        first.version,
        second.version,
    }
    assert labelled.label_sets.get(first.version[:8]) == first


def test_a_set_that_was_changed_is_noticed_and_one_that_is_not_there_refused(
    labelled: Cabinet,
) -> None:
    frozen = labelled.label_sets.freeze(LabelFilter())
    path = frozen.directory / "labels.jsonl"
    path.write_text(path.read_text().replace("true", "false"))
    with pytest.raises(ValueError, match="were changed after it was frozen"):
        labelled.label_sets.labels(frozen.version)
    with pytest.raises(LookupError, match="there is no label set"):
        labelled.label_sets.get("")
    with pytest.raises(ValueError, match="nothing to freeze"):
        labelled.label_sets.freeze(LabelFilter(actor="nobody"))


def test_the_episodes_are_found_by_the_folders_that_hold_them(labelled: Cabinet) -> None:
    frozen = labelled.label_sets.freeze(LabelFilter())
    assert labelled.label_sets.roots(frozen.version) == [str(labelled.workspace.episodes)]
    about = json.loads((frozen.directory / "label_set.json").read_text())
    assert about["label_set"] == frozen.version


def test_several_who_freeze_the_same_at_once_get_one_set(labelled: Cabinet) -> None:
    """A form that is changed twice in a moment asks twice what stands by now."""
    together = Barrier(8)

    def freeze(_: int) -> str:
        together.wait()
        return labelled.label_sets.freeze(LabelFilter()).version

    with ThreadPoolExecutor(8) as pool:
        versions = set(pool.map(freeze, range(8)))
    assert versions == {found.version for found in labelled.label_sets.all()}
    assert len(versions) == 1
