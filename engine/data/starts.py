"""Start frames: rendered once, so that imagination needs no simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.protocols import Env, StatefulEnv
from engine.records.types import Trajectory
from engine.seeding import numpy_generator

FIRST_KEY_FRAME = 2**32


@dataclass(frozen=True)
class Starts:
    """First frames of a task.

    Attributes:
        task: name of the task record.
        start_ids: int64 [n].
        frames: uint8 [n, h, w, 3].
        origins: of key frames, the episode and the frame each was taken from, `episode@frame`.
        states: float32 [n, 10] as `StatefulEnv` says them; None where nobody knows.
    """

    task: str
    start_ids: npt.NDArray[np.int64]
    frames: npt.NDArray[np.uint8]
    origins: tuple[str, ...] = ()
    states: npt.NDArray[np.float32] | None = None

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
    frames, states = [], []
    for start_id in start_ids:
        env.reset(start_id)
        frames.append(env.render())
        if isinstance(env, StatefulEnv):
            states.append(env.state())
    return Starts(
        task=env.task.name,
        start_ids=np.array(start_ids, dtype=np.int64),
        frames=np.stack(frames),
        states=np.stack(states) if states else None,
    )


def key_frames(episodes: Sequence[Trajectory], num_starts: int, seed: int) -> Starts:
    """Frames of stored episodes to begin from: any before the success, drawn without replacement.

    Their ids are numbers of their own, beyond every pool: many frames share a start.

    Raises:
        ValueError: there are no episodes.
    """
    if not episodes:
        raise ValueError("key frames need at least one stored episode")
    places = [(e, frame) for e in episodes for frame in range(e.outcome.end_step)]
    order = numpy_generator(seed, "key frames").permutation(len(places))[:num_starts]
    chosen = [places[index] for index in order]
    return Starts(
        task=episodes[0].task,
        start_ids=FIRST_KEY_FRAME + order.astype(np.int64),
        frames=np.stack([episode.frames[frame] for episode, frame in chosen]),
        origins=tuple(f"{episode.id}@{frame}" for episode, frame in chosen),
        states=_states(chosen),
    )


def _states(chosen: Sequence[tuple[Trajectory, int]]) -> npt.NDArray[np.float32] | None:
    if not all("states" in episode.arrays for episode, _ in chosen):
        return None
    return np.stack([episode.arrays["states"][frame] for episode, frame in chosen])


def save_starts(path: Path, starts: Starts) -> None:
    """Write a compressed `.npz`, its folder too where there is none."""
    arrays: dict[str, Any] = {"start_ids": starts.start_ids, "frames": starts.frames}
    if starts.states is not None:
        arrays["states"] = starts.states
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        np.savez_compressed(stream, task=np.array(starts.task), **arrays)


def load_starts(path: Path) -> Starts:
    """Read what `save_starts` wrote.

    Raises:
        ValueError: no such file, or not a file of starts.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of starts {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Starts(
                task=str(archive["task"]),
                start_ids=archive["start_ids"],
                frames=archive["frames"],
                states=archive["states"] if "states" in archive.files else None,
            )
    except (KeyError, OSError) as error:
        raise ValueError(f"{path.name} is not a file of starts: {error}") from error
