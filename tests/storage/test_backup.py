"""Backups: whole, checked file by file, restored into an empty place; damaged ones refused."""

import dataclasses
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.records.types import Label, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.upkeep.backup import back_up, examine, restore
from storage.upkeep.rebuild import compare
from storage.workspace import Workspace, open_workspace


def unseen(done: int, total: int) -> None:
    assert done <= total


@pytest.fixture
def studio(
    workspace: Workspace, tmp_path: Path, make_trajectory: Callable[..., Trajectory]
) -> Iterator[Cabinet]:
    """A data directory with a database file, two episodes, a run, and three label events."""
    cabinet = open_cabinet(workspace, demo=tmp_path / "demo")
    for number in (1, 2):
        cabinet.trajectories.add(make_trajectory(f"episode-{number}"))
    for name, outcome in (("one", "fail"), ("two", "success")):
        cabinet.labels.append(Label(event_id=name, episode_id="episode-1", outcome=outcome))
    cabinet.labels.withdraw("two", new_event_id="three")
    run = cabinet.runs.create("run-1", "collect", {"seed": 1})
    weights = workspace.runs / run.id / "checkpoints" / "step-1"
    weights.mkdir(parents=True)
    (weights / "model.safetensors").write_bytes(b"w" * 5_000)
    (workspace.runs / run.id / "lock").write_text("1")
    (workspace.downloads / "fetched").write_text("can be fetched again")
    yield cabinet
    cabinet.close()


