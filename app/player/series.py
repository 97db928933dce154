"""What was measured along an episode, as curves for the strips under its video."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.records.episodes import latent_drift
from engine.records.types import Trajectory

# Shown in strips of their own, or not numbers along the episode.
ELSEWHERE = (
    *("window_ends", "window_probabilities", "real_probabilities"),
    *("overridden", "latents"),
)


def chunk_size(trajectory: Trajectory, *, default: int = 8) -> int:
    """Actions decided at once: known from the tokens, one row of them per chunk."""
    tokens = trajectory.arrays.get("tokens")
    if tokens is None or not len(tokens):
        return default
    return max(1, len(trajectory.actions) // len(tokens))


def human_steps(trajectory: Trajectory) -> list[bool]:
    """Which actions a person chose, or an empty list where the policy chose all."""
    overridden = trajectory.arrays.get("overridden")
    if overridden is None:
        return []
    return [bool(np.any(step)) for step in overridden]


def lines(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Curves {name, frames, values}: every array of one number per frame, action or chunk.

    A job adds a strip by storing such an array under the name that it is to have on the screen.
    """
    shown = [
        {"name": name, "frames": frames, "values": np.asarray(values, np.float64).round(4).tolist()}
        for name, values in sorted(trajectory.arrays.items())
        if name not in ELSEWHERE and (frames := _frames(trajectory, values)) is not None
    ]
    latents = trajectory.arrays.get("latents")
    if latents is not None and np.ndim(latents) == 4:
        drift = latent_drift(latents).round(4).tolist()
        shown.append({"name": "drift", "frames": list(range(len(drift))), "values": drift})
    return shown


def _frames(trajectory: Trajectory, values: npt.NDArray[Any]) -> list[float] | None:
    """At which frame each value stands; None for an array that is no such curve."""
    if np.ndim(values) != 1 or not np.issubdtype(values.dtype, np.floating):
        return None
    if not np.isfinite(values).all():
        return None
    steps, chunk = len(trajectory.actions), chunk_size(trajectory)
    if len(values) == steps + 1:
        return list(range(steps + 1))
    if len(values) == steps:
        return [step + 0.5 for step in range(steps)]
    if len(values) == -(-steps // chunk):
        return [min(steps, (index + 0.5) * chunk) for index in range(len(values))]
    return None
