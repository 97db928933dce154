"""Publish a checkpoint of our format, and get one back equal bit for bit: `push` and `pull`."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from engine.records.durable import move_durably
from engine.records.manifest import MANIFEST, checkpoint_hash, verify_manifest
from storage.checkpoints.adopted import manifest_names
from storage.checkpoints.catalogue import Catalogue, Checkpoint
from storage.downloads.downloads import Downloads
from storage.downloads.hub import publish
from storage.downloads.sources import Rules, parse_source
from storage.upkeep.model_card import model_card

README = "README.md"
# What only continues a training; it is no part of a checkpoint's identity.
TRAINING_STATE = ("state.safetensors", "progress.json")
Progress = Callable[[int, int], None]  # (bytes done, of all)


@dataclass(frozen=True)
class Publication:
    """What publishing a checkpoint would write: how many files and bytes, and its README.md."""

    files: int
    bytes: int
    card: str


def preview(directory: Path) -> Publication:
    """What `push` would write of a whole checkpoint.

    Raises:
        ValueError: a damaged checkpoint.
    """
    verify_manifest(directory)
    files = _published(directory)
    card = files[README]
    assert isinstance(card, bytes)
    return Publication(len(files), sum(map(_size, files.values())), card.decode())


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def push(
    directory: Path,
    target: str,
    *,
    rules: Rules,
    token: str | None,
    progress: Progress = _silent,
) -> str:
    """Publish a checkpoint with a README.md drawn from its card; where it can be pulled from.

    Args:
        directory: a whole checkpoint; a run's training state is left out.
        target: OWNER/REPOSITORY or hf:// for the Hub (private when it has to be created), an
            absolute local path, or s3:// or gs:// through fsspec.
        progress: told after each file; the Hub takes all of them at once.

    Raises:
        ValueError: a damaged checkpoint, or a target that cannot be written.
    """
    verify_manifest(directory)
    files = _published(directory)
    if target.startswith(("/", "~")):
        folder = Path(target).expanduser()
        _put_folder(folder, files, progress)
        return str(folder)
    source = parse_source(target, rules)
    match source.kind:
        case "hf":
            if source.path or source.revision != "main":
                raise ValueError("a checkpoint is pushed to a whole repository: OWNER/REPOSITORY")
            if not token:
                raise ValueError("pushing to the Hub needs a login: set HF_TOKEN")
            total = sum(map(_size, files.values()))
            progress(0, total)
            commit = publish(files, source.place, rules=rules, token=token)
            progress(total, total)
            return f"hf://{source.place}@{commit}"
        case "s3" | "gs":
            try:
                filesystem, path = url_to_fs(target)
            except ImportError as error:
                raise ValueError(f"{source.kind}:// needs one package more: {error}") from error
            put_files(filesystem, path.rstrip("/"), files, progress)
            return f"{target.rstrip('/')}/"
        case _:
            raise ValueError("a checkpoint is pushed to the Hub, a local path, s3:// or gs://")


def pull(
    source: str,
    name: str,
    *,
    downloads: Downloads,
    catalogue: Catalogue,
    check: Callable[[Path], None],
) -> Checkpoint:
    """Download a checkpoint of our format, and adopt it as `hub/NAME`; blocks until it is here.

    Args:
        check: the gate; raises a `ValueError` on a folder that must not be adopted.

    Raises:
        ValueError: it is not a checkpoint of ours, cannot be fetched, or did not pass.
    """
    plan = downloads.plan(source)
    if MANIFEST not in {file.path for file in plan.files}:
        raise ValueError(f"{plan.source} has no {MANIFEST}: it goes through the converter")
    downloads.start(plan.key)
    status = downloads.wait(plan.key)
    if status.state != "complete":
        raise ValueError(status.error or f"the download of {plan.source} was {status.state}")
    folder = downloads.folder(plan.key)
    check(folder)
    return catalogue.adopt(name, folder, source=plan.source, revision=plan.revision)


def put_files(
    filesystem: AbstractFileSystem,
    path: str,
    files: Mapping[str, Path | bytes],
    progress: Progress = _silent,
) -> None:
    """Write the files of a checkpoint on any file system, the manifest last.

    Raises:
        ValueError: a checkpoint is there already.
    """
    if filesystem.exists(f"{path}/{MANIFEST}"):
        raise ValueError(f"there is already a checkpoint at {path}")
    done, total = 0, sum(map(_size, files.values()))
    for name in (*sorted(files.keys() - {MANIFEST}), MANIFEST):
        progress(done, total)
        content = files[name]
        filesystem.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        if isinstance(content, Path):
            filesystem.put_file(str(content), f"{path}/{name}")
        else:
            filesystem.pipe_file(f"{path}/{name}", content)
        done += _size(content)


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _put_folder(target: Path, files: Mapping[str, Path | bytes], progress: Progress) -> None:
    if target.exists():
        raise ValueError(f"there is already something at {target}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".partial-"))
    try:
        filesystem, path = url_to_fs(str(partial))
        put_files(filesystem, path, files, progress)
        partial.chmod(0o755)
        move_durably(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _published(directory: Path) -> dict[str, Path | bytes]:
    """What is published of a checkpoint: its files, its manifest and its README.md."""
    config = json.loads((directory / "config.json").read_text())
    card_path = directory / "card.json"
    card = json.loads(card_path.read_text()) if card_path.is_file() else {}
    names = [name for name in manifest_names(directory) if name not in TRAINING_STATE]
    files: dict[str, Path | bytes] = {name: directory / name for name in names}
    files[MANIFEST] = _manifest_of(directory, names)
    files[README] = model_card(config, card, checkpoint_hash(directory)).encode()
    return files


def _manifest_of(directory: Path, names: list[str]) -> Path | bytes:
    """The manifest as it is, or, where files are left out, one that names the others alone."""
    path = directory / MANIFEST
    entries = json.loads(path.read_text())["files"]
    kept = [entry for entry in entries if entry["name"] in names]
    if len(kept) == len(entries):
        return path
    return (json.dumps({"files": kept}, indent=1) + "\n").encode()
