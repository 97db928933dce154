"""Files that are small, or small for what they ask for, and unpack to gigabytes."""

import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.records.types import Trajectory
from storage.exports import bundle
from storage.exports.contents import LabelledEpisode
from storage.exports.events.labels import TABLE
from storage.exports.formats import FORMATS

Bomb = Callable[[Trajectory], bytes]
MEGABYTE = 2**20
GIGABYTE = 2**30


def _parquet(note: pa.Array) -> bytes:
    columns = {name: pa.array([None] * len(note)) for name in TABLE.hints} | {"note": note}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=True)
    return buffer.getvalue()


def _dictionary(rows: int, text: str) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


OF_LABELS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a dictionary": ("parquet", lambda: _parquet(_dictionary(400_000, "x" * 5_000))),
    "a long text": ("parquet", lambda: _parquet(pa.array(["x" * (300 * MEGABYTE)]))),
    "a million rows": ("parquet", lambda: _parquet(pa.array([None] * 1_000_001, pa.string()))),
    "rows of nothing": ("parquet", lambda: _parquet(pa.array([None] * 199_999, pa.string()))),
    "no object in a line": ("jsonl", lambda: b"{}\n" * (20 * MEGABYTE)),
    "objects in a line": ("jsonl", lambda: b"[" + b"{}," * (20 * MEGABYTE) + b"{}]"),
    "a deep line": ("jsonl", lambda: b"[" * (30 * MEGABYTE)),
    "tasks of nothing": ("label-studio", lambda: b"[" + b"{}," * (20 * MEGABYTE) + b"{}]"),
    "numbers": ("label-studio", lambda: b"[" + b"1," * (30 * MEGABYTE) + b"1]"),
    "a deep task": ("label-studio", lambda: b'{"a":' * (10 * MEGABYTE)),
    "lines": ("csv", lambda: b"\n" * (60 * MEGABYTE)),
    "cells": ("csv", lambda: b"," * (60 * MEGABYTE)),
    "a long cell": ("csv", lambda: b'"' + b"x" * (60 * MEGABYTE)),
}


