"""Where an official checkpoint's tensors lie: one file, shards with an index, or a training folder.

Pickles (`.pt`, `.pth`, `.bin`) are never opened here: a converter, which runs elsewhere, makes a
safetensors file of each.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import read_json, write_json
from engine.checkpoints.tensor_files import StoredTensor, indexed_files, open_tensors, write_shards
from engine.config import Config
from engine.gate.inspection import inspect
from engine.released.layouts import unwrapped

PICKLES = (".pt", ".pth", ".bin")
OFFICIAL = "official"  # folder of a checkpoint: files of the official layout that we do not use

Converter = Callable[[Path, Path], Path]
"""(foreign file, empty directory) -> checked safetensors: itself, or what a pickle became."""
Progress = Callable[[int, int], None]
"""(bytes written, bytes in all)."""


def no_converter(path: Path, directory: Path) -> Path:
    """The converter where there is none: safetensors as they are.

    Raises:
        ValueError: a pickle.
    """
    if path.suffix not in PICKLES:
        return path
    raise ValueError(f"{path.name} is a pickle, and nothing here may open one: convert it first")


@dataclass(frozen=True)
class Adopted:
    """What was read: numbers of parameters that run, and of those kept for export alone."""

    parameters: int
    unused_parameters: int = 0


def ignore_progress(done: int, total: int) -> None:
    """Progress that nobody watches."""


def weight_files(source: Path) -> list[Path]:
    """The weight files of a checkpoint, safetensors or pickles.

    Args:
        source: a file; a folder with an index of shards, or with a single weight file; a folder
            that has such a folder as `model/`; or one with a single `epoch…` folder of that kind.

    Raises:
        ValueError: nothing there, or more than one thing.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"there is no checkpoint {source}")
    indices = sorted(source.glob("*.index.json"))
    if len(indices) == 1:
        return indexed_files(indices[0])
    files = [p for p in sorted(source.iterdir()) if p.suffix in (".safetensors", *PICKLES)]
    inner = [source / "model"] if (source / "model").is_dir() else sorted(source.glob("epoch*"))
    if not indices and len(files) == 1 and not inner:
        return files
    if not indices and len(inner) == 1:
        return weight_files(inner[0])
    found = [path.name for path in (*indices, *files, *inner)]
    raise ValueError(
        f"{source.name} holds {', '.join(found)}: name the one that is meant"
        if found
        else f"{source.name} holds no weights"
    )


@contextmanager
def open_official(
    files: Sequence[Path], directory: Path, convert: Converter
) -> Iterator[dict[str, StoredTensor]]:
    """The tensors of an official checkpoint's files by their official names.

    Args:
        directory: the checkpoint being filled; what the converter makes lies beside it for a while.

    Raises:
        ValueError: a file that is refused or cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".converted-") as room:
        checked = []
        for number, path in enumerate(files):
            workshop = Path(room) / str(number)
            workshop.mkdir()
            checked.append(convert(path, workshop))
        with open_tensors(checked) as tensors:
            yield unwrapped(tensors)


class Bytes:
    """Counts what is written and tells it on."""

    def __init__(self, groups: Iterable[Iterable[tuple[str, StoredTensor]]], told: Progress):
        self._total = sum(tensor.num_bytes for group in groups for _, tensor in group)
        self._done, self._told = 0, told

    def __call__(self, written: int) -> None:
        """Add bytes written."""
        self._done += written
        self._told(self._done, self._total)


def write_documents(
    directory: Path, role: str, config: Config, source: Path, task: str, adopted: Adopted
) -> None:
    """Write config and card of an adopted checkpoint."""
    write_json(directory / "config.json", {"role": role, **config.to_dict()})
    place = "/".join(source.resolve().parts[-3:])
    size = f"{adopted.parameters / 1e9:.3g} B parameters"
    card = {
        "summary": f"official {role.replace('_', ' ')}, {size}",
        "task": task,
        "source": place,
        "parameters": adopted.parameters,
        "unused_parameters": adopted.unused_parameters,
    }
    write_json(directory / "card.json", card)


def write_all(
    directory: Path,
    groups: Sequence[tuple[str, Sequence[tuple[str, StoredTensor]]]],
    progress: Progress,
    shard_bytes: int,
) -> None:
    """Write (stem, tensors) groups into a directory, tensor by tensor."""
    count = Bytes([tensors for _, tensors in groups], progress)
    for stem, tensors in groups:
        write_shards(directory, stem, tensors, shard_bytes=shard_bytes, on_bytes=count)


def keep_official(source: Path, directory: Path, names: Iterable[str]) -> None:
    """Keep JSON files of the official layout, for `restore_official`, where they are there.

    Raises:
        ValueError: one of them is not a JSON object.
    """
    for name in names:
        if (source / name).is_file():
            read_object(source / name)
            (directory / OFFICIAL).mkdir(exist_ok=True)
            shutil.copyfile(source / name, directory / OFFICIAL / name)


def restore_official(checkpoint: Path, directory: Path) -> None:
    """Put what `keep_official` kept into a directory."""
    for path in sorted((checkpoint / OFFICIAL).glob("*")):
        shutil.copyfile(path, directory / path.name)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a foreign folder.

    Raises:
        ValueError: missing, refused by the gate, or something else.
    """
    check_text_file(path)
    values: Any = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path.parent.name}/{path.name} is not an object")
    return values


def check_text_file(path: Path) -> None:
    """Let a foreign JSON or Python config through the gate.

    Raises:
        ValueError: it is missing or refused.
    """
    if not path.exists():
        raise ValueError(f"{path.parent.name} has no {path.name}")
    verdict = inspect(path)
    if not verdict.accepted:
        raise ValueError(f"{path.parent.name}: {verdict.sentence}")
