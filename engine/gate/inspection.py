"""The gate itself: `inspect` says whether a file may be loaded, `to_safetensors` makes it so.

No tensor of a foreign file enters the calling process: its header is parsed here, its values are
read in a sandbox.
"""

import tempfile
from pathlib import Path
from typing import IO

from engine.gate import sandbox
from engine.gate.files import opened, sniff
from engine.gate.formats.archives import check_archive
from engine.gate.formats.header import check_expected, read_header
from engine.gate.formats.pickles import check_legacy
from engine.gate.formats.texts import check_text
from engine.gate.sandbox import Allowance
from engine.gate.verdict import (
    Expected,
    Kind,
    Limits,
    Reason,
    RefusedError,
    TensorEntry,
    Verdict,
    quoted,
    refused,
)
from engine.records.manifest import file_sha256

_MB = 1_000_000
# What a small file may cost above the imports; a hostile one is given up after these seconds.
_BASE_MEMORY, _BASE_SECONDS = 512 * _MB, 1
_BYTES_A_SECOND = 50 * _MB


def inspect(
    path: Path,
    *,
    expected_sha256: str | None = None,
    expected: Expected | None = None,
    limits: Limits = Limits(),
) -> Verdict:
    """Whether a file may be loaded: steps 1 to 7 of reliability.md §4.4; it is not changed.

    A torch file is converted, in the system's folder for temporary files, and the result checked.

    Args:
        expected_sha256: what a catalogue says of the file.
        expected: what a model wants of it; see `Expected`.
    """
    with tempfile.TemporaryDirectory(prefix="gate-") as room:
        verdict, _ = examine(
            path, Path(room), expected_sha256=expected_sha256, expected=expected, limits=limits
        )
    return verdict


def to_safetensors(path: Path, workdir: Path, *, limits: Limits = Limits()) -> Path:
    """A torch file as a checked safetensors file in `workdir`; a safetensors file as it is.

    The new file is named after the hash of the torch file. Nested dictionaries become dotted names
    (`ema.blocks.0.weight`); what is no tensor is left out and named in the metadata.

    Raises:
        ValueError: the file is refused, `reason: sentence`, or is of a kind without weights.
    """
    with tempfile.TemporaryDirectory(prefix=".gate-", dir=workdir) as room:
        verdict, weights = examine(path, Path(room), limits=limits)
        accepted = _accepted_weights(verdict, weights)
        if accepted == path:
            return path
        return accepted.rename(workdir / f"{verdict.sha256}.safetensors")


def _accepted_weights(verdict: Verdict, weights: Path | None) -> Path:
    """The weights of an accepted file; ValueError for any other."""
    if not verdict.accepted:
        raise ValueError(f"{verdict.reason}: {verdict.sentence}")
    if weights is None:
        raise ValueError(f"{verdict.path.name} holds no weights")
    return weights


def examine(
    path: Path,
    room: Path,
    *,
    expected_sha256: str | None = None,
    expected: Expected | None = None,
    limits: Limits = Limits(),
) -> tuple[Verdict, Path | None]:
    """The verdict, and for accepted weights the safetensors file that holds them.

    That file is `path` itself or a conversion in `room`, an existing folder.
    """
    try:
        kind, sha256 = _check_file(path, expected_sha256, limits)
        weights = _weights(path, kind, room, limits)
        tensors = {}
        if weights is not None:
            tensors = _check_tensors(weights, expected, limits)
            _check_values(weights, room, limits)
    except RefusedError as refusal:
        return refused(path, refusal), None
    return Verdict(path=path, accepted=True, kind=kind, sha256=sha256, tensors=tensors), weights


def _check_file(path: Path, expected_sha256: str | None, limits: Limits) -> tuple[Kind, str]:
    """Steps 1 to 4: kind and hash."""
    with opened(path, limits) as (stream, size):
        kind = sniff(path, stream)
        _check_structure(kind, path, stream, size, limits)
    sha256 = file_sha256(path)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise RefusedError(
            Reason.WRONG_HASH,
            f"has the hash {sha256[:12]}…, not {quoted(expected_sha256[:12])}: it was changed, or"
            " its download is damaged",
        )
    return kind, sha256


def _check_structure(kind: Kind, path: Path, stream: IO[bytes], size: int, limits: Limits) -> None:
    match kind:
        case Kind.SAFETENSORS:
            read_header(stream, size, limits)
        case Kind.TORCH_ZIP:
            check_archive(stream, size, limits)
        case Kind.TORCH_LEGACY:
            check_legacy(stream, limits)
        case _:
            check_text(kind, path.name, stream, size, limits)


def _weights(path: Path, kind: Kind, room: Path, limits: Limits) -> Path | None:
    """The safetensors file of a file of weights: itself, or what the converter makes of it."""
    if kind == Kind.SAFETENSORS:
        return path
    if kind not in (Kind.TORCH_ZIP, Kind.TORCH_LEGACY):
        return None
    target = room / f"{path.stem}.safetensors"
    sandbox.run(
        "engine.gate.converter",
        [str(path.resolve()), str(target.resolve()), limits.to_text()],
        room=room.resolve(),
        allowance=_allowance(path, copies=3),
    )
    return target


def _check_tensors(
    weights: Path, expected: Expected | None, limits: Limits
) -> dict[str, TensorEntry]:
    """Step 5; the converter's work is read like any foreign file."""
    with opened(weights, limits) as (stream, size):
        tensors = read_header(stream, size, limits)
    if expected is not None:
        check_expected(tensors, expected)
    return tensors


def _check_values(weights: Path, room: Path, limits: Limits) -> None:
    """Steps 6 and 7."""
    sandbox.run(
        "engine.gate.formats.values",
        [str(weights.resolve()), limits.to_text()],
        room=room.resolve(),
        allowance=_allowance(weights, copies=1),
    )


def _allowance(path: Path, *, copies: int) -> Allowance:
    size = path.stat().st_size
    return Allowance(
        memory_bytes=_BASE_MEMORY + copies * size,
        cpu_seconds=_BASE_SECONDS + copies * size // _BYTES_A_SECOND,
        file_bytes=copies * size + 100 * _MB,
    )
