"""Step 3 for torch files: the zip archive around the pickle and the storages, before torch."""

import io
import stat
import struct
import zipfile
from typing import IO

from engine.gate.formats.pickles import check_pickle
from engine.gate.verdict import Limits, Reason, RefusedError, quoted

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
# A directory of this size lists 40,000 members of torch's; Python needs a second to read it.
_MOST_DIRECTORY_BYTES = 6_000_000
_OVERHEAD = 1.05


def check_archive(stream: IO[bytes], size: int, limits: Limits) -> None:
    """Whether a zip of torch's is stored as torch stores it, and what its pickle asks for.

    Raises:
        RefusedError: not such an archive, one that expands, names that lead out of it, or an unsafe
            pickle.
    """
    _check_directory_size(stream, size)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            _check_members(members, size, limits)
            [pickle] = [member for member in members if _is_pickle(member)]
            if pickle.file_size > limits.pickle_bytes:
                raise RefusedError(
                    Reason.TOO_LARGE,
                    f"has a pickle of {pickle.file_size:,} bytes; {limits.pickle_bytes:,} are read",
                )
            check_pickle(io.BytesIO(archive.read(pickle)))
    except RefusedError:
        raise
    # zipfile raises all of these for damaged archives.
    except (zipfile.BadZipFile, ValueError, LookupError, OSError, EOFError, OverflowError,
            RuntimeError, struct.error) as error:  # fmt: skip
        raise RefusedError(Reason.BAD_ZIP, "is not a whole torch archive") from error


def _is_pickle(member: zipfile.ZipInfo) -> bool:
    """Whether some reader may take it for the pickle: not all of them tell apart large letters."""
    return member.filename.rpartition("/")[2].casefold() == "data.pkl"


def _check_directory_size(stream: IO[bytes], size: int) -> None:
    """The end records must be the last bytes: two readers then see the same directory."""
    records = _END64.size + _END64_LOCATOR.size + _END.size
    stream.seek(max(0, size - records))
    tail = stream.read(records)
    if tail[-_END.size :][:4] != b"PK\x05\x06":
        raise RefusedError(
            Reason.BAD_ZIP, "is not a whole torch archive: its directory is not at its end"
        )
    directory_bytes = _END.unpack(tail[-_END.size :])[5]
    # A reader that finds the wider record believes it, whatever the narrow one says.
    if tail[_END64.size :].startswith(b"PK\x06\x07"):
        if not tail.startswith(b"PK\x06\x06"):
            raise RefusedError(Reason.BAD_ZIP, "is not a whole torch archive")
        directory_bytes = max(directory_bytes, _END64.unpack(tail[: _END64.size])[8])
    if directory_bytes > _MOST_DIRECTORY_BYTES:
        raise RefusedError(Reason.TOO_MANY_TENSORS, "lists more members than weights can need")


def _check_members(members: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    names = [member.filename for member in members]
    if len(names) > 2 * limits.tensors:
        raise RefusedError(Reason.TOO_MANY_TENSORS, f"lists {len(names):,} members")
    if len({name.casefold() for name in names}) < len(names):
        raise RefusedError(Reason.DUPLICATE_KEY, "lists a member twice")
    for member in members:
        _check_member(member)
    total = sum(member.file_size for member in members)
    if total > _OVERHEAD * size:
        raise RefusedError(
            Reason.EXPANDS, f"says that its members have {total:,} bytes, more than the whole file"
        )
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise RefusedError(Reason.TORCHSCRIPT, "is a TorchScript program; only weights are read")
    pickles = [member.filename for member in members if _is_pickle(member)]
    if not pickles:
        raise RefusedError(Reason.BAD_ZIP, "is a zip archive, but not one that torch.save writes")
    if len(pickles) > 1:
        raise RefusedError(
            Reason.BAD_ZIP, f"holds {len(pickles)} pickles, and readers differ about which counts"
        )
    if pickles[0].count("/") != 1:
        raise RefusedError(Reason.BAD_ZIP, "keeps its pickle where torch.save puts none")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    if (
        name.startswith("/")
        or "\\" in name
        or not name.isprintable()
        or {"", "..", "."} & set(name.split("/"))
        or ":" in name.split("/")[0]
    ):
        raise RefusedError(Reason.BAD_NAME, f"has a member with the name {quoted(name)}")
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise RefusedError(
            Reason.COMPRESSED_ENTRY,
            f"has a compressed member, {quoted(name)}; torch.save compresses nothing",
        )
    if member.flag_bits & 0x1:
        raise RefusedError(Reason.BAD_ZIP, "is encrypted")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise RefusedError(Reason.SYMLINK, f"has a member, {quoted(name)}, that is a symbolic link")
