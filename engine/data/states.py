"""Simulator states stored beside frames: privileged, for training and measuring only."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.records.types import Trajectory

# Of "states" [t + 1, 10]: hand xyz, gripper opening, object xyz, goal xyz, in metres.
HAND, OBJECT, GOAL = slice(0, 3), slice(3, 6), slice(6, 9)
_COLUMNS = (0, 1, 2, 4, 5, 6, 7, 8, 9)
MOVING, FIXED = 6, 3

PRIVILEGED = "simulator states of hand, object and goal, in training only"


def states_of(episodes: Sequence[Trajectory]) -> npt.NDArray[np.float32]:
    """Hand, object and goal at every frame of episodes laid end to end, [sum(t + 1), 9].

    Raises:
        ValueError: an episode without states.
    """
    for episode in episodes:
        if "states" not in episode.arrays:
            raise ValueError(
                f"episode {episode.id} holds no simulator states: collect it in the simulator"
            )
    stored = [episode.arrays["states"][:, _COLUMNS] for episode in episodes]
    return np.concatenate(stored).astype(np.float32)
