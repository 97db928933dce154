"""The only place that unpickles, and only in the sandbox: a torch file to safetensors."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from engine.gate.formats.header import DTYPE_BYTES, LENGTH_BYTES, check_name
from engine.gate.formats.storages import Storage, TorchFile, View, open_torch
from engine.gate.verdict import Limits, Reason, RefusedError, quoted

_DEEPEST = 8
_MOST_VALUES = 200_000
# Tied weights and a second copy under another name are written twice; more is an attack.
_MOST_EXPANSION = 2
_SLACK_BYTES = 1 << 20
_LEFT_OUT_CHARACTERS = 2_000


def main(arguments: list[str]) -> dict[str, Any]:
    """Convert `[source, target, limits]`; returns how many tensors there were.

    Raises:
        RefusedError: no dictionary of tensors, or tensors larger than what is stored of them.
    """
    source, target = map(Path, arguments[:2])
    limits = Limits.from_text(arguments[2])
    with source.open("rb") as stream:
        found = open_torch(source, stream)
        tensors, left_out = _flatten(found.tree, limits)
        _check_sizes(tensors, source.stat().st_size)
        with target.open("wb") as made:
            _write(tensors, left_out, found, made)
    return {"tensors": len(tensors)}


def _flatten(tree: object, limits: Limits) -> tuple[dict[str, View], list[str]]:
    """Tensors by dotted name, as in `ema.blocks.0.weight`, and the names of everything else."""
    if not isinstance(tree, Mapping):
        raise RefusedError(Reason.NO_TENSORS, "holds no dictionary of tensors")
    tensors: dict[str, View] = {}
    left_out: list[str] = []
    for number, (name, value) in enumerate(_leaves(tree, "", 0)):
        if number > _MOST_VALUES or len(tensors) > limits.tensors:
            raise RefusedError(Reason.TOO_MANY_TENSORS, "holds more values than weights can need")
        if not isinstance(value, View):
            left_out.append(name)
        elif check_name(name) in tensors:
            raise RefusedError(Reason.DUPLICATE_KEY, f"holds two tensors named {quoted(name)}")
        else:
            tensors[name] = value
    if not tensors:
        raise RefusedError(Reason.NO_TENSORS, "holds no tensors")
    return tensors, left_out


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        yield name, value
        return
    if depth == _DEEPEST:
        raise RefusedError(Reason.TOO_DEEP, f"is nested more than {_DEEPEST} levels deep")
    for key, inner in items:
        yield from _leaves(inner, f"{name}.{key}" if name else key, depth + 1)


def _check_sizes(tensors: Mapping[str, View], file_bytes: int) -> None:
    """Before any tensor is copied: a stride of 0 makes a terabyte out of 4 stored bytes."""
    for name, tensor in tensors.items():
        if tensor.nbytes > tensor.storage.nbytes:
            raise RefusedError(
                Reason.EXPANDS, f"makes {quoted(name)} larger than what is stored of it"
            )
    total = sum(tensor.nbytes for tensor in tensors.values())
    if total > _MOST_EXPANSION * file_bytes + _SLACK_BYTES:
        raise RefusedError(Reason.EXPANDS, f"holds views that would unfold to {total:,} bytes")


def _write(
    tensors: Mapping[str, View], left_out: list[str], file: TorchFile, stream: IO[bytes]
) -> None:
    """Tensor by tensor, so that memory holds one at a time; widest elements first, for alignment.

    safetensors' own writer copies all of them into memory before it writes the first.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-DTYPE_BYTES[item[1].dtype], item[0]))
    metadata = {"format": "pt"}
    if left_out:
        metadata["left_out"] = ", ".join(left_out)[:_LEFT_OUT_CHARACTERS]
    header: dict[str, Any] = {"__metadata__": metadata}
    position = 0
    for name, tensor in ordered:
        end = position + tensor.nbytes
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    stream.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    last: tuple[Storage, bytes] | None = None  # several tensors may lie in one
    for _, tensor in ordered:
        if last is None or last[0] != tensor.storage:
            last = (tensor.storage, file.read(tensor.storage))
        stream.write(tensor.of(last[1]).tobytes())
