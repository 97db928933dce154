"""Checkpoints that came from elsewhere: copied bit for bit, listed, removed, rebuilt."""

import json
from pathlib import Path

import pytest

from engine.records.manifest import checkpoint_hash, write_manifest
from storage.cabinet import Cabinet, open_cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.workspace import Workspace
from tests.storage.test_checkpoints import make_checkpoint


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "foreign", "policy", b"foreign weights")


def adopt(cabinet: Cabinet, folder: Path, name: str = "mine") -> Checkpoint:
    return cabinet.checkpoints.adopt(name, folder, source="hf://a/b@c", revision="c")


def test_an_adopted_checkpoint_is_the_foreign_one_bit_for_bit(
    cabinet: Cabinet, foreign: Path
) -> None:
    checkpoint = adopt(cabinet, foreign)
    assert (checkpoint.id, checkpoint.role) == ("hub/mine", "policy")
    assert checkpoint.hash == checkpoint_hash(foreign)
    assert (checkpoint.source, checkpoint.revision) == ("hf://a/b@c", "c")
    for path in foreign.iterdir():
        assert (checkpoint.directory / path.name).read_bytes() == path.read_bytes()


def test_only_what_the_manifest_names_is_copied(cabinet: Cabinet, foreign: Path) -> None:
    (foreign / "modeling.py").write_text("import os")
    names = {path.name for path in adopt(cabinet, foreign).directory.iterdir()}
    assert names == {
        *("model.safetensors", "config.json", "card.json", "manifest.json", "source.json")
    }


def test_its_id_stays_after_a_restart(workspace: Workspace, tmp_path: Path, foreign: Path) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    before = adopt(first, foreign)
    first.close()
    second = open_cabinet(workspace, demo=tmp_path)
    assert second.checkpoints.get("hub/mine") == before
    second.close()


def test_a_lost_database_finds_it_again(
    workspace: Workspace, tmp_path: Path, foreign: Path
) -> None:
    first = open_cabinet(workspace, demo=tmp_path)
    before = adopt(first, foreign)
    first.close()
    workspace.database.unlink()
    second = open_cabinet(workspace, demo=tmp_path)
    assert second.checkpoints.get("hub/mine") == before
    [row] = second.database.read("select name, source, revision, hash from adopted_checkpoints")
    assert list(row.values()) == ["mine", "hf://a/b@c", "c", before.hash]
    second.close()


def test_the_same_checkpoint_may_be_adopted_again(cabinet: Cabinet, foreign: Path) -> None:
    assert adopt(cabinet, foreign) == adopt(cabinet, foreign)


def test_a_name_is_not_given_to_another_checkpoint(
    cabinet: Cabinet, foreign: Path, tmp_path: Path
) -> None:
    adopt(cabinet, foreign)
    other = make_checkpoint(tmp_path / "other", "policy", b"other")
    with pytest.raises(ValueError, match="already another checkpoint hub/mine"):
        adopt(cabinet, other)


def test_a_damaged_checkpoint_is_not_adopted(cabinet: Cabinet, foreign: Path) -> None:
    (foreign / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ValueError, match="not the file its manifest names"):
        adopt(cabinet, foreign)
    assert cabinet.checkpoints.all() == []


def test_a_manifest_that_leaves_its_folder_is_refused(cabinet: Cabinet, foreign: Path) -> None:
    (foreign.parent / "secret").write_bytes(b"secret")
    manifest = json.loads((foreign / "manifest.json").read_text())
    entry = manifest["files"][0]
    write_manifest(foreign)
    (foreign / entry["name"]).rename(foreign.parent / entry["name"])
    entry["name"] = f"../{entry['name']}"
    (foreign / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"not a path that a source may hold"):
        adopt(cabinet, foreign)
    assert list(cabinet.workspace.checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('{"role": "poet"}', "no config.json with a role"),
        ("[]", "no object"),
        ("[" * 9_999, "deep"),
    ],
)
def test_a_folder_without_a_role_is_not_adopted(
    cabinet: Cabinet, foreign: Path, config: str, reason: str
) -> None:
    (foreign / "config.json").write_text(config)
    write_manifest(foreign)
    with pytest.raises(ValueError, match=reason):
        adopt(cabinet, foreign)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-x"])
def test_a_bad_name_is_refused(cabinet: Cabinet, foreign: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a checkpoint name"):
        adopt(cabinet, foreign, name)


def test_a_removed_checkpoint_is_gone(cabinet: Cabinet, foreign: Path) -> None:
    directory = adopt(cabinet, foreign).directory
    cabinet.checkpoints.remove("hub/mine")
    assert not directory.exists()
    assert cabinet.checkpoints.all() == []
    adopt(cabinet, foreign)


def test_a_registered_directory_is_only_forgotten(cabinet: Cabinet, foreign: Path) -> None:
    cabinet.checkpoints.register("mine", foreign)
    cabinet.checkpoints.remove("local/mine")
    assert cabinet.checkpoints.all() == []
    assert (foreign / "manifest.json").is_file()


@pytest.mark.parametrize("checkpoint_id", ["demo/base", "run/run-1/step-000002"])
def test_shipped_and_trained_checkpoints_are_not_removed(
    cabinet: Cabinet, checkpoint_id: str
) -> None:
    with pytest.raises(ValueError, match="was shipped or belongs to a run"):
        cabinet.checkpoints.remove(checkpoint_id)


@pytest.mark.parametrize("checkpoint_id", ["hub/none", "local/none", "hub/../runs"])
def test_what_is_not_there_cannot_be_removed(cabinet: Cabinet, checkpoint_id: str) -> None:
    with pytest.raises(LookupError, match="there is no checkpoint"):
        cabinet.checkpoints.remove(checkpoint_id)


def test_what_a_kill_left_behind_is_swept_away(
    workspace: Workspace, tmp_path: Path, foreign: Path
) -> None:
    for name in (".partial-abc", ".removed-old"):
        make_checkpoint(workspace.checkpoints / name, "policy")
    cabinet = open_cabinet(workspace, demo=tmp_path)
    assert list(workspace.checkpoints.iterdir()) == []
    cabinet.close()
