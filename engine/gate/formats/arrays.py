"""NumPy's own files from anybody: the header is judged before any memory is asked for."""

import io
import math
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

KINDS = "biuf"  # truth values and numbers; no text, no objects, no records


def npy(array: Array) -> bytes:
    """The bytes of an `.npy` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def npz(arrays: dict[str, Array]) -> bytes:
    """The bytes of a compressed `.npz` file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def read_npy(data: bytes) -> Array:
    """The array of `.npy` bytes.

    Raises:
        ValueError: no such file, not of numbers, or its header does not tell its length.
    """
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # headers that only an old numpy wrote
        try:
            version = np.lib.format.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version} of the format is not read here")
            reader = np.lib.format.read_array_header_1_0
            if version == (2, 0):
                reader = np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(stream)
        except (UserWarning, SyntaxError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"it is not an array file: {error}") from error
    if dtype.kind not in KINDS:
        raise ValueError(f"it holds {dtype}, not numbers")
    body = memoryview(data)[stream.tell() :]  # no second copy of what may be large
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"an array {list(shape)} of {dtype} does not have {len(body)} bytes")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def read_npz(data: bytes | Path, *, largest: int) -> dict[str, Array]:
    """The arrays of `.npz` bytes, or of such a file.

    Raises:
        ValueError: no such file, or more than `largest` bytes.
    """
    try:
        with zipfile.ZipFile(data if isinstance(data, Path) else io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > largest:
                raise ValueError(f"it unpacks to more than {largest // 2**20} MB")
            return {
                name.removesuffix(".npy"): read_npy(archive.read(name))
                for name in archive.namelist()
            }
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError),
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(f"its arrays cannot be read: {error}") from error
