"""Labels as files, and taken in again: exact, checked line by line, all or none."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.records.types import Label
from storage.database import Database
from storage.events.labels import SPAN, LabelEvent, LabelStore
from storage.exports.events.label_studio import LABELING_CONFIG
from storage.exports.events.labels import FORMATS, TABLE, import_labels, parse_event, write_labels

LABELS = (
    Label(event_id="first", episode_id="a", outcome="success", model_probability=0.1, end_step=9),
    Label(event_id="second", episode_id="b", dream_broke=True, note='=1+1\n"two", lines', mode=""),
    Label(
        event_id="third",
        episode_id="a",
        outcome="fail",
        supersedes="first",
        failure_mode="",
        span_first=0,
        span_last=4,
    ),
    Label(event_id="fourth", episode_id="a", supersedes="third", actor="guest:é"),
    Label(event_id="fifth", episode_id="b", outcome="unsure", dream_broke=False, note="'tis"),
)


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[..., LabelStore]:
    def new() -> LabelStore:
        other = Database(None, exports=tmp_path)
        return LabelStore(other, tmp_path / "other.jsonl", clock=count(9.0).__next__)

    return new


@pytest.fixture
def store(database: Database, tmp_path: Path) -> LabelStore:
    store = LabelStore(database, tmp_path / "labels.jsonl", clock=count(0.1, 0.2).__next__)
    for label in LABELS:
        store.append(label)
    return store


@pytest.mark.parametrize("kind", FORMATS)
def test_labels_come_back_as_they_were(
    store: LabelStore, new_store: Callable[..., LabelStore], kind: str
) -> None:
    data = write_labels(kind, store.events())
    other = new_store()
    planned = import_labels(other, kind, data, dry_run=True)
    assert (planned.added, planned.problems, other.events()) == (5, (), [])
    assert import_labels(other, kind, data, dry_run=False) == planned
    assert other.events() == store.events()
    assert other.log.first_broken_link() is None
    again = import_labels(other, kind, data, dry_run=False)
    assert (again.added, again.known, len(other.events())) == (0, 5, 5)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_from_before_spans_is_read(
    store: LabelStore, new_store: Callable[..., LabelStore], kind: str
) -> None:
    before = replace(TABLE, hints={n: h for n, h in TABLE.hints.items() if n not in SPAN})
    events = [event.to_dict() for event in store.events()[:2]]
    assert import_labels(new_store(), kind, before.write(kind, events), dry_run=True).added == 2


def test_what_is_taken_in_survives_a_new_opening(
    store: LabelStore, new_store: Callable[..., LabelStore]
) -> None:
    other = new_store()
    other.append(Label(event_id="mine", episode_id="c", outcome="fail"))
    import_labels(other, "jsonl", write_labels("jsonl", store.events()), dry_run=False)
    assert [event.seq for event in other.events()] == [1, 2, 3, 4, 5, 6]
    assert new_store().events() == other.events()
    assert other.append(Label(event_id="later", episode_id="c", outcome="fail")).seq == 7
    assert other.log.first_broken_link() is None


def test_no_cell_of_a_table_begins_like_a_formula(store: LabelStore) -> None:
    signs = ("=1", "+1", "-1", "@sum", "\tx", "\rx")
    for number, note in enumerate(signs):
        store.append(Label(event_id=f"e{number}", episode_id="a", outcome="fail", note=note))
    text = write_labels("csv", store.events()).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    notes = [row[list(TABLE.hints).index("note")] for row in rows[-6:]]
    assert notes == [f"'{note}" for note in signs]


def test_a_parquet_file_has_one_typed_column_a_field(store: LabelStore) -> None:
    table = pq.read_table(io.BytesIO(write_labels("parquet", store.events())))
    assert tuple(table.column_names) == tuple(TABLE.hints)
    assert table.schema.field("latency_ms").type == pa.int64()
    assert table.schema.field("model_probability").type == pa.float64()
    assert not table.schema.field("event_id").nullable


def test_label_studio_gets_a_task_an_episode_and_an_annotation_a_label(store: LabelStore) -> None:
    tasks = json.loads(write_labels("label-studio", store.events()))
    assert [task["data"] for task in tasks] == [{"episode": "a"}, {"episode": "b"}]
    assert len(tasks[0]["annotations"]) == 2  # the withdrawal says nothing
    [first, _] = tasks[0]["annotations"]
    assert first["result"] == [
        {
            "id": "first.outcome",
            "from_name": "outcome",
            "to_name": "episode",
            "type": "choices",
            "value": {"choices": ["success"]},
        }
    ]
    for name in ("outcome", "dream", "failure_mode", "note"):
        assert f'name="{name}" toName="episode"' in LABELING_CONFIG


def studio_annotation(**changes: Any) -> dict[str, Any]:
    result = {"id": "Xy1", "from_name": "outcome", "value": {"choices": ["fail"]}}
    at = "2026-01-02T03:04:05.5Z"
    return {"id": 31, "created_at": at, "lead_time": 1.25, "result": [result]} | changes


def test_an_annotation_made_in_label_studio_is_a_new_label(
    store: LabelStore, new_store: Callable[..., LabelStore]
) -> None:
    tasks = json.loads(write_labels("label-studio", store.events()))
    tasks[1]["annotations"].append(studio_annotation())
    other = new_store()
    report = import_labels(other, "label-studio", json.dumps(tasks).encode(), dry_run=False)
    assert (report.added, report.problems) == (6, ())
    new = other.events()[-1]
    assert (new.label.event_id, new.label.episode_id) == ("label-studio-31", "b")
    assert (new.label.outcome, new.label.latency_ms, new.at) == ("fail", 1250, 1767323045.5)


def test_an_annotation_changed_in_label_studio_is_refused(
    store: LabelStore, new_store: Callable[..., LabelStore]
) -> None:
    data = write_labels("label-studio", store.events())
    data = data.replace(b'"choices": ["success"]', b'"choices": ["unsure"]')
    report = import_labels(new_store(), "label-studio", data, dry_run=False)
    changed = "task 1, annotation 1: label first was changed, but labels are immutable"
    assert report.problems[0].startswith(changed)


def event(**changes: Any) -> dict[str, Any]:
    label = Label(event_id="new", episode_id="a", outcome="success")
    return LabelEvent(label=label, seq=1, at=1.0, hash="0").to_dict() | changes


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (event(event_id="first"), "line 2: event id first was used for another label"),
        (event(outcome="maybe"), "line 2: outcome must be one of success, fail, unsure"),
        (event(outcome=None), "line 2: a label needs an outcome or a mark"),
        (event(supersedes="ghost"), "line 2: the label corrects ghost, which is no label"),
        (event(supersedes="second"), "line 2: the label corrects second, which is no label"),
        (event(dream_broke=1), "line 2: dream_broke must be bool or nothing, not 1"),
        (event(seq=True), "line 2: seq must be int, not True"),
        (event(at=float("inf")), "line 2: at must be finite, not inf"),
        (event(note="x" * 10_001), "line 2: note may have 10000 characters"),
        (event(event_id=""), "line 2: event_id is empty"),
        (event(extra=1), "line 2: extra unknown"),
        ({"event_id": "x"}, "line 2: actor, at, checkpoint"),
        ([1], "line 2: an event must be an object"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_added(
    store: LabelStore, wrong: object, sentence: str
) -> None:
    good = json.dumps(event(event_id="good"))
    data = f"{good}\n{json.dumps(wrong)}\n".encode()
    report = import_labels(store, "jsonl", data, dry_run=False)
    [problem] = report.problems
    assert problem.startswith(sentence)
    assert (report.added, len(store.events())) == (0, 5)


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        ("jsonl", b"\xff\xfe", "that is no jsonl file of labels"),
        ("csv", b"a,b\n1,2\n", "the first line must name the columns event_id"),
        ("csv", b'"open', "that is no csv file of labels"),
        ("parquet", b"PAR1", "that is no parquet file of labels"),
        ("label-studio", b"{}", "it must be a list of tasks"),
        ("label-studio", b"[", "that is no label-studio file of labels"),
    ],
)
def test_another_file_is_refused(store: LabelStore, kind: str, data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        import_labels(store, kind, data, dry_run=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("true", "YES"), "line 4: dream_broke cannot be 'YES'"),
        (("0.1", "lots"), "line 2: model_probability cannot be 'lots'"),
        ((",success,", ","), "line 2: 18 cells instead of 19"),
    ],
)
def test_a_bad_cell_is_named_by_its_line(
    store: LabelStore, change: tuple[str, str], sentence: str
) -> None:
    data = write_labels("csv", store.events()).decode().replace(*change, 1).encode()
    assert sentence in import_labels(store, "csv", data, dry_run=False).problems


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ([1], "task 1: 'int' object has no attribute 'get' is not as Label Studio writes it"),
        ([{"data": {}, "annotations": [{}]}], "task 1: 'result' is not as Label Studio writes it"),
        (
            [{"data": {"episode": 5}, "annotations": [studio_annotation()]}],
            "task 1, annotation 1: episode_id must be str, not 5",
        ),
    ],
)
def test_a_bad_task_is_named(store: LabelStore, tasks: object, sentence: str) -> None:
    data = json.dumps(tasks).encode()
    assert import_labels(store, "label-studio", data, dry_run=False).problems == (sentence,)


def test_an_event_of_plain_values_is_the_event(store: LabelStore) -> None:
    for found in store.events():
        assert parse_event(found.to_dict()) == found
