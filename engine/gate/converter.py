"""The only place that unpickles, and only in the sandbox: a torch file to safetensors."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from packaging.version import Version
from torch import Tensor

from engine.gate.formats.header import LENGTH_BYTES, check_name
from engine.gate.verdict import Limits, Reason, RefusedError, quoted

# CVE-2026-24747: before it, even the restricted reader could corrupt memory.
_OLDEST_TORCH = Version("2.10")
_DTYPES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.int16: "I16", torch.uint16: "U16", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int32: "I32", torch.uint32: "U32", torch.float32: "F32",
    torch.int64: "I64", torch.uint64: "U64", torch.float64: "F64",
}  # fmt: skip
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
    if Version(torch.__version__) < _OLDEST_TORCH:
        raise RefusedError(
            Reason.UNREADABLE, f"needs torch {_OLDEST_TORCH} or newer to be read safely"
        )
    # Not memory-mapped: that way torch trusts the pickle's lengths and reads past a short record.
    tree = torch.load(source, map_location="cpu", weights_only=True)
    tensors, left_out = _flatten(tree, limits)
    _check_sizes(tensors, source.stat().st_size)
    with target.open("wb") as stream:
        _write(tensors, left_out, stream)
    return {"tensors": len(tensors)}


def _flatten(tree: object, limits: Limits) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by dotted name, as in `ema.blocks.0.weight`, and the names of everything else."""
    if not isinstance(tree, Mapping):
        raise RefusedError(Reason.NO_TENSORS, "holds no dictionary of tensors")
    tensors: dict[str, Tensor] = {}
    left_out: list[str] = []
    for number, (name, value) in enumerate(_leaves(tree, "", 0)):
        if number > _MOST_VALUES or len(tensors) > limits.tensors:
            raise RefusedError(Reason.TOO_MANY_TENSORS, "holds more values than weights can need")
        if not isinstance(value, Tensor):
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


def _check_sizes(tensors: Mapping[str, Tensor], file_bytes: int) -> None:
    """Before any tensor is copied: a stride of 0 makes a terabyte out of 4 stored bytes."""
    total = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_neg():
            raise RefusedError(Reason.BAD_DTYPE, f"stores {quoted(name)} in a way that is not read")
        if tensor.dtype not in _DTYPES:
            raise RefusedError(
                Reason.BAD_DTYPE, f"stores {quoted(name)} as {tensor.dtype}, which is not read"
            )
        total += tensor.nbytes
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise RefusedError(
                Reason.EXPANDS, f"makes {quoted(name)} larger than what is stored of it"
            )
    if total > _MOST_EXPANSION * file_bytes + _SLACK_BYTES:
        raise RefusedError(Reason.EXPANDS, f"holds views that would unfold to {total:,} bytes")


def _write(tensors: Mapping[str, Tensor], left_out: list[str], stream: IO[bytes]) -> None:
    """Tensor by tensor, so that memory holds one at a time; widest elements first, for alignment.

    safetensors' own writer copies all of them into memory before it writes the first.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    metadata = {"format": "pt"}
    if left_out:
        metadata["left_out"] = ", ".join(left_out)[:_LEFT_OUT_CHARACTERS]
    header: dict[str, Any] = {"__metadata__": metadata}
    position = 0
    for name, tensor in ordered:
        end = position + tensor.nbytes
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    stream.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    for _, tensor in ordered:
        stream.write(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
