"""Many stored episodes as flat arrays, so that a batch is one gather."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.records.episodes import list_episodes, read_episode
from engine.records.types import Trajectory
from engine.seeding import numpy_generator


@dataclass(frozen=True)
class EpisodeSet:
    """Frames and actions of episodes laid end to end.

    Attributes:
        episodes: the episodes without their frames' copies, in order of id.
        frames: uint8 [sum(t + 1), h, w, 3].
        first_frame: int64 [episodes]: where each episode's frame 0 is.
        lengths: int64 [episodes]: actions of each episode.
        end_steps: int64 [episodes].
        successes: bool [episodes].
    """

    episodes: tuple[Trajectory, ...]
    frames: npt.NDArray[np.uint8]
    first_frame: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    end_steps: npt.NDArray[np.int64]
    successes: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.episodes)


def episode_set(trajectories: Sequence[Trajectory]) -> EpisodeSet:
    """Lay trajectories end to end.

    Raises:
        ValueError: there is none.
    """
    if not trajectories:
        raise ValueError("there are no episodes to learn from")
    lengths = np.array([len(t.actions) for t in trajectories], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]).astype(np.int64)
    return EpisodeSet(
        episodes=tuple(trajectories),
        frames=np.concatenate([t.frames for t in trajectories]),
        first_frame=first,
        lengths=lengths,
        end_steps=np.array([t.outcome.end_step for t in trajectories], dtype=np.int64),
        successes=np.array([t.outcome.success for t in trajectories], dtype=bool),
    )


def set_aside(
    episodes: Sequence[Trajectory], count: int, seed: int, *, noun: str = "episodes"
) -> tuple[list[Trajectory], list[Trajectory]]:
    """(`count` episodes held out by the seed, those that are left).

    Raises:
        ValueError: none would be left.
    """
    if len(episodes) <= count:
        raise ValueError(f"{len(episodes)} {noun} are too few to keep {count} aside")
    order = numpy_generator(seed, "held out").permutation(len(episodes))
    held_out, left = ([episodes[i] for i in part] for part in np.split(order, [count]))
    return held_out, left


def load_episodes(runs: Sequence[str], *, limit: int | None = None) -> list[Trajectory]:
    """Episodes of run directories (or of folders of episode directories), by directory and id.

    Raises:
        ValueError: a directory without episodes; says which.
    """
    trajectories: list[Trajectory] = []
    for name in runs:
        directory = Path(name)
        root = directory / "episodes" if (directory / "episodes").is_dir() else directory
        found = list_episodes(root)
        if not found:
            raise ValueError(f"{name} holds no episodes")
        trajectories += [read_episode(path) for path in found[:limit]]
    return trajectories
