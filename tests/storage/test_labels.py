"""Labels: durable before they are acknowledged, immutable, undoable, rebuildable."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from engine.records.events import encode_line
from engine.records.types import Label
from storage.database import Database
from storage.events.labels import LabelStore
from storage.workspace import Workspace


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


@pytest.fixture
def labels(database: Database, twin: Path) -> LabelStore:
    return LabelStore(database, twin)


@pytest.fixture
def reopened(workspace: Workspace, twin: Path) -> Callable[[], LabelStore]:
    """A store over an empty database beside the same twin: what a rebuild starts from."""

    def reopen() -> LabelStore:
        return LabelStore(Database(None, exports=workspace.exports), twin)

    return reopen


def label(event_id: str, outcome: str | None = "success", **changes: object) -> Label:
    return Label(**{"event_id": event_id, "episode_id": "a", "outcome": outcome} | changes)


def test_a_label_comes_back_as_it_was_given(labels: LabelStore) -> None:
    given = label(
        "1",
        "fail",
        dream_broke=True,
        end_step=4,
        failure_mode="missed",
        note="ünder the cup",
        model_probability=0.25,
        threshold=0.9,
        checkpoint="abc",
        latency_ms=812,
    )
    assert labels.add(given) == given
    assert labels.of("a") == [given]
    assert labels.current("a") == given


def test_the_same_event_twice_is_stored_once(labels: LabelStore, twin: Path) -> None:
    first = labels.append(label("1"))
    assert labels.append(label("1")) == first
    assert len(labels.all()) == 1
    assert len(twin.read_bytes().splitlines()) == 1


def test_an_event_id_cannot_carry_another_label(labels: LabelStore) -> None:
    labels.add(label("1"))
    with pytest.raises(ValueError, match="was used for another label"):
        labels.add(label("1", "fail"))


def test_the_newest_label_is_the_current_one(labels: LabelStore) -> None:
    labels.add(label("1", "success"))
    labels.add(label("2", "fail"))
    assert labels.current("a") == label("2", "fail")


def test_a_correction_supersedes_and_its_undo_brings_the_first_back(labels: LabelStore) -> None:
    labels.add(label("1", "success"))
    labels.add(label("2", "fail", supersedes="1"))
    assert labels.current("a") == label("2", "fail", supersedes="1")
    labels.withdraw("2", new_event_id="3")
    assert labels.current("a") == label("1", "success")


def test_undoing_the_only_label_leaves_none_but_keeps_the_history(labels: LabelStore) -> None:
    labels.add(label("1"))
    labels.withdraw("1", new_event_id="2")
    assert labels.current("a") is None
    assert [event.event_id for event in labels.of("a")] == ["1", "2"]
    assert labels.counts()["labelled"] == 0


def test_after_an_undo_the_episode_can_be_labelled_again(labels: LabelStore) -> None:
    labels.add(label("1", "success"))
    labels.withdraw("1", new_event_id="2")
    labels.add(label("3", "fail", supersedes="2"))
    assert labels.current("a") == label("3", "fail", supersedes="2")


def test_undo_is_idempotent(labels: LabelStore) -> None:
    labels.add(label("1"))
    first = labels.withdraw("1", new_event_id="2")
    assert labels.withdraw("1", new_event_id="2") == first


def test_an_undo_cannot_be_undone(labels: LabelStore) -> None:
    labels.add(label("1"))
    labels.withdraw("1", new_event_id="2")
    with pytest.raises(ValueError, match="that is an undo already"):
        labels.withdraw("2", new_event_id="3")


def test_an_unknown_label_cannot_be_undone(labels: LabelStore) -> None:
    with pytest.raises(ValueError, match="there is no label nothing"):
        labels.withdraw("nothing", new_event_id="2")


def test_a_correction_must_name_a_label_of_its_episode(labels: LabelStore) -> None:
    labels.add(label("1", episode_id="b"))
    with pytest.raises(ValueError, match="no label of episode a"):
        labels.add(label("2", supersedes="1"))


def test_a_label_that_says_nothing_is_refused(labels: LabelStore, twin: Path) -> None:
    with pytest.raises(ValueError, match="needs an outcome"):
        labels.add(label("1", None))
    assert not twin.exists()


def test_a_broken_dream_alone_is_a_label(labels: LabelStore) -> None:
    labels.add(label("1", None, dream_broke=True))
    assert labels.counts() == {
        "labelled": 1,
        "success": 0,
        "fail": 0,
        "unsure": 0,
        "dream_broke": 1,
    }


def test_guests_label_into_a_pool_of_their_own(labels: LabelStore) -> None:
    labels.add(label("1", "success"))
    labels.add(label("2", "fail", actor="guest:42"))
    assert labels.current("a") == label("1", "success")
    assert labels.current("a", guest=True) == label("2", "fail", actor="guest:42")
    assert labels.counts()["fail"] == 0
    assert [event.label.event_id for event in labels.history(limit=5, guest=True)] == ["2"]


def test_a_database_rebuilt_from_the_twin_equals_the_first(
    labels: LabelStore, reopened: Callable[[], LabelStore]
) -> None:
    labels.add(label("1", "success"))
    labels.add(label("2", "fail", supersedes="1"))
    labels.withdraw("2", new_event_id="3")
    rebuilt = reopened()
    assert rebuilt.history(limit=9) == labels.history(limit=9)
    assert rebuilt.current("a") == labels.current("a")


def test_a_torn_last_line_loses_only_itself_and_the_next_label_is_whole(
    labels: LabelStore, twin: Path, reopened: Callable[[], LabelStore]
) -> None:
    labels.add(label("1"))
    with twin.open("ab") as stream:
        stream.write(b'0badc0de {"event_id": "half')
    store = reopened()
    store.add(label("2", "fail"))
    assert [event.event_id for event in reopened().all()] == ["1", "2"]


def test_a_damaged_twin_line_is_written_again_from_the_database(
    workspace: Workspace, twin: Path, database: Database, reopened: Callable[[], LabelStore]
) -> None:
    labels = LabelStore(database, twin)
    labels.add(label("1"))
    labels.add(label("2"))
    damaged = twin.read_bytes().replace(b'"1"', b'"9"', 1)
    twin.write_bytes(damaged)
    LabelStore(database, twin)
    assert [event.event_id for event in reopened().all()] == ["1", "2"]


def test_events_are_numbered_on_after_reopening(
    labels: LabelStore, reopened: Callable[[], LabelStore]
) -> None:
    labels.add(label("1"))
    event = reopened().append(label("2"))
    assert event.seq == 2


def test_the_chain_of_hashes_is_whole(labels: LabelStore) -> None:
    labels.add(label("1"))
    labels.add(label("2"))
    assert labels.log.first_broken_link() is None


def test_a_changed_event_breaks_the_chain(
    labels: LabelStore, twin: Path, reopened: Callable[[], LabelStore]
) -> None:
    labels.add(label("1"))
    labels.add(label("2"))
    from_twin = twin.read_bytes().splitlines()
    event = json.loads(from_twin[0].split(b" ", 1)[1]) | {"outcome": "fail"}
    twin.write_bytes(encode_line(event) + from_twin[1] + b"\n")
    assert reopened().log.first_broken_link() == 1


@pytest.mark.parametrize(
    "sql", ["delete from label_events", "update label_events set outcome = 'fail'"]
)
def test_rows_of_labels_can_be_neither_deleted_nor_changed(
    labels: LabelStore, database: Database, sql: str
) -> None:
    labels.add(label("1"))
    with pytest.raises(duckdb.Error, match="append-only"):
        database.write(lambda cursor: cursor.rows(sql))
    assert labels.all() == [label("1")]


def test_a_twin_that_cannot_be_written_stores_nothing(database: Database, tmp_path: Path) -> None:
    labels = LabelStore(database, tmp_path / "missing" / "labels.jsonl")
    with pytest.raises(OSError, match="No such file"):
        labels.add(label("1"))
    assert labels.all() == []


def test_a_span_is_kept_and_events_from_before_spans_keep_their_hash(
    labels: LabelStore, twin: Path, reopened: Callable[[], LabelStore]
) -> None:
    labels.add(label("1"))
    labels.add(label("2", span_first=3, span_last=9))
    first, second = twin.read_text().splitlines()
    assert "span" not in first
    assert '"span_first":3,"span_last":9' in second
    rebuilt = reopened()
    assert rebuilt.all() == labels.all() == [label("1"), label("2", span_first=3, span_last=9)]
    assert rebuilt.log.first_broken_link() is None


@pytest.mark.parametrize(
    ("span", "sentence"),
    [
        ({"span_first": 3}, "a span needs both its first and its last frame"),
        ({"span_first": 4, "span_last": 3}, "to the same or a later one, not from 4 to 3"),
        ({"span_first": -1, "span_last": 3}, "to the same or a later one, not from -1 to 3"),
    ],
)
def test_a_span_that_cannot_be_is_refused(span: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        label("1", **span)
