"""Steps 1 and 2 of the gate: a regular file of a sane size, and what its first bytes say it is."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.gate.verdict import Kind, Limits, Reason, RefusedError

_HEAD_BYTES = 512
_ZIP = b"PK\x03\x04"

# First bytes of files that are often renamed, or saved by mistake, under a checkpoint's name.
_FOREIGN = {
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"MZ": "a Windows program",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"GGUF": "a GGUF model",
    b"PAR1": "a Parquet table",
    b"#!": "a script",
}
_SUFFIXES = {
    ".safetensors": Kind.SAFETENSORS,
    ".pt": Kind.TORCH_ZIP,
    ".pth": Kind.TORCH_ZIP,
    ".bin": Kind.TORCH_ZIP,
    ".json": Kind.JSON,
    ".py": Kind.CONFIG,
    ".model": Kind.SENTENCEPIECE,
}


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file opened for reading, and its size in bytes.

    Raises:
        RefusedError: missing, a link, not a regular file, empty or too large.
    """
    try:
        # Without O_NONBLOCK, opening a fifo would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise RefusedError(
                Reason.SYMLINK, "is a symbolic link: name the file itself"
            ) from error
        if not os.path.lexists(path):
            raise RefusedError(Reason.MISSING, "does not exist") from error
        raise RefusedError(Reason.NOT_A_FILE, f"cannot be opened: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise RefusedError(Reason.NOT_A_FILE, "is not a regular file")
    with open(descriptor, "rb") as stream:
        if status.st_size == 0:
            raise RefusedError(Reason.EMPTY, "is empty")
        if status.st_size > limits.file_bytes:
            raise RefusedError(
                Reason.TOO_LARGE,
                f"has {status.st_size:,} bytes; at most {limits.file_bytes:,} are read",
            )
        yield stream, status.st_size


def sniff(path: Path, stream: IO[bytes]) -> Kind:
    """The kind that a file's name and first bytes agree on; leaves the stream at its start.

    Raises:
        RefusedError: a kind that is not read, or contents of another kind than the name says.
    """
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise RefusedError(
            Reason.LFS_POINTER,
            "is a Git-LFS pointer, not the file itself: fetch it with `git lfs pull`",
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise RefusedError(
            Reason.HTML_PAGE, "is a web page, probably an error page saved instead of the file"
        )
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise RefusedError(
            Reason.UNKNOWN_KIND,
            f"is of a kind that is not read; read are {', '.join(sorted(_SUFFIXES))}",
        )
    found = _foreign(head)
    if found:
        raise RefusedError(Reason.WRONG_KIND, f"is {found}, not what its name says")
    return _check_agreement(kind, head)


def _foreign(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return "a tar archive"
    # A safetensors file may begin with any two bytes: its header's length.
    if _is_safetensors(head):
        return ""
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and head[6:8] == b"\0\0"


def _check_agreement(kind: Kind, head: bytes) -> Kind:
    match kind:
        case Kind.TORCH_ZIP:
            if _is_safetensors(head):
                raise RefusedError(
                    Reason.WRONG_KIND, "is a safetensors file: give it the ending .safetensors"
                )
            return Kind.TORCH_ZIP if head.startswith(_ZIP) else Kind.TORCH_LEGACY
        case Kind.SENTENCEPIECE if not head.startswith(b"\x0a"):
            raise RefusedError(Reason.WRONG_KIND, "is not a SentencePiece model")
        case _ if head.startswith(_ZIP):
            raise RefusedError(Reason.WRONG_KIND, "is a zip archive, not what its name says")
        case _:
            return kind
