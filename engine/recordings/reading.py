"""Recordings of strangers, read through the gate's sandbox: described, and shaped by batches."""

import hashlib
import json
import math
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.gate import sandbox
from engine.gate.formats.arrays import read_npy
from engine.gate.verdict import RefusedError
from engine.recordings.description import DESCRIPTION, Array, Description
from engine.recordings.plan import RecordingPlan

MEMORY, CPU_SECONDS, FILE_BYTES = 2**31, 600, 2**31
UNPACKED = 64 * 2**30
CHILD = "engine.recordings.child"  # never imported here: it brings every decoder with it
DECODERS = 2  # processes at once; one more batch waits, so that none of them ever does
BATCH_BYTES, LEAST_IN_BATCH, MOST_IN_BATCH = 384 * 2**20, 32 * 2**20, 512
LOOK_SECONDS = 0.02
SHAPED = ("frames", "actions")
LARGEST_DESCRIPTION = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Found:
    """A dataset as it was described.

    Attributes:
        path: the file or folder itself, unpacked where it came as a zip.
        name: what its episodes are named after.
        revision: hash of the names, sizes and times of its files' contents.
        strips: a PNG of each camera.
    """

    path: Path
    name: str
    revision: str
    description: Description
    strips: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording, shaped: one more frame than actions."""

    index: int
    frames: Array
    actions: Array


def find(path: Path, work: Path, *, filter_key: str = "", name: str = "") -> Found:
    """Describe a dataset; a zip is unpacked below `work`, once.

    Args:
        name: of an upload, whose path says nothing.

    Raises:
        ValueError: it cannot be used, in a sentence.
    """
    if not path.exists():
        raise ValueError(f"there is no file or folder {path.name}")
    place = _unpacked(path, work) if path.is_file() and _is_zip(path) else path.resolve()
    called = Path(name or path.name)
    label = called.stem if called.suffix.lower() in ENDINGS else called.name
    with tempfile.TemporaryDirectory(dir=work) as directory:
        room = Path(directory)
        _ask(["tell", str(place), filter_key, str(room)], room)
        said = _description(room)
        strips = tuple((room / _plain(strip)).read_bytes() for strip in said.pop("strips"))
    return Found(
        path=place,
        name=slug(label),
        revision=fingerprint(place),
        description=Description(**{**said, **_tuples(said)}),
        strips=strips,
    )


ENDINGS = (".zip", ".hdf5", ".h5", ".tar")


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Recordings that one process decodes into a room, and its end."""

    part: range
    room: "tempfile.TemporaryDirectory[str]"
    end: "Future[None]"


def recordings(
    found: Found, plan: RecordingPlan, work: Path, wanted: range, *, filter_key: str = ""
) -> Iterator[Recording]:
    """Episodes in order, each as soon as it is decoded; others are meanwhile.

    Raises:
        ValueError: one cannot be decoded, in a sentence.
    """
    words = [str(found.path), filter_key, json.dumps(plan.to_dict())]
    parts = deque(_batches(found, plan, wanted))
    waiting: deque[_Batch] = deque()
    with ThreadPoolExecutor(DECODERS) as decoders:
        try:
            while parts or waiting:
                while parts and len(waiting) <= DECODERS:
                    waiting.append(_begun(words, parts.popleft(), work, decoders))
                batch = waiting[0]
                for index in batch.part:
                    yield _recording(index, batch)
                waiting.popleft().room.cleanup()
        finally:
            decoders.shutdown(cancel_futures=True)
            for batch in waiting:
                batch.room.cleanup()


def slug(text: str) -> str:
    """Text as a part of an episode's id."""
    found = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in text)
    return found.strip("-")[:64] or "recordings"


def fingerprint(path: Path) -> str:
    """Hash of a dataset: of small files their content, of large ones their size and both ends."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path) if file != path else ''}\0{size}\0".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(1 << 16))
            if size > 1 << 17:
                stream.seek(-(1 << 16), os.SEEK_END)
            digest.update(stream.read(1 << 16))
    return digest.hexdigest()


def _batches(found: Found, plan: RecordingPlan, wanted: range) -> Iterator[range]:
    """Parts of what is wanted, each for one process: large ones, but several for two cores."""
    frame = 3 * plan.size * plan.size
    sizes = [frame * (1 + length // plan.stride) for length in found.description.lengths]
    total = sum(sizes[wanted.start : wanted.stop])
    rounds = max(2, math.ceil(total / BATCH_BYTES / DECODERS))  # all decoders end together
    most = max(LEAST_IN_BATCH, math.ceil(total / rounds / DECODERS))
    begin, weight = wanted.start, 0
    for index in wanted:
        if index > begin and (weight + sizes[index] > most or index - begin >= MOST_IN_BATCH):
            yield range(begin, index)
            begin, weight = index, 0
        weight += sizes[index]
    if wanted.stop > begin:
        yield range(begin, wanted.stop)


def _begun(words: list[str], part: range, work: Path, decoders: ThreadPoolExecutor) -> _Batch:
    room = tempfile.TemporaryDirectory(dir=work)
    command = ["read", *words, str(part.start), str(part.stop), room.name]
    return _Batch(part=part, room=room, end=decoders.submit(_ask, command, Path(room.name)))


def _ask(arguments: list[str], room: Path, *, file_bytes: int = FILE_BYTES) -> None:
    allowance = sandbox.Allowance(
        memory_bytes=MEMORY, cpu_seconds=CPU_SECONDS, file_bytes=file_bytes
    )
    try:
        answer = sandbox.run(CHILD, arguments, room=room, allowance=allowance)
    except RefusedError as refusal:
        raise ValueError(f"this dataset {refusal.sentence}") from refusal
    if "sentence" in answer:
        raise ValueError(str(answer["sentence"]))


def _description(room: Path) -> dict[str, Any]:
    path = room / DESCRIPTION
    if not path.is_file() or path.stat().st_size > LARGEST_DESCRIPTION:
        raise ValueError("this dataset made the process that read it answer nonsense")
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return said


def _tuples(said: dict[str, Any]) -> dict[str, Any]:
    plain = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    plain["histograms"] = tuple(tuple(counts) for counts in said["histograms"])
    return plain


def _plain(name: str) -> str:
    return Path(name).name


def _recording(index: int, batch: _Batch) -> Recording:
    """One recording as soon as it is there; the room is the child's, until it is read."""
    frames, actions = (Path(batch.room.name, f"{index}.{part}.npy") for part in SHAPED)
    while not actions.is_file():
        if batch.end.done():
            batch.end.result()
            if not actions.is_file():
                raise ValueError("this dataset made the process that read it answer nonsense")
        wait([batch.end], LOOK_SECONDS)
    found = Recording(index=index, frames=_array(frames), actions=_array(actions))
    frames.unlink()
    return found


def _array(path: Path) -> Array:
    """What a child wrote; no link is followed out of its room."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return read_npy(stream.read())


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _unpacked(path: Path, work: Path) -> Path:
    """The folder of a zip's files; one that is there already is whole."""
    target = work / f"unpacked-{fingerprint(path)[:16]}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=work) as directory:
            room = Path(directory)
            _ask(
                ["unpack", str(path.resolve()), str(UNPACKED), str(room)], room, file_bytes=UNPACKED
            )
            if not (room / "files").is_dir():
                raise ValueError("this zip is empty")
            (room / "files").rename(target)
    return target
