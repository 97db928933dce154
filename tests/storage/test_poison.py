"""One odd value spoils itself alone: it is refused, or set aside and shown, and stops nobody."""

import errno
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.records.durable import append_durably
from engine.records.episodes import read_episode, write_episode
from engine.records.events import decode_line, encode_line
from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.damage import disk_trouble, fault_of_disk, fault_of_place
from storage.database import Database
from storage.events.labels import LabelStore
from storage.events.preferences import Preference
from storage.exports import bundle
from storage.workspace import Workspace

Maker = Callable[..., Trajectory]
HALF = "\ud800"  # of a surrogate pair


def odd_line(event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def test_half_a_surrogate_pair_is_refused_and_the_next_label_is_stored(cabinet: Cabinet) -> None:
    for field in ("actor", "note", "failure_mode"):
        odd = Label(event_id="odd", episode_id="e", outcome="fail", **{field: HALF})
        with pytest.raises(ValueError, match="no Unicode"):
            cabinet.labels.append(odd)
    with pytest.raises(ValueError, match="no Unicode"):
        cabinet.preferences.append(
            Preference(event_id="odd", left="a", right="b", choice="left", actor=HALF)
        )
    assert not cabinet.workspace.label_twin.exists()
    assert cabinet.labels.append(Label(event_id="next", episode_id="e", outcome="fail")).seq == 1


def test_both_halves_of_a_pair_and_any_script_may_stand(cabinet: Cabinet) -> None:
    note = "🫖 чашка كوب 杯子"
    cabinet.labels.append(Label(event_id="1", episode_id="e", outcome="fail", note=note))
    assert [label.note for label in cabinet.labels.all()] == [note]


@pytest.mark.parametrize(
    "odd",
    [
        {"note": 5},
        {"outcome": "perhaps"},
        {"end_step": 2**70},
        {"model_probability": float("nan")},
    ],
)
def test_what_the_database_would_refuse_never_reaches_the_log(
    cabinet: Cabinet, odd: dict[str, Any]
) -> None:
    values = {"event_id": "odd", "episode_id": "e", "outcome": "fail", "dream_broke": None}
    values |= {"actor": "local", "supersedes": None}
    with pytest.raises(ValueError):
        cabinet.labels.log.append(values | odd)
    assert not cabinet.workspace.label_twin.exists()


def test_an_event_that_no_row_can_hold_is_set_aside_and_shown(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    event = first.labels.append(Label(event_id="1", episode_id="e", outcome="fail"))
    first.close()
    poison = event.to_dict() | {"event_id": "odd", "actor": HALF, "seq": 2}
    append_durably(workspace.label_twin, odd_line(poison))
    second = open_cabinet(workspace, demo=tmp_path)
    assert [label.event_id for label in second.labels.all()] == ["1"]
    [sentence] = second.troubles()
    assert "1 labels of the log cannot be read" in sentence and "'odd'" in sentence
    assert second.labels.append(Label(event_id="2", episode_id="e", outcome="fail")).seq == 2
    second.close()
    third = open_cabinet(workspace, demo=tmp_path)
    assert [label.event_id for label in third.labels.all()] == ["1", "2"]
    assert third.labels.log.first_broken_link() is None
    third.close()


def test_a_row_of_the_database_that_the_log_contradicts_is_damage(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    first.labels.append(Label(event_id="1", episode_id="e", outcome="fail"))
    first.close()
    with duckdb.connect(str(workspace.database)) as connection:
        connection.execute("drop trigger labels_are_never_changed on label_events")
        connection.execute("update label_events set event = replace(event, 'fail', 'success')")
    second = open_cabinet(workspace, demo=tmp_path)
    assert [label.outcome for label in second.labels.all()] == ["fail"]
    assert "was rebuilt" in second.troubles()[0]
    second.close()


def test_a_log_that_the_disk_took_half_of_is_as_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"whole\n")
    small = Path("/dev/full")
    with pytest.raises(OSError):
        append_durably(small, b"line\n")
    assert log.read_bytes() == b"whole\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"instruction": {"a": 1}},
        {"instruction": HALF},
        {"end_step": "2"},
        {"success": None},
        {"start_id": 2**70},
        {"lineage": {"policy": ["a"]}},
        {"lineage": {"note": HALF}},
        {"lineage": []},
    ],
)
def test_an_episode_with_an_odd_record_is_left_out_and_shown(
    cabinet: Cabinet, make_trajectory: Maker, changes: dict[str, Any]
) -> None:
    room = cabinet.workspace.episodes
    path = write_episode(room, make_trajectory("odd")) / "episode.json"
    write_episode(room, make_trajectory("plain"))
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert cabinet.trajectories.scan(room) == 1
    assert cabinet.trajectories.ids() == ["plain"]
    assert any("'odd'" in sentence for sentence in cabinet.troubles())
    with pytest.raises(ValueError, match="not a readable episode"):
        read_episode(path.parent)


def test_an_exact_copy_with_an_object_for_an_instruction_is_refused(
    make_trajectory: Maker,
) -> None:
    odd = make_trajectory()
    object.__setattr__(odd, "instruction", {"a": 1})  # as nothing of ours would make it
    with pytest.raises(ValueError, match="damaged"):
        bundle.unpack(bundle.pack(odd))


