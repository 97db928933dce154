"""First frames of dreams: shipped, rendered by the simulator, uploaded, or taken from episodes."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.live.simulator import Simulator
from app.player.media import encode, fit
from engine.config import Config, knob
from engine.data.starts import load_starts
from engine.dream.replay import start_hash
from engine.records.tasks import POOLS, Task, get_task

Frame = npt.NDArray[np.uint8]

SMALLEST, LARGEST = 16, 4096  # sides of an uploaded image, in pixels
KEPT_SIDE = 512  # an upload is kept up to this size: which models will see it is not known yet
PICTURES = "pictures"  # where frames that no start id of the task gives are kept, by their hash


@dataclass(frozen=True, kw_only=True)
class Shipped(Config):
    """Shipped starts."""

    task: str | None = knob(None, "of this task; without one of the first")


@dataclass(frozen=True, kw_only=True)
class FindStarts(Config):
    """A page of a pool."""

    pool: str = knob(help="of starts", choices=tuple(POOLS))
    offset: int = knob(0, "so many are left out", low=0, high=2**31)
    limit: int = knob(24, "at most so many", low=1, high=64)
    task: str | None = knob(None, "of this task; without one that of the shipped starts")


class Starts:
    """The start frames a dream can begin from.

    Args:
        shipped: a folder of files as `engine.data.starts.save_starts` writes them, one a task.
        kept: a directory for frames made here: rendered ones by task and start id, others by hash.
    """

    def __init__(self, shipped: Path, kept: Path, simulator: Simulator) -> None:
        files = [load_starts(path) for path in sorted(shipped.glob("*.npz"))]
        self._frames: dict[str, dict[int, Frame]] = {
            starts.task: dict(zip(starts.start_ids.tolist(), starts.frames, strict=True))
            for starts in files
        }
        self._task = get_task(next(iter(self._frames), "coffee-push"))
        self._kept = kept
        self._simulator = simulator
        self._rendering = threading.Lock()
        self._usual: dict[str, float] = {}
        self._listed = {
            task: [_listed(start_id, frame) for start_id, frame in frames.items()]
            for task, frames in self._frames.items()
        }

    @property
    def task(self) -> Task:
        """The first task with shipped starts."""
        return self._task

    def shipped(self, question: Shipped) -> dict[str, list[dict[str, Any]]]:
        """{starts}: the shipped ones, {start_id, label, image}, image a PNG data URI."""
        task = get_task(question.task) if question.task else self._task
        return {"starts": list(self._listed.get(task.name, ()))}

    def find(self, question: FindStarts) -> dict[str, Any]:
        """What `pool` gives, rendered as it is asked for."""
        task = get_task(question.task) if question.task else None
        return self.pool(question.pool, offset=question.offset, limit=question.limit, task=task)

    def pool(
        self, pool: str, *, offset: int, limit: int, task: Task | None = None
    ) -> dict[str, Any]:
        """A page of a pool of a task, by default that of the shipped starts:
        {pool, total, offset, starts, missing}.

        Without a simulator only starts that are shipped or were rendered before are there, and
        `missing` says so in a sentence.

        Raises:
            ValueError: there is no such pool.
        """
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, not {pool!r}")
        ids, task = POOLS[pool], task or self._task
        missing = self._missing(task)
        if missing:
            known = [start_id for start_id in self._known_ids(task) if start_id in ids]
            page, total = known[offset : offset + limit], len(known)
        else:
            page, total = list(ids[offset : offset + limit]), len(ids)
        return {
            "pool": pool,
            "total": total,
            "offset": offset,
            "starts": [_listed(start_id, self.frame(task, start_id)) for start_id in page],
            "missing": missing,
        }

    def add_upload(self, image: object) -> int:
        """Keep the middle square of an image; its (negative) start id.

        The id is a hash of the pixels: the same image is the same start. Models see it at their
        own size, which `frame` is told.

        Raises:
            ValueError: not an image, or one too small or too large.
        """
        frame = _as_frame(image)
        return self.keep(fit(frame, min(*frame.shape[:2], KEPT_SIDE)))

    def keep(self, frame: Frame) -> int:
        """Keep any frame as a start, for good; its (negative) start id."""
        digest = start_hash(frame)
        _write_png(self._kept / PICTURES / f"{digest}.png", frame)
        return -1 - int(digest[:12], 16)  # exact as a number in JavaScript

    def warning(self, start_id: int, task: str = "") -> str:
        """Empty, or a sentence if a kept picture is unlike what models of a task have seen.

        Known are only the shipped starts, of their own task.
        It is unlike them if its root mean square distance to the nearest is more than twice the
        largest that any of them has to its own nearest.
        """
        frame = self.known(self._task, start_id)
        task = task or self._task.name
        shipped = list(self._frames.get(task, {}).values())
        if start_id >= 0 or frame is None or len(shipped) < 2:
            return ""
        others = np.stack(shipped).astype(np.float32)
        if task not in self._usual:
            self._usual[task] = _usual_distance(others)
        usual = self._usual[task]
        frame = _at_side(frame, others.shape[1])
        distance = float(_distances(others, frame).min())
        if distance <= 2 * usual:
            return ""
        return (
            f"this picture is {distance:.0f} grey levels away from the nearest shipped start, and "
            f"those are within {usual:.0f} of each other: the models have seen nothing like it"
        )

    def known(self, task: Task, start_id: int) -> Frame | None:
        """The frame of a start that needs no simulator, uint8 [h, w, 3]."""
        if start_id < 0:
            found = sorted((self._kept / PICTURES).glob(f"{-1 - start_id:012x}*.png"))
            return _read_png(found[0]) if found else None
        if (shipped := self._frames.get(task.name, {}).get(start_id)) is not None:
            return shipped
        path = self._rendered(task, start_id)
        return _read_png(path) if path.is_file() else None

    def frame(self, task: Task, start_id: int, side: int | None = None) -> Frame:
        """The first frame of a start, rendered where need be.

        Args:
            side: of what the models see, in pixels; a kept picture is fitted to it.

        Raises:
            ValueError: an upload that is gone, or no simulator of the task on this machine.
        """
        known = self.known(task, start_id)
        if known is not None:
            return known if start_id >= 0 else _at_side(known, side or task.image_size)
        if start_id < 0:
            raise ValueError("the uploaded image is gone: upload it again")
        if missing := self._missing(task):
            raise ValueError(f"start {start_id} is not among the shipped ones, and {missing}")
        with self._rendering:
            frame = self._simulator.frame(task, start_id)
            _write_png(self._rendered(task, start_id), frame)
        return frame

    def by_hash(self, digest: str) -> Frame | None:
        """The kept or shipped frame of a hash (`engine.dream.replay.start_hash`)."""
        path = self._kept / PICTURES / f"{digest}.png"
        if path.is_file():
            return _read_png(path)
        frames = (frame for shipped in self._frames.values() for frame in shipped.values())
        return next((frame for frame in frames if start_hash(frame) == digest), None)

    def _rendered(self, task: Task, start_id: int) -> Path:
        return self._kept / task.name / f"{start_id}.png"

    def _missing(self, task: Task) -> str:
        """Empty when starts of a task can be rendered, else one sentence."""
        if not task.simulator:
            return f"there is no simulator of {task.name} here: upload an image to start from"
        return self._simulator.missing

    def _known_ids(self, task: Task) -> list[int]:
        rendered = [int(path.stem) for path in (self._kept / task.name).glob("*.png")]
        return sorted({*rendered, *self._frames.get(task.name, ())})


def _usual_distance(frames: npt.NDArray[np.float32]) -> float:
    """The largest distance of a frame to the nearest other one."""
    nearest = [
        np.delete(_distances(frames, frame), number).min() for number, frame in enumerate(frames)
    ]
    return float(max(nearest))


def _at_side(frame: Frame, side: int) -> Frame:
    """A square picture at a size in pixels; as it is where it has that size."""
    return frame if frame.shape[:2] == (side, side) else fit(frame, side)


def _distances(frames: npt.NDArray[np.float32], frame: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Root mean square distance of each frame [n, h, w, 3] to one, in grey levels."""
    result: npt.NDArray[np.float32] = np.sqrt(np.square(frames - frame).mean(axis=(1, 2, 3)))
    return result


def _listed(start_id: int, frame: Frame) -> dict[str, Any]:
    return {
        "start_id": start_id,
        "label": f"start {start_id:,}",
        "image": encode(frame, format="png"),
    }


def _read_png(path: Path) -> Frame:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _write_png(path: Path, frame: Frame) -> None:
    """Write a frame exactly; a file appears whole or not at all."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as directory:
        partial = Path(directory) / path.name
        Image.fromarray(frame).save(partial, "PNG")
        partial.replace(path)


def _as_frame(image: object) -> Frame:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError("that is no image: upload a PNG, JPEG or WebP picture")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ValueError("that is no image: upload a PNG, JPEG or WebP picture")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        raise ValueError(
            f"an image must have {SMALLEST} to {LARGEST} pixels a side, not {width} x {height}"
        )
    return np.ascontiguousarray(image[..., :3])
