"""A torch file read without torch: what its pickle says of tensors, and the bytes that it stores.

`check_pickle` has looked at every opcode before, so only the names of `torch` below are asked for.
torch itself takes seconds to import, and its reader is a large C++ library.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.gate.formats.header import DTYPE_BYTES
from engine.gate.verdict import Reason, RefusedError, quoted

_LEGACY_HEAD = 3  # pickles before the state dict: a number, the version, the machine
_COUNT_BYTES = 8  # how many numbers a storage has, before them
_STORAGES = {
    "Float": "F32", "Double": "F64", "Half": "F16", "BFloat16": "BF16", "Long": "I64",
    "Int": "I32", "Short": "I16", "Char": "I8", "Byte": "U8", "Bool": "BOOL", "Untyped": "U8",
}  # fmt: skip
_DTYPES = {
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float16": "F16", "bfloat16": "BF16",
    "float32": "F32", "float64": "F64", "int8": "I8", "int16": "I16", "int32": "I32",
    "int64": "I64", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "bool": "BOOL",
}  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """Numbers that lie one after the other under a key."""

    key: str
    dtype: str
    nbytes: int


@dataclass(frozen=True)
class View:
    """A tensor: some of a storage's numbers, in an order."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """What it has when it stands alone."""
        return int(np.prod(self.shape, dtype=object)) * DTYPE_BYTES[self.dtype]

    def of(self, data: bytes) -> npt.NDArray[Any]:
        """Its numbers, as plain bits, from those of its storage.

        Raises:
            RefusedError: it reaches beyond them.
        """
        numbers = np.frombuffer(data, f"<u{DTYPE_BYTES[self.dtype]}")
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * step for size, step in steps)
        if 0 in self.shape:
            return numbers[:0].reshape(self.shape)
        if last >= len(numbers):
            raise damaged("a tensor reaches beyond what is stored of it")
        strides = [step * numbers.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, strides, writeable=False
        )
        return np.ascontiguousarray(view)


@dataclass(frozen=True)
class TorchFile:
    """What a torch file holds.

    Attributes:
        tree: its values; a tensor is a `View`.
        read: the bytes of a storage.
    """

    tree: object
    read: Callable[[Storage], bytes]


def open_torch(path: Path, stream: IO[bytes]) -> TorchFile:
    """The values of a file in either of torch's formats; `stream` is the open file.

    Raises:
        RefusedError: it is damaged, or says what torch never says.
    """
    try:
        return _zipped(stream) if zipfile.is_zipfile(path) else _legacy(stream)
    except RefusedError:
        raise
    except (pickle.UnpicklingError, zipfile.BadZipFile, ValueError, TypeError, LookupError,
            AttributeError, OSError, EOFError, OverflowError, RecursionError) as error:  # fmt: skip
        raise damaged(str(error)) from error


def damaged(why: str) -> RefusedError:
    """A file that cannot be read as torch wrote it."""
    return RefusedError(Reason.UNREADABLE, f"cannot be read: {quoted(why)}")


class _Reader(pickle.Unpickler):
    """Builds dictionaries, lists and `View`s, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name of torch's."""
        if module == "torch" and name.removesuffix("Storage") in _STORAGES:
            return _STORAGES[name.removesuffix("Storage")]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        found = _BUILDERS.get((module, name))
        if found is None:
            raise damaged(f"{module}.{name} is nothing that weights are made of")
        return found

    def persistent_load(self, pid: Any) -> Storage:
        """A storage by what the pickle says of it."""
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or dtype not in DTYPE_BYTES or not _are_counts((count,)):
            raise damaged("a storage is described as torch describes none")
        if len(pid) > 5 and pid[5] is not None:
            raise damaged("a storage is a part of another")
        return Storage(str(key), dtype, count * DTYPE_BYTES[dtype])


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any = False, *more: Any
) -> View:
    """As `_rebuild_tensor` and `_rebuild_tensor_v2`, whose last argument may be metadata."""
    if not isinstance(storage, Storage):
        raise damaged("a tensor lies in no storage")
    if len(more) > 1 and more[1]:
        raise RefusedError(Reason.BAD_DTYPE, "stores a tensor in a way that is not read")
    return _view(storage, storage.dtype, offset, shape, strides)


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> View:  # fmt: skip
    """As `_rebuild_tensor_v3`: numbers of any type in a storage of bytes."""
    if not isinstance(storage, Storage) or dtype not in DTYPE_BYTES or metadata:
        raise RefusedError(Reason.BAD_DTYPE, "stores a tensor in a way that is not read")
    return _view(storage, dtype, offset, shape, strides)


def _view(storage: Storage, dtype: str, offset: Any, shape: Any, strides: Any) -> View:
    shape, strides = tuple(shape), tuple(strides)
    if len(shape) != len(strides) or not _are_counts((offset, *shape, *strides)):
        raise damaged("a tensor has an impossible shape")
    return View(storage, dtype, offset, shape, strides)


def _are_counts(values: Any) -> bool:
    # `type`, because True is an int.
    return all(type(value) is int and 0 <= value < 2**63 for value in values)


def _parameter(value: Any, *_: Any) -> Any:
    return value


_BUILDERS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch.storage", "UntypedStorage"): _STORAGES["Untyped"],
}


def _zipped(stream: IO[bytes]) -> TorchFile:
    archive = zipfile.ZipFile(stream)
    [place] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    root = place.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise damaged("it was written by a machine that turns its bytes round")
    tree = _Reader(io.BytesIO(archive.read(place))).load()

    def read(storage: Storage) -> bytes:
        member = archive.getinfo(f"{root}data/{storage.key}")
        if member.file_size != storage.nbytes:
            raise damaged(f"a storage has {member.file_size:,} bytes, not {storage.nbytes:,}")
        return archive.read(member)

    return TorchFile(tree, read)


def _legacy(stream: IO[bytes]) -> TorchFile:
    stream.seek(0)
    for _ in range(_LEGACY_HEAD):
        _Reader(stream).load()
    reader = _Noting(stream)
    tree = reader.load()
    places: dict[Storage, int] = {}
    for key in _Reader(stream).load():
        storage = reader.seen[str(key)]
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        if count * DTYPE_BYTES[storage.dtype] != storage.nbytes:
            raise damaged(f"a storage has {count:,} numbers, not {storage.nbytes:,} bytes of them")
        places[storage] = stream.tell()
        stream.seek(storage.nbytes, io.SEEK_CUR)

    def read(storage: Storage) -> bytes:
        stream.seek(places[storage])
        data = stream.read(storage.nbytes)
        if len(data) < storage.nbytes:
            raise damaged("it ends before its numbers do")
        return data

    return TorchFile(tree, read)


class _Noting(_Reader):
    """Notes every storage: in the older format they lie one after the other behind the pickles."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.seen: dict[str, Storage] = {}

    def persistent_load(self, pid: Any) -> Storage:
        """As `_Reader`, and remembered."""
        storage = super().persistent_load(pid)
        if self.seen.setdefault(storage.key, storage) != storage:
            raise damaged("a storage is described in two ways")
        return storage
