"""File hashes of a directory: what makes a checkpoint or an episode provably itself."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.records.durable import sync, sync_all

MANIFEST = "manifest.json"
_NOT_IDENTITY = ("card.json", "state.safetensors", "progress.json")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def build_manifest(directory: Path) -> list[dict[str, Any]]:
    """name, bytes and sha256 of every file of a directory but the manifest, sorted by name."""
    return [
        {
            "name": path.relative_to(directory).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    ]


def write_manifest(directory: Path) -> None:
    """Write the directory's `manifest.json`."""
    text = json.dumps({"files": build_manifest(directory)}, indent=1)
    (directory / MANIFEST).write_text(text + "\n")


def verify_manifest(directory: Path) -> None:
    """Check that each file named by the manifest is there, unchanged.

    Raises:
        ValueError: no readable manifest, or the first file that is missing or differs.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise ValueError(f"{directory.name} has no {MANIFEST}: not a complete checkpoint")
    try:
        entries = [
            (str(entry["name"]), entry["bytes"], entry["sha256"])
            for entry in json.loads(path.read_text())["files"]
        ]
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{directory.name}/{MANIFEST} is damaged: {error!r}") from error
    for name, size, sha256 in entries:
        file = directory / name
        if not file.is_file():
            raise ValueError(f"{directory.name} lacks {name}, which its manifest names")
        if file.stat().st_size != size or file_sha256(file) != sha256:
            raise ValueError(f"{directory.name}/{name} is not the file its manifest names")


def checkpoint_hash(directory: Path) -> str:
    """Identity of a checkpoint: hash over names and hashes of its weights and config files.

    The card and a run's training state are left out: describing a checkpoint better, or training
    on, does not change what it is.
    """
    entries = json.loads((directory / MANIFEST).read_text())["files"]
    identity = [
        (entry["name"], entry["sha256"]) for entry in entries if entry["name"] not in _NOT_IDENTITY
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


@contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """A directory to fill; it becomes `target` only if the block succeeds, files synced.

    A `target` that is already there is replaced after the new one is complete.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=target.parent, prefix=".partial-"))
    partial = room / "new"
    partial.mkdir()
    try:
        yield partial
        write_manifest(partial)
        sync_all(partial)
        if target.exists():
            target.rename(room / "old")
        partial.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(room, ignore_errors=True)
