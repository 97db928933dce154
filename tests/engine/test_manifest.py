"""Manifests prove that a directory holds what was put into it."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.manifest import (
    build_manifest,
    checkpoint_hash,
    file_sha256,
    verify_manifest,
    write_manifest,
)

SHIPPED = Path(__file__).parents[2] / "storage" / "demo" / "checkpoints"


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED.iterdir()))
def test_a_shipped_checkpoint_is_what_its_manifest_names(name: str) -> None:
    verify_manifest(SHIPPED / name)


def checkpoint(directory: Path) -> Path:
    """A directory with a manifest, as a small checkpoint would be."""
    (directory / "frames").mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(bytes(range(64)))
    (directory / "config.json").write_text('{"role": "policy"}')
    (directory / "card.json").write_text('{"seed": 0}')
    (directory / "frames" / "0.png").write_bytes(b"pixels")
    write_manifest(directory)
    return directory


def test_a_manifest_names_each_file_with_its_size_and_hash(tmp_path: Path) -> None:
    entries = build_manifest(checkpoint(tmp_path))
    names = [entry["name"] for entry in entries]
    assert names == ["card.json", "config.json", "frames/0.png", "model.safetensors"]
    assert entries[2]["bytes"] == 6
    assert entries[2]["sha256"] == hashlib.sha256(b"pixels").hexdigest()


def test_a_file_larger_than_a_block_is_hashed_whole(tmp_path: Path) -> None:
    content = bytes(3 << 20) + b"end"
    (tmp_path / "large").write_bytes(content)
    assert file_sha256(tmp_path / "large") == hashlib.sha256(content).hexdigest()


@given(
    name=st.sampled_from(("model.safetensors", "config.json", "frames/0.png")),
    position=st.integers(0, 2**20),
)
def test_any_flipped_bit_of_a_file_is_found(
    name: str, position: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = checkpoint(tmp_path_factory.mktemp("root") / "a")
    flip_bit(directory / name, position)
    with pytest.raises(ValueError, match=f"a/{name} is not the file its manifest names"):
        verify_manifest(directory)


@given(position=st.integers(0, 2**20))
def test_a_flipped_bit_of_the_manifest_is_found_or_harmless(
    position: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = checkpoint(tmp_path_factory.mktemp("root") / "a")
    flip_bit(directory / "manifest.json", position)
    try:
        verify_manifest(directory)
    except ValueError as error:
        assert str(error).startswith("a")
    else:
        entries = json.loads((directory / "manifest.json").read_text())["files"]
        assert [entry["sha256"] for entry in entries] == [
            entry["sha256"] for entry in build_manifest(directory)
        ]


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{}", '{"files": [{"name": "a"}]}'])
def test_a_manifest_of_another_form_is_a_value_error(text: str, tmp_path: Path) -> None:
    directory = checkpoint(tmp_path / "a")
    (directory / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        verify_manifest(directory)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path / "a")
    (directory / "config.json").unlink()
    with pytest.raises(ValueError, match=r"a lacks config\.json"):
        verify_manifest(directory)


def test_a_directory_without_a_manifest_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        verify_manifest(tmp_path)


def test_describing_a_checkpoint_better_does_not_change_what_it_is(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    identity = checkpoint_hash(directory)
    (directory / "card.json").write_text('{"seed": 0, "note": "seen by eye"}')
    write_manifest(directory)
    assert checkpoint_hash(directory) == identity


def test_other_weights_make_another_checkpoint(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    identity = checkpoint_hash(directory)
    flip_bit(directory / "model.safetensors", 0)
    write_manifest(directory)
    assert checkpoint_hash(directory) != identity


def flip_bit(path: Path, position: int) -> None:
    """Flip one bit of a file; positions beyond its end start again at its beginning."""
    content = bytearray(path.read_bytes())
    position %= 8 * len(content)
    content[position // 8] ^= 1 << position % 8
    path.write_bytes(content)