def _zip(members: dict[str, bytes | Callable[[io.BufferedIOBase], None]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                archive.writestr(name, content)
            else:
                with archive.open(name, "w", force_zip64=True) as stream:
                    content(stream)
    return buffer.getvalue()


def _zeros(count: int) -> Callable[[io.BufferedIOBase], None]:
    def write(stream: io.BufferedIOBase) -> None:
        for _ in range(count // (16 * MEGABYTE)):
            stream.write(bytes(16 * MEGABYTE))

    return write


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _changed(name: str, content: object) -> Bomb:
    """An exact copy with one other member."""
    return lambda episode: _zip({**_members(bundle.pack(episode)), name: content})  # type: ignore[dict-item]


def _long_note(episode: Trajectory) -> bytes:
    members = _members(bundle.pack(episode))
    record = json.loads(members["episode.json"]) | {"lineage": {"note": "x" * 100_000_000}}
    return _zip({**members, "episode.json": json.dumps(record).encode()})


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, about)
    return buffer.getvalue()


def _lerobot(episode: Trajectory, tmp: Path) -> dict[str, bytes]:
    path = tmp / "dataset.lerobot.zip"
    FORMATS["lerobot"][1](path, [LabelledEpisode(episode=episode)])
    return _members(path.read_bytes())


def huge_png(side: int) -> bytes:
    """A picture of side × side that says so in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        mark = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + mark

    about = side.to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(50))
    packed = rows + packer.flush()
    parts = chunk(b"IHDR", about) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _lerobot_with(change: Callable[[str, bytes], bytes]) -> Callable[[Trajectory, Path], bytes]:
    def make(episode: Trajectory, tmp: Path) -> bytes:
        return _zip({name: change(name, data) for name, data in _lerobot(episode, tmp).items()})

    return make


def _rows(data: bytes, column: str, value: object) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    at = table.column_names.index(column)
    same = pa.array([value] * table.num_rows, table.schema.field(column).type)
    buffer = io.BytesIO()
    pq.write_table(table.set_column(at, table.schema.field(column), same), buffer)
    return buffer.getvalue()


def _picture(name: str, data: bytes) -> bytes:
    if "/data/" not in f"/{name}" or not name.endswith(".parquet"):
        return data
    table = pq.read_table(io.BytesIO(data))
    [column] = [name for name in table.column_names if "image" in name]
    return _rows(data, column, {"bytes": huge_png(20_000), "path": None})


def _index(name: str, data: bytes) -> bytes:
    table = "/data/" in f"/{name}" and name.endswith(".parquet")
    return _parquet(_dictionary(1_000_000, "x" * 9_000)) if table else data


def _info(name: str, data: bytes) -> bytes:
    return data + b" " * (200 * MEGABYTE) if name.endswith("info.json") else data


def _hdf5(tmp: Path, write: Callable[[h5py.Group], None]) -> bytes:
    path = tmp / "bomb.hdf5"
    with h5py.File(path, "w") as file:
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = 8
        write(demo)
    return path.read_bytes()


def _packed(demo: h5py.Group) -> None:
    frames = demo.create_dataset(
        "obs/agentview_image", (4_000, 500, 500, 3), "u1", chunks=(8, 500, 500, 3), compression=9
    )
    for first in range(0, 80, 8):
        frames[first : first + 8] = 1


def _unwritten(demo: h5py.Group) -> None:
    demo.create_dataset("obs/agentview_image", (2**20, 1024, 1024, 3), "u1", chunks=True)


def _texts(demo: h5py.Group) -> None:
    kind = h5py.string_dtype()
    demo.create_dataset("obs/note", (2**24,), kind, chunks=(2**16,), fillvalue="x" * 1_000)


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return buffer.getvalue()


def _tar_with(episode: Trajectory, tmp: Path, name: str, content: bytes) -> bytes:
    path = tmp / "episodes.tar"
    FORMATS["wmpo"][1](path, [LabelledEpisode(episode=episode)])
    with tarfile.open(path) as archive:
        members = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    return _tar({key: content if key.endswith(name) else data for key, data in members.items()})


def _zeros_npz() -> bytes:
    return _zip({"tokens.npy": _zeros(2 * GIGABYTE)})


OF_EPISODES: dict[str, Callable[[Trajectory, Path], bytes]] = {
    "a record of 100 MB": lambda episode, _: _long_note(episode),
    "arrays of 2 GB": lambda episode, _: _changed("episode.npz", _zeros(2 * GIGABYTE))(episode),
    "an archive in it": lambda episode, _: _changed("episode.npz", _zeros_npz())(episode),
    "a header that lies": lambda episode, _: _changed(
        "episode.npz", _zip({"frames.npy": _header((2**20, 2**10, 2**10, 3))})
    )(episode),
    "members": lambda episode, _: _zip(dict.fromkeys(map(str, range(60_000)), b"")),
    "a table's dictionary": _lerobot_with(_index),
    "a picture": _lerobot_with(_picture),
    "a long info": _lerobot_with(_info),
    "packed frames": lambda _, tmp: _hdf5(tmp, _packed),
    "frames that nobody wrote": lambda _, tmp: _hdf5(tmp, _unwritten),
    "texts that nobody wrote": lambda _, tmp: _hdf5(tmp, _texts),
    "a tar's header that lies": lambda episode, tmp: _tar_with(
        episode, tmp, ".video.npy", _header((2**20, 2**10, 2**10, 3))
    ),
    "a tar's arrays": lambda episode, tmp: _tar_with(episode, tmp, ".wmpo.npz", _zeros_npz()),
}


def _as_large_as_may_be() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (4_096, 4_096)).save(buffer, format="PNG")
    return buffer.getvalue()


# Pictures that a page uploads.
OF_PICTURES: dict[str, Callable[[], bytes]] = {
    "900 megapixels": lambda: huge_png(30_000),
    "as large as may be": _as_large_as_may_be,
}
