"""Published and got back: equal bit for bit, through the Hub, a folder and a bucket."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from engine.records.manifest import checkpoint_hash, verify_manifest, write_manifest
from storage.cabinet import Cabinet, open_cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.downloads.sources import DEFAULT_RULES
from storage.upkeep.publishing import pull, push, put_files
from storage.workspace import Workspace
from tests.storage.source_server import Fault, Repository, SourceServer
from tests.storage.test_checkpoints import make_checkpoint

WEIGHTS = bytes(range(256)) * 100
NAMES = {"model.safetensors", "config.json", "card.json", "manifest.json", "README.md"}

# The Hub's library decides about Xet when it is imported, so a push runs in a process of its own.
PUSH = """
import sys
from pathlib import Path
from storage.upkeep.publishing import push
from storage.downloads.sources import Rules
directory, target, url, host = sys.argv[1:]
rules = Rules(hub=url, hosts=frozenset({host}))
print(push(Path(directory), target, rules=rules, token="hf_secret"))
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "made", "policy", WEIGHTS)


@pytest.fixture
def online(workspace: Workspace, tmp_path: Path, server: SourceServer) -> Cabinet:
    return open_cabinet(workspace, demo=tmp_path / "demo", rules=server.rules)


def pulled(cabinet: Cabinet, source: str) -> Checkpoint:
    return pull(
        source,
        "back",
        downloads=cabinet.downloads,
        catalogue=cabinet.checkpoints,
        check=verify_manifest,
    )