@pytest.fixture
def backup(studio: Cabinet, tmp_path: Path) -> Path:
    target = tmp_path / "night.wmpo-backup.tar"
    back_up(studio, target, checkpoints=True, progress=unseen)
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of a data directory with nothing in it but its database and one label."""
    root = tmp_path_factory.mktemp("once")
    cabinet = open_cabinet(open_workspace(root / "data"), demo=root / "demo")
    cabinet.labels.append(Label(event_id="one", episode_id="lost", outcome="fail"))
    back_up(cabinet, root / "backup.tar", checkpoints=True, progress=unseen)
    cabinet.close()
    return (root / "backup.tar").read_bytes()


@pytest.fixture
def small(made: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "small.wmpo-backup.tar"
    path.write_bytes(made)
    return path


def names(backup: Path) -> list[str]:
    with tarfile.open(backup) as archive:
        return archive.getnames()


def test_a_backup_comes_back_whole_elsewhere(studio: Cabinet, backup: Path, tmp_path: Path) -> None:
    made = restore(backup, tmp_path / "elsewhere" / "data", progress=unseen)
    assert (made.labels, made.episodes, made.checkpoints) == (3, 2, True)
    other = open_cabinet(open_workspace(tmp_path / "elsewhere" / "data"), demo=tmp_path / "demo")
    assert other.labels.events() == studio.labels.events()
    assert other.trajectories.ids() == studio.trajectories.ids()
    np.testing.assert_array_equal(
        other.trajectories.get("episode-2").frames, studio.trajectories.get("episode-2").frames
    )
    assert other.runs.all() == studio.runs.all()
    weights = other.workspace.runs / "run-1" / "checkpoints" / "step-1" / "model.safetensors"
    assert weights.stat().st_size == 5_000
    assert all(one.equal for one in compare(other, demo=tmp_path / "demo", progress=unseen))
    other.close()


def test_what_can_be_fetched_or_made_again_is_left_out(studio: Cabinet, tmp_path: Path) -> None:
    target = tmp_path / "small.tar"
    made = back_up(studio, target, checkpoints=False, progress=unseen)
    found = names(target)
    assert (found[0], found[-1]) == ("studio.duckdb", "manifest.json")
    assert made.files == len(found) - 1
    assert not [name for name in found if "checkpoints/" in name or name.startswith("downloads")]
    assert not [name for name in found if name.endswith("lock")]
    assert {"labels.jsonl", "episodes/episode-1/episode.npz"} <= set(found)


def test_labels_that_come_after_the_copy_of_the_database_are_there_too(
    studio: Cabinet, tmp_path: Path
) -> None:
    target = tmp_path / "busy.tar"

    def meanwhile(done: int, total: int) -> None:
        """Between the database and the label twin."""
        late = Label(event_id="late", episode_id="episode-2", outcome="fail")
        studio.labels.append(late)

    back_up(studio, target, checkpoints=False, progress=meanwhile)
    restore(target, tmp_path / "other", progress=unseen)
    other = open_cabinet(open_workspace(tmp_path / "other"), demo=tmp_path / "demo")
    assert [event.label.event_id for event in other.labels.events()][-1] == "late"
    other.close()


def test_a_backup_that_is_called_off_leaves_nothing(studio: Cabinet, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        back_up(studio, tmp_path / "half.tar", checkpoints=True, progress=stop)
    assert not (tmp_path / "half.tar").exists()
    assert list(studio.workspace.exports.iterdir()) == []


def rewritten(backup: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    with tarfile.open(backup) as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    with tarfile.open(backup, "w") as archive:
        for name, content in found.items():
            new = change(name, content)
            if new is not None:
                about = tarfile.TarInfo(name)
                about.size = len(new)
                archive.addfile(about, io.BytesIO(new))
    return backup


def refused(backup: Path, root: Path, sentence: str) -> None:
    for act in (
        lambda: examine(backup, progress=unseen),
        lambda: restore(backup, root, progress=unseen),
    ):
        with pytest.raises(ValueError, match=sentence):
            act()
    assert not root.exists()
    assert not list(root.parent.glob(".partial-restore-*"))


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("labels.jsonl", lambda c: c + b"x", "damaged: labels.jsonl is not what was backed up"),
        ("labels.jsonl", lambda c: None, "damaged: labels.jsonl is missing"),
        ("studio.duckdb", lambda c: c[:-1] + b"!", "damaged: studio.duckdb is not what"),
        ("manifest.json", lambda c: None, "its manifest is missing"),
        ("manifest.json", lambda c: b"{}", "its manifest is damaged"),
        ("manifest.json", lambda c: c.replace(b"backup 1", b"backup 9"), "of this kind"),
    ],
)
def test_a_damaged_backup_is_refused(
    small: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], sentence: str
) -> None:
    changed = rewritten(small, lambda one, content: change(content) if one == name else content)
    refused(changed, tmp_path / "root", sentence)


def test_a_cut_off_backup_is_refused(small: Path, tmp_path: Path) -> None:
    small.write_bytes(small.read_bytes()[:-20_000])
    refused(small, tmp_path / "root", "that is no backup of a studio, or it is cut off")
    small.write_bytes(b"no tar at all" * 100)
    refused(small, tmp_path / "root", "that is no backup of a studio")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../escape", tarfile.REGTYPE),
        ("/etc/escape", tarfile.REGTYPE),
        ("a/../../escape", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("hard", tarfile.LNKTYPE),
        ("device", tarfile.BLKTYPE),
    ],
)
def test_hostile_members_are_refused(small: Path, tmp_path: Path, name: str, kind: bytes) -> None:
    with tarfile.open(small, "w") as archive:
        about = tarfile.TarInfo(name)
        about.type, about.linkname = kind, "/etc/hostname"
        archive.addfile(about)
    refused(small, tmp_path / "root", "that is no backup of a studio")
    assert not (tmp_path / "escape").exists()


def test_a_manifest_that_promises_other_labels_is_refused(small: Path, tmp_path: Path) -> None:
    def fewer(name: str, content: bytes) -> bytes:
        if name != "manifest.json":
            return content
        return json.dumps(json.loads(content) | {"labels": 0}).encode()

    with pytest.raises(ValueError, match="not the one that its manifest counts"):
        restore(rewritten(small, fewer), tmp_path / "root", progress=unseen)
    assert not (tmp_path / "root").exists()


def test_nothing_is_restored_over_anything(small: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        restore(small, taken, progress=unseen)
    assert (taken / "file").read_text() == "mine"
    (taken / "file").unlink()
    assert restore(small, taken, progress=unseen).labels == 1


def test_what_differs_from_the_files_is_found(studio: Cabinet, tmp_path: Path) -> None:
    def found() -> dict[str, tuple[str, ...]]:
        told = compare(studio, demo=tmp_path / "demo", progress=unseen)
        return {one.kind: one.differences for one in told if not one.equal}

    assert found() == {}
    shutil.rmtree(studio.workspace.episodes / "episode-1")
    studio.database.write(
        lambda cursor: cursor.rows("update episodes set success = false where id = 'episode-2'")
    )
    assert found() == {"episodes": ("episode-1 is in the database alone", "episode-2 differs")}
    lines = studio.workspace.label_twin.read_bytes().splitlines(keepends=True)
    studio.workspace.label_twin.write_bytes(lines[0] + lines[2])
    assert found()["labels"] == (
        "the chain of hashes breaks at event 3",
        "two is in the database alone",
    )


def test_a_backup_says_what_it_holds(backup: Path) -> None:
    found = examine(backup, progress=unseen)
    assert dataclasses.asdict(found) | {"made": 0, "bytes": 0} == {
        "files": len(names(backup)) - 1,
        "bytes": 0,
        "labels": 3,
        "episodes": 2,
        "made": 0,
        "checkpoints": True,
    }
