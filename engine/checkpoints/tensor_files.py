"""Safetensors files, one or shards with an index: read lazily, written shard by shard."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

SHARD_BYTES = 2**30
INDEX = ".safetensors.index.json"
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file: known without reading it."""

    shape: Shape
    dtype: torch.dtype
    load: Callable[[], Tensor]

    @property
    def num_bytes(self) -> int:
        """Size of its values."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


@contextmanager
def open_tensors(files: Iterable[Path]) -> Iterator[dict[str, StoredTensor]]:
    """Every tensor of some safetensors files by name; values are read when asked for.

    Raises:
        ValueError: a file that cannot be read, a name found twice, or an unknown kind of number.
    """
    found: dict[str, StoredTensor] = {}
    with ExitStack() as stack:
        for path in files:
            try:
                handle = stack.enter_context(safe_open(path, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise ValueError(
                    f"{path.parent.name}/{path.name} cannot be read: {error}"
                ) from error
            for name in handle.keys():  # noqa: SIM118 (not a mapping)
                if name in found:
                    raise ValueError(f"{path.parent.name}/{path.name} holds {name} a second time")
                found[name] = _describe(path, handle, name)
        yield found


def _describe(path: Path, handle: Any, name: str) -> StoredTensor:
    part = handle.get_slice(name)
    if part.get_dtype() not in DTYPES:
        raise ValueError(f"{path.name} stores {name} as {part.get_dtype()}, which nothing here is")
    shape, dtype = tuple(part.get_shape()), DTYPES[part.get_dtype()]
    return StoredTensor(shape, dtype, lambda: handle.get_tensor(name))


def stored_files(directory: Path, stem: str) -> list[Path]:
    """The files that `write_shards` wrote under a stem: shards if there is an index, else one."""
    index = directory / f"{stem}{INDEX}"
    if not index.is_file():
        return [directory / f"{stem}.safetensors"]
    return indexed_files(index)


def indexed_files(index: Path) -> list[Path]:
    """The files a Hugging Face index names, beside it, in order.

    Raises:
        ValueError: no weight map, or files that are missing or elsewhere.
    """
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{index.parent.name}/{index.name} is not an index of shards") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise ValueError(f"{index.parent.name}/{index.name} names {name!r}, not a file beside")
        if not (index.parent / name).is_file():
            raise ValueError(f"{index.parent.name} lacks {name}, which its index names")
    return [index.parent / name for name in names]


def write_shards(
    directory: Path,
    stem: str,
    tensors: Sequence[tuple[str, StoredTensor]],
    *,
    shard_bytes: int = SHARD_BYTES,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    """Write tensors, never holding more than one shard: `STEM.safetensors`, or numbered shards
    with a Hugging Face index where they are larger than one.

    Args:
        tensors: (name to write under, tensor), in the order of the shards.
        on_bytes: called with the size of every shard written.
    """
    shards: list[list[tuple[str, StoredTensor]]] = [[]]
    sizes = [0]
    for name, tensor in tensors:
        if shards[-1] and sizes[-1] + tensor.num_bytes > shard_bytes:
            shards.append([])
            sizes.append(0)
        shards[-1].append((name, tensor))
        sizes[-1] += tensor.num_bytes
    names = [f"{stem}-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = [f"{stem}.safetensors"]
    for file, shard, size in zip(names, shards, sizes, strict=True):
        _write(directory / file, shard)
        on_bytes(size)
    if len(shards) > 1:
        weight_map = {
            name: file for file, shard in zip(names, shards, strict=True) for name, _ in shard
        }
        document = {"metadata": {"total_size": sum(sizes)}, "weight_map": weight_map}
        (directory / f"{stem}{INDEX}").write_text(json.dumps(document, indent=1) + "\n")


def _write(path: Path, shard: Sequence[tuple[str, StoredTensor]]) -> None:
    values = {name: tensor.load().contiguous() for name, tensor in shard}
    save_file(values, path, metadata={"format": "pt"})
