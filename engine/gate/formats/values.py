"""Step 7, in the sandbox: every stored number is finite and below 10,000; numpy alone reads it."""

from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import safe_open

from engine.gate.formats.header import DTYPE_BYTES, read_header
from engine.gate.verdict import Limits, Reason, RefusedError, TensorEntry, quoted

_BLOCK_BYTES = 1 << 23
# The bits of a float without its sign grow with its magnitude, in every format of this table, so
# that one comparison finds what is too large, infinite or no number at all.
# dtype: (first bits that are refused: those of 1e4 or the next larger value; those of infinity)
_FLOATS = {
    "F64": (0x40C3_8800_0000_0000, 0x7FF0_0000_0000_0000),
    "F32": (0x461C_4000, 0x7F80_0000),
    "BF16": (0x461D, 0x7F80),
    "F16": (0x70E2, 0x7C00),
    "F8_E5M2": (0x71, 0x7C),
    "F8_E4M3": (0x7F, 0x7F),  # reaches 448; its one special value is no number
}


def main(arguments: list[str]) -> dict[str, Any]:
    """Check the values of one safetensors file: `[path, limits]`.

    Raises:
        RefusedError: the first tensor with a value that weights never have.
    """
    path, limits = arguments
    with open(path, "rb") as stream:
        entries = read_header(stream, Path(path).stat().st_size, Limits.from_text(limits))
        _check_library(path, entries)
        for name, entry in entries.items():
            _check_values(name, entry, stream)
    return {"tensors": len(entries)}


def _check_library(path: str, entries: dict[str, TensorEntry]) -> None:
    """The library that will load the file must see what we saw."""
    with safe_open(path, framework="np") as file:
        seen = {
            name: (part.get_dtype(), tuple(part.get_shape()))
            for name in file.keys()  # noqa: SIM118, the file is no dictionary
            for part in [file.get_slice(name)]
        }
    if seen != {name: (entry.dtype, entry.shape) for name, entry in entries.items()}:
        raise RefusedError(Reason.BAD_HEADER, "is read differently by the safetensors library")


def _check_values(name: str, entry: TensorEntry, stream: IO[bytes]) -> None:
    left = entry.end - entry.start
    while left:
        block = stream.read(min(left, _BLOCK_BYTES))
        if not block:
            raise RefusedError(Reason.TRUNCATED, "became shorter while it was read")
        left -= len(block)
        if entry.dtype == "BOOL" and np.frombuffer(block, np.uint8).max() > 1:
            raise RefusedError(Reason.OUT_OF_RANGE, f"has truth values in {quoted(name)} beyond 1")
        if entry.dtype in _FLOATS and not _counts_steps(name, entry):
            _check_floats(name, entry.dtype, block)


def _counts_steps(name: str, entry: TensorEntry) -> bool:
    """Whether a single number is an optimizer's count of steps, which may be large."""
    single = entry.end - entry.start == DTYPE_BYTES[entry.dtype]
    return single and name.rpartition(".")[2] in ("step", "steps", "num_batches_tracked")


def _check_floats(name: str, dtype: str, block: bytes) -> None:
    size = DTYPE_BYTES[dtype]
    magnitudes = np.frombuffer(block, f"<u{size}") & ((1 << (8 * size - 1)) - 1)
    refused, infinity = _FLOATS[dtype]
    largest = int(magnitudes.max())
    if largest >= infinity:
        raise RefusedError(Reason.NOT_FINITE, f"has a value in {quoted(name)} that is not finite")
    if largest >= refused:
        raise RefusedError(Reason.OUT_OF_RANGE, f"has a value in {quoted(name)} of 10,000 or more")