def test_an_episode_that_no_index_can_hold_is_not_stored(
    cabinet: Cabinet, make_trajectory: Maker
) -> None:
    with pytest.raises(ValueError, match="no Unicode"):
        cabinet.trajectories.add(make_trajectory("odd", instruction=HALF))
    with pytest.raises(ValueError, match="cannot be stored"):
        cabinet.trajectories.add(make_trajectory("odd", lineage={"iteration": 2**40}))
    assert not (cabinet.workspace.episodes / "odd").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"loss": "low"}},
        {"metrics": {"loss": 10**400}},
        {"step": "next"},
        {"step": 2**70},
        {"seq": None},
        {"attempt": 2**40},
        {"kind": "state", "state": {"a": 1}},
        {"kind": "progress", "done": None, "total": 1},
        {"kind": "alarm", "message": HALF},
        {"kind": "episode", "episode": "../../x"},
    ],
)
def test_an_odd_event_of_a_run_is_an_alarm_of_its_own(
    cabinet: Cabinet, changes: dict[str, Any]
) -> None:
    cabinet.runs.create("run-1", "optimise", {})
    event = {"seq": 1, "attempt": 1, "time": 1.0, "kind": "metric", "step": 1}
    event |= {"metrics": {"loss": 0.5}}
    lines = [encode_line(event), odd_line(event | {"seq": 2} | changes)]
    lines.append(encode_line(event | {"seq": 3, "step": 3}))
    (cabinet.workspace.runs / "run-1" / "events.jsonl").write_bytes(b"".join(lines))
    assert cabinet.ingest.ingest("run-1") == 3
    assert [row["step"] for row in cabinet.curves.table(["run-1"])] == [1, 3]
    [alarm] = cabinet.runs.events("run-1", limit=9)
    assert alarm["kind"] == "alarm" and "cannot be read" in alarm["message"]
    assert cabinet.ingest.ingest("run-1") == 0


def test_a_run_of_odd_text_is_left_out_and_the_others_are_found(cabinet: Cabinet) -> None:
    for name, text in (("odd", '{"job": "a", "config": {"b": "\\ud800"}}'), ("plain", None)):
        (cabinet.workspace.runs / name).mkdir()
        plain = json.dumps({"job": "collect", "config": {}})
        (cabinet.workspace.runs / name / "config.json").write_text(text or plain)
    assert cabinet.runs.discover() == ["plain"]
    assert any("'odd'" in sentence for sentence in cabinet.troubles())
    with pytest.raises(ValueError, match="no Unicode"):
        cabinet.runs.create("run-1", "optimise", {"note": HALF})


def test_views_and_what_was_put_aside_outlive_the_database(
    workspace: Workspace, tmp_path: Path, make_trajectory: Maker
) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    first.trajectories.add(make_trajectory())
    first.views.save("mine", {"kind": "real"})
    first.label_queue.add(["episode-1"])
    first.downloads.register_folder("here", tmp_path)
    first.close()
    workspace.database.unlink()
    second = open_cabinet(workspace, demo=tmp_path)
    assert second.views.all() == {"mine": {"kind": "real"}}
    assert second.label_queue.add(["episode-1"]) == 0
    assert second.downloads.folders() == {"here": tmp_path}
    second.close()


def test_views_of_an_older_studio_come_into_the_file(database: Database, tmp_path: Path) -> None:
    row = {"name": "old", "query": '{"kind": "real"}', "created": 1.0}
    database.write(lambda cursor: cursor.insert("saved_views", [row]))
    cabinet = open_cabinet(Workspace(tmp_path), demo=tmp_path / "demo", database=database)
    assert cabinet.views.all() == {"old": {"kind": "real"}}
    cabinet.downloads.close()


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("Cannot open file: Permission denied", "may not read and write"),
        ("Cannot open file: Read-only file system", "only be read"),
        ("Could not write: No space left on device", "disk is full"),
        ("Could not set lock on file: No locks available", "gives no locks"),
        ("Could not set lock on file: Conflicting lock is held", "another studio"),
        ("Failed to read block 7: checksum", ""),
        ("exists, but it is not a valid DuckDB database file!", ""),
    ],
)
def test_the_places_fault_is_told_from_the_files(tmp_path: Path, words: str, place: str) -> None:
    found = fault_of_place(tmp_path / "studio.duckdb", duckdb.IOException(words))
    assert place in found and bool(found) == bool(place)


def test_a_place_that_is_to_blame_is_named_and_left_alone(workspace: Workspace) -> None:
    workspace.database.mkdir()
    with pytest.raises(ValueError, match="a directory stands where the file should be"):
        open_cabinet(workspace, demo=workspace.root)
    assert list(workspace.quarantine.iterdir()) == []


def test_a_deeply_nested_line_is_no_event() -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    assert decode_line(b"%08x %s\n" % (zlib.crc32(body), body)) is None
    with pytest.raises(ValueError, match="no Unicode"):
        encode_line({"note": HALF})


def test_what_the_database_lost_comes_back_from_the_log(
    workspace: Workspace, tmp_path: Path
) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    store = LabelStore(database, workspace.label_twin)
    store.append(Label(event_id="1", episode_id="e", outcome="fail"))
    database.write(
        lambda cursor: cursor.rows("drop trigger labels_are_never_deleted on label_events")
    )
    database.write(lambda cursor: cursor.rows("delete from label_events"))
    database.close()
    cabinet = open_cabinet(workspace, demo=tmp_path)
    assert [label.event_id for label in cabinet.labels.all()] == ["1"]
    cabinet.close()


def test_a_full_disk_is_a_sentence_and_the_place_says_so(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk is full" in fault_of_disk(full)
    for kind in (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException):
        assert "the disk is full" in fault_of_disk(kind(f"Could not write: {full}"))
    assert fault_of_disk(OSError(errno.ENOENT, "none")) == fault_of_disk(KeyError("x")) == ""
    assert disk_trouble(tmp_path) == ""
    assert "the disk is full" in disk_trouble(tmp_path, least=2**62)
