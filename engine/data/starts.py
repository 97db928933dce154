"""Start frames: rendered once, so that imagination needs no simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.protocols import Env


@dataclass(frozen=True)
class Starts:
    """First frames of a task.

    Attributes:
        task: name of the task record.
        start_ids: int64 [n].
        frames: uint8 [n, h, w, 3].
    """

    task: str
    start_ids: npt.NDArray[np.int64]
    frames: npt.NDArray[np.uint8]

    def frame(self, start_id: int) -> npt.NDArray[np.uint8]:
        """The first frame of a start.

        Raises:
            LookupError: it is not among these.
        """
        [found] = np.nonzero(self.start_ids == start_id)
        if not len(found):
            raise LookupError(f"start {start_id} is not among the {len(self.start_ids)} known ones")
        return self.frames[found[0]]


def render_starts(env: Env, start_ids: Sequence[int]) -> Starts:
    """Reset to each start and take its first frame."""
    frames = []
    for start_id in start_ids:
        env.reset(start_id)
        frames.append(env.render())
    return Starts(env.task.name, np.array(start_ids, dtype=np.int64), np.stack(frames))


def save_starts(path: Path, starts: Starts) -> None:
    """Write a compressed `.npz`."""
    with path.open("wb") as stream:
        np.savez_compressed(
            stream, task=np.array(starts.task), start_ids=starts.start_ids, frames=starts.frames
        )


def load_starts(path: Path) -> Starts:
    """Read what `save_starts` wrote.

    Raises:
        ValueError: no such file, or not a file of starts.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of starts {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Starts(str(archive["task"]), archive["start_ids"], archive["frames"])
    except (KeyError, OSError) as error:
        raise ValueError(f"{path.name} is not a file of starts: {error}") from error
