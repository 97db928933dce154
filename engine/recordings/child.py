"""In the gate's sandbox: strangers' recordings are opened and decoded here, and nowhere else.

What comes out lies in the room: `description.json` and a film strip a camera, or for each episode
an .npy of frames that are cropped, turned and resized already, and one of actions, which comes
last. Who asked reads them with distrust, while the next ones are made.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.gate.formats.hdf5 import NotPlainError
from engine.recordings.description import DESCRIPTION, ENOUGH, Array, Source, describe
from engine.recordings.lerobot import LARGEST_PICTURE
from engine.recordings.plan import RecordingPlan, shaped_actions, turned
from engine.recordings.source import open_source
from engine.recordings.video import glimpses

STRIP_HEIGHT, STRIP_FRAMES = 96, 8
UNREAD_BYTES, MOST_UNREAD, PAUSE_SECONDS = 128 * 2**20, 512, 0.01
PASSED_OVER = ("__MACOSX/", ".git")


def main(arguments: list[str]) -> dict[str, Any]:
    """What the first argument says, with the others; {} or {sentence}."""
    word, *others = arguments
    try:
        WORDS[word](*others)
    except NotPlainError as wrong:
        return {"sentence": ": ".join(map(str, wrong.args))}
    except (ValueError, OSError) as error:
        return {"sentence": str(error)[:2_000]}
    return {}


def tell(path: str, filter_key: str, room: str) -> None:
    """Describe a dataset, with a film strip of each camera and the names of its episodes."""
    source = open_source(Path(path), filter_key=filter_key)
    found = describe(source).to_dict()
    found["strips"] = [_strip(source, view["name"], Path(room), number)
                       for number, view in enumerate(found["views"])]  # fmt: skip
    (Path(room) / DESCRIPTION).write_text(json.dumps(found), encoding="utf-8")


def read(path: str, filter_key: str, plan: str, ranges: str, room: str) -> None:
    """Decode ranges of episodes; while much is there that nobody has read yet, wait."""
    source, wanted = open_source(Path(path), filter_key=filter_key), json.loads(plan)
    settled = RecordingPlan.from_dict(wanted)
    for index in chain.from_iterable(range(*ends) for ends in json.loads(ranges)):
        count = source.num_frames(index)
        kept = 1 + (count - 1) // settled.stride
        cut = source.frames(index, settled.camera, settled.cut)
        shaped = (turned(frame, settled.turn) for frame in islice(cut, kept))
        frames = _stacked(shaped, kept, settled.size)
        actions = shaped_actions(settled, source.actions(index), count)
        if _waited(Path(room), min(MOST_UNREAD, UNREAD_BYTES // frames.nbytes)):
            return
        np.save(Path(room) / f"{index}.frames.npy", frames)
        np.save(Path(room) / "actions.npy", actions)
        (Path(room) / "actions.npy").rename(Path(room) / f"{index}.actions.npy")


def unpack(path: str, largest: str, room: str) -> None:
    """A zip's files below `room/files`, but for what systems put beside them."""
    target, limit = Path(room) / "files", int(largest)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir()
                and not any(part.startswith(PASSED_OVER) for part in _parts(member.filename))
            ]
            if sum(member.file_size for member in members) > limit:
                raise ValueError(f"it unpacks to more than {limit // 2**20} MB")
            for member in members:
                archive.extract(member, target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is damaged, or no zip: {error}") from error


def show(path: str, room: str) -> None:
    """A photograph, or frames of a video from its begin to its end, side by side."""
    try:
        with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as image:
            if image.width * image.height > LARGEST_PICTURE:
                raise ValueError(f"{image.height}×{image.width} is too large")
            frames = [np.asarray(ImageOps.exif_transpose(image).convert("RGB"))]
    except UnidentifiedImageError:
        frames = glimpses(Path(path), STRIP_FRAMES)
    _save_strip(frames, Path(room) / "strip-0.png")


WORDS: dict[str, Callable[..., None]] = {
    "tell": tell, "read": read, "unpack": unpack, "show": show
}  # fmt: skip


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    return [f"{part}/" if at < len(parts) - 1 else part for at, part in enumerate(parts)]


def _waited(room: Path, most: int) -> bool:
    """Wait until few enough are there that nobody has read; whether nobody reads on."""
    while not (enough := (room / ENOUGH).exists()) and len(list(room.glob("*.frames.npy"))) > most:
        time.sleep(PAUSE_SECONDS)
    return enough


def _stacked(frames: Iterator[Array], count: int, size: int) -> Array:
    found = np.empty((count, size, size, 3), np.uint8)
    number = -1
    for number, frame in enumerate(frames):
        found[number] = frame
    if number + 1 != count:
        raise ValueError(f"there are {number + 1} frames where {count} were said to be")
    return found


def _strip(source: Source, view: str, room: Path, number: int) -> str:
    """A file with frames of the first episode side by side, from its begin to its end."""
    last = source.num_frames(0) - 1
    wanted = {round(at) for at in np.linspace(0, last, STRIP_FRAMES)}
    frames = [frame for at, frame in enumerate(source.frames(0, view)) if at in wanted]
    name = f"strip-{number}.png"
    _save_strip(frames, room / name)
    return name


def _save_strip(frames: list[Array], path: Path) -> None:
    found = []
    for frame in frames:
        width = max(1, round(frame.shape[1] * STRIP_HEIGHT / frame.shape[0]))
        image = Image.fromarray(frame).resize((width, STRIP_HEIGHT), Image.Resampling.BOX)
        found.append(np.asarray(image))
    Image.fromarray(np.concatenate(found, axis=1)).save(path)