def push_to(server: SourceServer, directory: Path, target: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    place = [str(directory), target, server.url, server.host]
    return subprocess.run(
        [sys.executable, "-c", PUSH, *place], capture_output=True, text=True, env=environment
    )


def assert_equal(checkpoint: Checkpoint, original: Path) -> None:
    assert checkpoint.hash == checkpoint_hash(original)
    for path in original.iterdir():
        assert (checkpoint.directory / path.name).read_bytes() == path.read_bytes()


def test_a_checkpoint_pushed_to_the_hub_comes_back_bit_for_bit(
    server: SourceServer, online: Cabinet, made: Path
) -> None:
    finished = push_to(server, made, "me/model")
    source = finished.stdout.strip()
    repository = server.repositories["me/model"]
    assert source == f"hf://me/model@{repository.branches['main']}", finished.stderr
    published = repository.commits[repository.branches["main"]]
    assert published.keys() == NAMES
    assert b"# policy" in published["README.md"]
    checkpoint = pulled(online, source)
    assert_equal(checkpoint, made)
    assert (checkpoint.source, checkpoint.revision) == (source, repository.branches["main"])
    online.close()


def test_a_second_push_replaces_the_files_of_the_first(server: SourceServer, made: Path) -> None:
    server.repositories["me/model"] = Repository()
    first = {name: b"old" for name in NAMES} | {".gitattributes": b"*"}
    server.repositories["me/model"].commit(first)
    finished = push_to(server, made, "hf://me/model")
    repository = server.repositories["me/model"]
    published = repository.commits[repository.branches["main"]]
    assert published.keys() == NAMES | {".gitattributes"}, finished.stderr
    assert b"old" not in (published["model.safetensors"], published["README.md"])


@pytest.mark.parametrize("there", ["old.bin", "model.safetensors"])
def test_what_no_studio_wrote_is_neither_deleted_nor_replaced(
    server: SourceServer, made: Path, there: str
) -> None:
    server.repositories["me/model"] = repository = Repository()
    repository.commit({there: b"somebody's", ".gitattributes": b"*"})
    finished = push_to(server, made, "hf://me/model")
    assert f"holds files that no studio wrote ({there})" in finished.stderr
    assert repository.commits[repository.branches["main"]][there] == b"somebody's"
    assert len(repository.commits) == 1


def test_a_refused_push_is_a_sentence_without_the_token(server: SourceServer, made: Path) -> None:
    server.end()
    finished = push_to(server, made, "me/model")
    assert "ValueError: the Hub did not answer" in finished.stderr
    assert "hf_secret" not in finished.stderr


def test_a_checkpoint_pushed_to_a_folder_comes_back_bit_for_bit(
    cabinet: Cabinet, made: Path, tmp_path: Path
) -> None:
    place = push(made, str(tmp_path / "shelf" / "one"), rules=DEFAULT_RULES, token=None)
    assert {path.name for path in Path(place).iterdir()} == NAMES
    source = cabinet.downloads.register_folder("shelf", Path(place))
    assert_equal(pulled(cabinet, source), made)


def test_a_folder_that_is_there_is_not_overwritten(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already something at"):
        push(made, str(tmp_path), rules=DEFAULT_RULES, token=None)


def test_any_file_system_takes_a_checkpoint_once(made: Path) -> None:
    filesystem = MemoryFileSystem()
    files: dict[str, Path | bytes] = {path.name: path for path in made.iterdir()}
    put_files(filesystem, "/bucket/one", files | {"README.md": b"# x"})
    assert filesystem.cat_file("/bucket/one/model.safetensors") == WEIGHTS
    assert filesystem.cat_file("/bucket/one/README.md") == b"# x"
    with pytest.raises(ValueError, match="already a checkpoint at /bucket/one"):
        put_files(filesystem, "/bucket/one", files)
    filesystem.rm("/bucket", recursive=True)


def test_training_state_is_not_published(made: Path, tmp_path: Path) -> None:
    (made / "state.safetensors").write_bytes(b"optimizer")
    (made / "progress.json").write_text("{}")
    write_manifest(made)
    place = Path(push(made, str(tmp_path / "shelf"), rules=DEFAULT_RULES, token=None))
    assert {path.name for path in place.iterdir()} == NAMES
    verify_manifest(place)
    assert checkpoint_hash(place) == checkpoint_hash(made)


def test_a_damaged_checkpoint_is_not_published(made: Path, tmp_path: Path) -> None:
    (made / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(ValueError, match="not the file its manifest names"):
        push(made, str(tmp_path / "shelf"), rules=DEFAULT_RULES, token=None)
    assert not (tmp_path / "shelf").exists()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("me/model", "needs a login: set HF_TOKEN"),
        ("hf://me/model@v1", "to a whole repository"),
        ("hf://me/model@main/sub", "to a whole repository"),
        ("https://example.org/a", "to the Hub, a local path"),
        ("folder:mine", "to the Hub, a local path"),
        ("file:///tmp/x", "is not a source"),
        ("simplecache::s3://a/b", "chain file systems"),
        ("s3://bucket/a/", "needs one package more"),
    ],
)
def test_a_target_that_cannot_be_written_is_a_sentence(
    made: Path, target: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        push(made, target, rules=DEFAULT_RULES, token=None)


def test_what_the_gate_refuses_is_not_adopted(
    server: SourceServer, online: Cabinet, made: Path
) -> None:
    server.repositories["me/model"] = Repository()
    server.repositories["me/model"].commit({p.name: p.read_bytes() for p in made.iterdir()})

    def refuse(folder: Path) -> None:
        raise ValueError("the gate refuses")

    with pytest.raises(ValueError, match="the gate refuses"):
        pull(
            "me/model",
            "back",
            downloads=online.downloads,
            catalogue=online.checkpoints,
            check=refuse,
        )
    assert online.checkpoints.all() == []
    online.close()


def test_a_repository_of_another_format_is_not_pulled(
    server: SourceServer, online: Cabinet
) -> None:
    server.repositories["me/model"] = Repository()
    server.repositories["me/model"].commit({"pytorch_model.bin": b"pickle"})
    with pytest.raises(ValueError, match="goes through the converter"):
        pulled(online, "me/model")
    online.close()


def test_a_pull_that_breaks_says_why(server: SourceServer, online: Cabinet, made: Path) -> None:
    repository = server.repositories["me/model"] = Repository()
    commit = repository.commit({p.name: p.read_bytes() for p in made.iterdir()})
    server.faults[f"/me/model/resolve/{commit}/model.safetensors"] = Fault(status=403)
    with pytest.raises(ValueError, match=r"model\.safetensors may not be read by this login"):
        pulled(online, "me/model")
    assert json.loads((made / "config.json").read_text()) == {"role": "policy"}
    online.close()
