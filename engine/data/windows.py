"""Clips for world-model training (method.md §5), as indices into frames or into latents.

The clip that starts at s shows the world model what a rollout shows it: frame s is the current
observation, the context before it is padded by repeating frame 0, and frames s + 1 … s + k follow
actions s … s + k - 1. Actions after the end step are never used.
"""

import numpy as np
from jaxtyping import Int64


def clip_starts(end_step: int, chunk_size: int, *, stride: int = 1) -> Int64[np.ndarray, " b"]:
    """Start indices s = 0, stride, … ≤ end_step - k; none where the episode is shorter than k.

    Raises:
        ValueError: the chunk size or the stride is below 1.
    """
    if chunk_size < 1 or stride < 1:
        raise ValueError(f"chunk size {chunk_size} and stride {stride} must be at least 1")
    return np.arange(0, max(end_step - chunk_size + 1, 0), stride, dtype=np.int64)


def clip_frames(
    starts: Int64[np.ndarray, " b"],
    *,
    context_frames: int,
    chunk_size: int,
    anchored: bool = False,
) -> Int64[np.ndarray, "b t"]:
    """Indices of the t = c + k frames of each clip: s - c + 1 … s + k, negative ones set to 0.

    Anchored clips have frame 0 in the first place of their context.
    """
    offsets = np.arange(1 - context_frames, chunk_size + 1, dtype=np.int64)
    frames = np.maximum(starts[:, None] + offsets, 0)
    if anchored:
        frames[:, 0] = 0
    return frames


def clip_actions(starts: Int64[np.ndarray, " b"], *, chunk_size: int) -> Int64[np.ndarray, "b k"]:
    """Indices of the k actions of each clip: s … s + k - 1."""
    return starts[:, None] + np.arange(chunk_size, dtype=np.int64)
