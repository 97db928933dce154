"""Files that other tools wrote (`tests/golden/foreign`, see the README of the cases)."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.database import Database
from storage.events.labels import LabelStore
from storage.exports.events.labels import import_labels
from storage.exports.lerobot.reading import unpack_lerobot
from storage.exports.lerobot.writing import pack_lerobot
from tests.storage.exports.lerobot_episodes import labelled

FOREIGN = Path(__file__).parents[2] / "golden" / "foreign"


@pytest.fixture
def store(database: Database, tmp_path: Path) -> LabelStore:
    return LabelStore(database, tmp_path / "labels.jsonl")


def taken_in(store: LabelStore, name: str, **changes: Any) -> list[Any]:
    data = (FOREIGN / name).read_bytes()
    if changes:
        tasks = json.loads(data)
        tasks[0]["annotations"][0] |= changes
        data = json.dumps(tasks).encode()
    kind = "label-studio" if name.endswith(".json") else name.rpartition(".")[2]
    report = import_labels(store, kind, data, dry_run=False)
    assert report.problems == ()
    return store.all()


@pytest.mark.parametrize(
    "name",
    ["own.csv", "own.jsonl", "excel.csv", "latin1.csv", "pandas.csv", "pandas.jsonl", "bom.jsonl"],
)
def test_a_table_means_what_its_program_meant(store: LabelStore, name: str) -> None:
    first, second, third = taken_in(store, name)[:3]
    assert (first.outcome, first.end_step, first.actor) == ("success", 12, "Zoë")
    assert (second.dream_broke, third.dream_broke) == (True, False)
    assert first.dream_broke is None and first.failure_mode is None
    assert third.note == "=1+1" and second.failure_mode.startswith("Becher fällt")


def test_a_table_with_semicolons_is_read(store: LabelStore) -> None:
    data = (FOREIGN / "own.csv").read_bytes().replace(b",", b";")
    report = import_labels(store, "csv", data, dry_run=True)
    assert report.problems == () and report.added > 2


def test_two_annotators_are_two_people_and_a_cancelled_word_is_none(store: LabelStore) -> None:
    labels = taken_in(store, "ls_two.json")
    assert [(label.actor, label.outcome) for label in labels] == [
        ("label-studio:a@x", "success"),
        ("label-studio:b@x", "fail"),
    ]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("ls_text_string.json", "gripper slipped"),
        ("ls_note_two.json", "first\nsecond"),
        ("ls_noid.json", ""),
        ("ls_rating.json", ""),
    ],
)
def test_an_annotation_is_read_whatever_stands_beside_it(
    store: LabelStore, name: str, note: str
) -> None:
    [label] = taken_in(store, name)
    assert (label.outcome, label.note) == ("fail", note)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("ls_two_choices.json", "two choices"), ("ls_min.json", "choose JSON, not JSON-MIN")],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    store: LabelStore, name: str, sentence: str
) -> None:
    data = (FOREIGN / name).read_bytes()
    try:
        report = import_labels(store, "label-studio", data, dry_run=False)
        assert sentence in report.problems[0]
    except ValueError as error:
        assert sentence in str(error)
    assert store.all() == []


def test_a_second_project_counts_from_one_again(store: LabelStore) -> None:
    taken_in(store, "ls_noid.json")
    other = {"unique_id": "another", "completed_by": 2}
    assert len(taken_in(store, "ls_noid.json", **other)) == 2
    without = {"unique_id": None, "project": 2}
    assert len(taken_in(store, "ls_noid.json", **without)) == 3
    assert len(taken_in(store, "ls_noid.json", **without)) == 3


def test_an_annotation_that_was_edited_later_is_the_newer_word(store: LabelStore) -> None:
    [first] = taken_in(store, "ls_noid.json")
    result = [{"from_name": "outcome", "value": {"choices": ["success"]}}]
    edited = {"result": result, "updated_at": "2026-11-02T10:00:00Z"}
    assert len(taken_in(store, "ls_noid.json", **edited)) == 2
    current = store.current(first.episode_id)
    assert current is not None and current.outcome == "success"
    assert len(taken_in(store, "ls_noid.json", **edited)) == 2


@pytest.mark.parametrize("folder", ["", "my-set/"])
def test_our_own_dataset_comes_in_however_it_was_zipped_again(
    folder: str,
) -> None:
    item = labelled()
    again = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(pack_lerobot([item]))) as archive,
        zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in archive.namelist():
            other.writestr(f"{folder}{name}", archive.read(name))
        other.mkdir(f"{folder}meta/empty")
        for name in (f"{folder}.gitattributes", "__MACOSX/._meta", f"{folder}meta/.DS_Store"):
            other.writestr(name, "x")
    found = unpack_lerobot(again.getvalue())
    assert found.problems == ()
    np.testing.assert_array_equal(found.episodes[0].episode.frames, item.episode.frames)
