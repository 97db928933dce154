"""Step 3 for safetensors: the header, parsed by us, with every byte of the file accounted for."""

import math
import re
from typing import IO, Any

from engine.gate.formats.strict_json import parse_json
from engine.gate.verdict import Expected, Limits, Reason, RefusedError, TensorEntry, quoted

# Bytes an element; what no model of ours is stored in is left out on purpose.
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
LENGTH_BYTES = 8
_MOST_DIMENSIONS = 16
_NAME = re.compile(r"[\w.\-/]{1,256}", re.ASCII)


def read_header(stream: IO[bytes], size: int, limits: Limits) -> dict[str, TensorEntry]:
    """The tensors of a safetensors file of `size` bytes, in the order of their data.

    Offsets in an entry count from the first byte after the header, where the stream is left.

    Raises:
        RefusedError: whatever is wrong with the header.
    """
    length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
    if length > limits.header_bytes:
        raise RefusedError(
            Reason.HEADER_TOO_LARGE,
            f"says that its header has {length:,} bytes; {limits.header_bytes:,} are allowed",
        )
    text = stream.read(length)
    if size < LENGTH_BYTES or len(text) < length:
        raise RefusedError(Reason.TRUNCATED, "ends before its header does")
    if text[:1].isspace():
        raise RefusedError(Reason.BAD_HEADER, "has blanks before its header, which are not read")
    values = parse_json(text, depth=3)
    if not isinstance(values, dict):
        raise RefusedError(Reason.BAD_HEADER, "has a header that is not an object")
    _check_metadata(values.pop("__metadata__", {}))
    if not values:
        raise RefusedError(Reason.NO_TENSORS, "holds no tensors")
    if len(values) > limits.tensors:
        raise RefusedError(
            Reason.TOO_MANY_TENSORS,
            f"names {len(values):,} tensors; at most {limits.tensors:,} are read",
        )
    entries = [(check_name(name), _entry(name, value)) for name, value in values.items()]
    entries.sort(key=lambda item: (item[1].start, item[1].end))
    _check_coverage(entries, size - LENGTH_BYTES - length)
    return dict(entries)


def check_name(name: str) -> str:
    """A tensor's name, if it may be shown and may become a path.

    Raises:
        RefusedError: other characters than letters, digits and `_.-/`, or a `..`.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError(Reason.BAD_NAME, f"holds a tensor with the name {quoted(name)}")
    if {"", ".."} & set(name.split("/")):
        raise RefusedError(
            Reason.BAD_NAME, f"holds a tensor whose name {quoted(name)} is a way out"
        )
    return name


def check_expected(entries: dict[str, TensorEntry], expected: Expected) -> None:
    """Step 5: exactly the tensors, shapes and dtypes that the model wants.

    Raises:
        RefusedError: the first four that differ.
    """
    wrong = [f"{quoted(name)} is unexpected" for name in sorted(entries.keys() - expected.keys())]
    wrong += [f"{quoted(name)} is missing" for name in sorted(expected.keys() - entries.keys())]
    for name in sorted(entries.keys() & expected.keys()):
        dtypes, shape = expected[name]
        entry = entries[name]
        if entry.shape != tuple(shape):
            wrong.append(f"{quoted(name)} is {list(entry.shape)}, not {list(shape)}")
        if entry.dtype not in dtypes:
            wrong.append(f"{quoted(name)} is {entry.dtype}, not {' or '.join(sorted(dtypes))}")
    if wrong:
        more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise RefusedError(
            Reason.WRONG_TENSORS, f"does not fit the model: {'; '.join(wrong[:4])}{more}"
        )


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise RefusedError(Reason.BAD_HEADER, "has metadata that is not text")


def _entry(name: str, value: Any) -> TensorEntry:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise RefusedError(
            Reason.BAD_HEADER, f"describes {quoted(name)} by other fields than it may"
        )
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise RefusedError(
            Reason.BAD_DTYPE, f"stores {quoted(name)} as {quoted(str(dtype))}, which is not read"
        )
    if not _are_sizes(shape) or len(shape) > _MOST_DIMENSIONS:
        raise RefusedError(Reason.BAD_HEADER, f"gives {quoted(name)} an impossible shape")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise RefusedError(Reason.BAD_OFFSETS, f"gives {quoted(name)} impossible offsets")
    start, end = offsets
    if end - start != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise RefusedError(
            Reason.BAD_OFFSETS,
            f"gives {quoted(name)} {end - start:,} bytes for {dtype} of shape {quoted(str(shape))}",
        )
    return TensorEntry(dtype, tuple(shape), start, end)


def _are_sizes(values: Any) -> bool:
    # `type`, because True is an int. 2^63: what the library itself can count to.
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _check_coverage(entries: list[tuple[str, TensorEntry]], data_bytes: int) -> None:
    position = 0
    for name, entry in entries:
        if entry.start != position:
            what = "overlaps the tensor before it" if entry.start < position else "leaves a hole"
            raise RefusedError(Reason.BAD_OFFSETS, f"has a tensor, {quoted(name)}, that {what}")
        position = entry.end
    if position > data_bytes:
        raise RefusedError(
            Reason.TRUNCATED, f"lacks {position - data_bytes:,} bytes of its tensors"
        )
    if position < data_bytes:
        raise RefusedError(
            Reason.BAD_OFFSETS, f"has {data_bytes - position:,} bytes that belong to no tensor"
        )
