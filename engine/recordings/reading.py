"""Recordings of strangers, read through the gate's sandbox: described, and shaped by batches."""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.gate import sandbox
from engine.gate.formats.arrays import read_npy
from engine.gate.verdict import RefusedError
from engine.recordings.description import DESCRIPTION, ENOUGH, Array, Description
from engine.recordings.plan import RecordingPlan

MEMORY, CPU_SECONDS, FRAME_SECONDS, FILE_BYTES = 2**31, 600, 0.1, 2**31
UNPACKED = 64 * 2**30
CHILD = "engine.recordings.child"  # never imported here: it brings every decoder with it
DECODERS = 2  # processes at once
BLOCK_BYTES, MOST_IN_BLOCK = 32 * 2**20, 128
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
    """Blocks of recordings that one process decodes into a room, and its end."""

    blocks: list[range]
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
    lengths, frame = found.description.lengths, 3 * plan.size * plan.size
    parts = dealt([frame * (1 + length // plan.stride) for length in lengths], wanted)
    with ThreadPoolExecutor(DECODERS) as decoders:
        batches = []
        try:
            for blocks in parts:
                frames = sum(sum(lengths[block.start : block.stop]) for block in blocks)
                seconds = CPU_SECONDS + math.ceil(FRAME_SECONDS * frames)
                batches.append(_begun(words, blocks, work, decoders, seconds))
            for index in wanted:
                batch = next(one for one in batches if any(index in part for part in one.blocks))
                yield _recording(index, batch)
        finally:
            for batch in batches:
                Path(batch.room.name, ENOUGH).touch()
            decoders.shutdown(cancel_futures=True)
            for batch in batches:
                batch.room.cleanup()


def strip_of(path: Path, work: Path) -> bytes:
    """A PNG of a photograph, or of frames of a video side by side.

    Raises:
        ValueError: it is neither.
    """
    with tempfile.TemporaryDirectory(dir=work) as directory:
        room = Path(directory)
        _ask(["show", str(path.resolve()), str(room)], room)
        return (room / "strip-0.png").read_bytes()


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


def dealt(sizes: Sequence[int], wanted: range) -> list[list[range]]:
    """What is wanted of recordings of some sizes in bytes, a part for each process: blocks are
    dealt to them in turn, so that whoever reads them in order waits for none."""
    blocks = list(_blocks(sizes, wanted))
    return [blocks[decoder::DECODERS] for decoder in range(min(DECODERS, len(blocks)))]


def _blocks(sizes: Sequence[int], wanted: range) -> Iterator[range]:
    begin, weight = wanted.start, 0
    for index in wanted:
        if weight >= BLOCK_BYTES or index - begin >= MOST_IN_BLOCK:
            yield range(begin, index)
            begin, weight = index, 0
        weight += sizes[index]
    if wanted:
        yield range(begin, wanted.stop)


def _begun(
    words: list[str], blocks: list[range], work: Path, decoders: ThreadPoolExecutor, seconds: int
) -> _Batch:
    room = tempfile.TemporaryDirectory(dir=work)
    ranges = json.dumps([[block.start, block.stop] for block in blocks])
    command = ["read", *words, ranges, room.name]
    end = decoders.submit(_ask, command, Path(room.name), cpu_seconds=seconds)
    return _Batch(blocks=blocks, room=room, end=end)


def _ask(
    arguments: list[str],
    room: Path,
    *,
    file_bytes: int = FILE_BYTES,
    cpu_seconds: int = CPU_SECONDS,
) -> None:
    allowance = sandbox.Allowance(
        memory_bytes=MEMORY, cpu_seconds=cpu_seconds, file_bytes=file_bytes
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
