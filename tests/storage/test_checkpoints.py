"""The catalogue."""

import json
from pathlib import Path

import pytest

from engine.records.manifest import checkpoint_hash, write_manifest
from storage.cabinet import Cabinet, open_cabinet
from storage.workspace import Workspace


def make_checkpoint(directory: Path, role: str, weights: bytes = b"weights") -> Path:
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(weights)
    (directory / "config.json").write_text(json.dumps({"role": role}))
    (directory / "card.json").write_text(json.dumps({"summary": "small"}))
    write_manifest(directory)
    return directory


@pytest.fixture
def stocked(workspace: Workspace, tmp_path: Path) -> Cabinet:
    demo = tmp_path / "demo"
    make_checkpoint(demo / "checkpoints" / "base", "policy")
    make_checkpoint(demo / "checkpoints" / "dream", "world_model")
    cabinet = open_cabinet(workspace, demo=demo)
    cabinet.runs.create("run-1", "optimise", {})
    make_checkpoint(workspace.runs / "run-1" / "checkpoints" / "step-000002", "policy", b"better")
    return cabinet


def test_shipped_and_trained_checkpoints_are_listed(stocked: Cabinet) -> None:
    ids = [checkpoint.id for checkpoint in stocked.checkpoints.all()]
    assert ids == ["demo/base", "demo/dream", "run/run-1/step-000002"]


def test_a_role_filters(stocked: Cabinet) -> None:
    ids = [checkpoint.id for checkpoint in stocked.checkpoints.all("world_model")]
    assert ids == ["demo/dream"]


def test_an_unknown_role_is_refused(stocked: Cabinet) -> None:
    with pytest.raises(ValueError, match="role must be one of"):
        stocked.checkpoints.all("oracle")


def test_a_checkpoint_knows_its_hash_and_card(stocked: Cabinet) -> None:
    checkpoint = stocked.checkpoints.get("demo/base")
    assert checkpoint.hash == checkpoint_hash(checkpoint.directory)
    assert checkpoint.card == {"summary": "small"}
    assert stocked.checkpoints.by_hash(checkpoint.hash) == checkpoint


def test_an_unknown_checkpoint_is_a_lookup_error(stocked: Cabinet) -> None:
    with pytest.raises(LookupError, match=r"there is no checkpoint demo/\.\./base"):
        stocked.checkpoints.get("demo/../base")


def test_a_registered_directory_stays_in_the_catalogue(stocked: Cabinet, tmp_path: Path) -> None:
    mine = make_checkpoint(tmp_path / "mine", "policy", b"mine")
    stocked.checkpoints.register("mine", mine)
    assert stocked.checkpoints.get("local/mine").directory == mine


def test_a_shipped_directory_may_be_registered_under_a_name_of_its_own(stocked: Cabinet) -> None:
    shipped = stocked.checkpoints.get("demo/base")
    assert stocked.checkpoints.register("mine", shipped.directory).id == "local/mine"
    ids = [checkpoint.id for checkpoint in stocked.checkpoints.all("policy")]
    assert ids == ["demo/base", "run/run-1/step-000002", "local/mine"]


def test_a_name_is_not_given_twice(stocked: Cabinet, tmp_path: Path) -> None:
    stocked.checkpoints.register("mine", make_checkpoint(tmp_path / "a", "policy"))
    with pytest.raises(ValueError, match="already a checkpoint local/mine"):
        stocked.checkpoints.register("mine", make_checkpoint(tmp_path / "b", "policy"))


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-x"])
def test_a_bad_name_is_refused(stocked: Cabinet, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a checkpoint name"):
        stocked.checkpoints.register(name, tmp_path)


def test_a_changed_file_is_refused(stocked: Cabinet, tmp_path: Path) -> None:
    mine = make_checkpoint(tmp_path / "mine", "policy")
    (mine / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ValueError, match="not the file its manifest names"):
        stocked.checkpoints.register("mine", mine)


def test_a_directory_without_a_role_is_not_listed(stocked: Cabinet, workspace: Workspace) -> None:
    make_checkpoint(workspace.runs / "run-1" / "checkpoints" / "step-000003", "poet")
    assert len(stocked.checkpoints.all()) == 3


def test_an_unreadable_config_is_not_listed(stocked: Cabinet, workspace: Workspace) -> None:
    broken = make_checkpoint(workspace.runs / "run-1" / "checkpoints" / "step-000003", "policy")
    (broken / "config.json").write_text("{")
    assert len(stocked.checkpoints.all()) == 3
