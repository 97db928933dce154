"""Files by code for the tests of the gate: safetensors, zips and pickles, byte by byte."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

Entries = Mapping[str, Any]


def entry(start: int, end: int, *, dtype: str = "F32", shape: list[int] | None = None) -> Any:
    """One tensor of a header; its shape is flat and fits F32 unless given."""
    shape = [(end - start) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def safetensors(
    header: Entries | str | bytes, data: bytes = b"", length: int | None = None
) -> bytes:
    """A safetensors file of a header as given, well-formed or not, and its data."""
    text = json.dumps(header) if isinstance(header, Mapping) else header
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def floats(*values: float) -> bytes:
    """Little-endian float32 numbers."""
    return struct.pack(f"<{len(values)}f", *values)


def one_tensor(data: bytes, dtype: str = "F32", *, size: int = 4, name: str = "w") -> bytes:
    """A safetensors file with one flat tensor of elements of `size` bytes."""
    shape = [len(data) // size]
    return safetensors({name: entry(0, len(data), dtype=dtype, shape=shape)}, data)


def torch_file(value: object, *, zipped: bool = True, protocol: int = 2) -> bytes:
    """What torch.save writes, in the zip format or in the one before it."""
    stream = io.BytesIO()
    torch.save(value, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def archive(
    members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED, attributes: int = 0
) -> bytes:
    """A zip archive of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes << 16
            file.writestr(member, data, compression)
    return stream.getvalue()


def members(torch_zip: bytes) -> dict[str, bytes]:
    """The members of a torch file, to change one and pack them again."""
    with zipfile.ZipFile(io.BytesIO(torch_zip)) as file:
        return {name: file.read(name) for name in file.namelist()}


def sparse(path: Path, size: int, head: bytes = b"") -> None:
    """A file of `size` bytes of which only the head takes room on the disk."""
    with path.open("wb") as stream:
        stream.write(head)
        os.ftruncate(stream.fileno(), size)


class Calls:
    """Pickles as a call: loading it calls the function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call
