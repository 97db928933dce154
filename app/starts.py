"""First frames of dreams: shipped ones, uploaded images, and what the simulator renders."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.media import encode, fit
from engine.data.starts import load_starts
from engine.tasks import Task, get_task

Frame = npt.NDArray[np.uint8]

SMALLEST, LARGEST = 16, 4096  # sides of an uploaded image, in pixels
KEPT = 256  # uploads and rendered frames remembered


def render_start(task: Task, start_id: int) -> Frame:
    """The first frame of a start, uint8 [h, w, 3], from the simulator.

    Raises:
        ValueError: rendering is impossible on this machine.
    """
    environment = import_module("engine.envs.factory").make_env(task)
    environment.reset(start_id)
    frame: Frame = environment.render()
    return frame


class Starts:
    """The start frames a dream can begin from.

    Args:
        shipped: a file as `engine.data.starts.save_starts` writes it; none are listed without it.
        render: makes the first frame of a start that is neither shipped nor uploaded.
    """

    def __init__(
        self, shipped: Path, *, render: Callable[[Task, int], Frame] = render_start
    ) -> None:
        self._task, self._frames = get_task("coffee-push"), {}
        if shipped.is_file():
            starts = load_starts(shipped)
            self._task = get_task(starts.task)
            self._frames = dict(zip(starts.start_ids.tolist(), starts.frames, strict=True))
        self._render = render
        self._made: OrderedDict[int, Frame] = OrderedDict()
        self._listed = [
            {
                "start_id": start_id,
                "label": f"start {start_id:,}",
                "image": encode(frame, format="png"),
            }
            for start_id, frame in self._frames.items()
        ]

    @property
    def task(self) -> Task:
        """The task of the shipped starts."""
        return self._task

    def shipped(self) -> list[dict[str, Any]]:
        """The shipped starts: {start_id, label, image}, image a PNG data URI."""
        return list(self._listed)

    def add_upload(self, image: object) -> int:
        """Keep the middle square of an image at the task's size; its (negative) start id.

        The id is a hash of the pixels: the same image is the same start.

        Raises:
            ValueError: not an image, or one too small or too large.
        """
        side = self._task.image_size
        frame = fit(_as_frame(image), side)
        digest = hashlib.sha256(frame.tobytes()).digest()
        start_id = -1 - int.from_bytes(digest[:6], "big")  # exact as a number in JavaScript
        self._remember(start_id, frame)
        return start_id

    def known(self, start_id: int) -> Frame | None:
        """The frame of a start that needs no simulator, uint8 [h, w, 3]."""
        return self._frames.get(start_id, self._made.get(start_id))

    def frame(self, task: Task, start_id: int) -> Frame:
        """The first frame of a start; rendered where need be, which belongs on one thread.

        Raises:
            ValueError: an upload that is gone, or no simulator on this machine.
        """
        known = self.known(start_id)
        if known is not None:
            return known
        if start_id < 0:
            raise ValueError("the uploaded image is gone: upload it again")
        frame = self._render(task, start_id)
        self._remember(start_id, frame)
        return frame

    def _remember(self, start_id: int, frame: Frame) -> None:
        self._made[start_id] = frame
        self._made.move_to_end(start_id)
        while len(self._made) > KEPT:
            self._made.popitem(last=False)


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
