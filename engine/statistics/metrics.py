"""How close imagined frames are to real ones: PSNR and SSIM of each frame.

Depth is the index of a frame in its rollout: frame d has seen d actions. Frames are uint8
[…, h, w, 3] in [0, 255].
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from engine.libraries import from_library

PERFECT_DB = 100.0
GAUSSIAN_SIGMA = 1.5


def psnr(
    frames: UInt8[np.ndarray, "*b h w c"], reference: UInt8[np.ndarray, "*b h w c"]
) -> Float[np.ndarray, "*b"]:
    """Peak signal-to-noise ratio of each frame in dB; equal frames give 100, not infinity."""
    difference = frames.astype(np.float64) - reference
    error = np.mean(difference**2, axis=(-3, -2, -1))
    floor = 255.0**2 / 10.0 ** (PERFECT_DB / 10.0)
    return 10.0 * np.log10(255.0**2 / np.maximum(error, floor))


def ssim(
    frames: UInt8[np.ndarray, "*b h w c"], reference: UInt8[np.ndarray, "*b h w c"]
) -> Float[np.ndarray, "*b"]:
    """Structural similarity of each frame in [-1, 1], Gaussian window of sigma 1.5 (Wang 2004).

    Raises:
        ValueError: frames smaller than the window of 11 pixels.
    """
    *batch, height, width, channels = frames.shape
    if min(height, width) < 11:
        raise ValueError(f"SSIM needs frames of at least 11 x 11 pixels, not {height} x {width}")
    similarity = from_library("skimage.metrics", "structural_similarity")
    pairs = zip(
        frames.reshape(-1, height, width, channels),
        reference.reshape(-1, height, width, channels),
        strict=True,
    )
    values = [
        similarity(
            one,
            other,
            channel_axis=-1,
            data_range=255.0,
            gaussian_weights=True,
            sigma=GAUSSIAN_SIGMA,
            use_sample_covariance=False,
        )
        for one, other in pairs
    ]
    return np.array(values, dtype=np.float64).reshape(batch)


def frechet_distance(
    first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "m d"]
) -> float | None:
    """Squared Fréchet distance of two Gaussians fitted to features (Heusel 2017, eq. 6).

    0 for equal sets. Few rows make it larger, so it is read beside that of two halves of one set.
    None where a set has fewer than two rows, and so no covariance.
    """
    if min(len(first), len(second)) < 2:
        return None
    one, other = (np.cov(rows, rowvar=False, ddof=1) for rows in (first, second))
    one, other = np.atleast_2d(one), np.atleast_2d(other)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    # The trace of (one other)^1/2 is that of (root other root)^1/2, which is symmetric.
    shared = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(min=0.0)).sum()
    apart = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    return float(max(0.0, apart + np.trace(one) + np.trace(other) - 2.0 * shared))


APART_FLOOR_DB, APART_CEILING_DB, APART_FRAMES, APART_PROBABILITY = 20.0, 30.0, 4, 0.25


def divergence_onset(
    quality: Float[np.ndarray, " t"], baseline: Float[np.ndarray, " t"]
) -> int | None:
    """The frame at which an imagined video parts from its real twin; None if it does not.

    It is the first of `APART_FRAMES` consecutive frames (or of all that are left) whose PSNR is
    below that of repeating the start. The limit is at least 20 dB, because a dream that far off is
    of no use however much moved, and at most 30 dB, about what an autoencoder alone reaches: a
    scene that stands still is not held against a dream.

    Args:
        quality: PSNR of each imagined frame to the real one, in dB; frame 0 is the start.
        baseline: PSNR of the start to each real frame.
    """
    apart = quality < baseline.clip(APART_FLOOR_DB, APART_CEILING_DB)
    apart[:1] = False
    return _lasting(apart)


def verdict_onset(
    imagined: Float[np.ndarray, " dreamt"], real: Float[np.ndarray, " played"]
) -> int | None:
    """The window from which a judge sees a dream and its real twin apart; None if it does not.

    It is the first of `APART_FRAMES` consecutive windows (or of all that are left) whose
    probabilities differ by at least `APART_PROBABILITY`. Pixels say less: a mug that is pushed in
    the dream alone is a few of them.
    """
    shared = min(len(imagined), len(real))
    return _lasting(np.abs(imagined[:shared] - real[:shared]) >= APART_PROBABILITY)


def _lasting(apart: Bool[np.ndarray, " n"]) -> int | None:
    for place in np.flatnonzero(apart):
        if apart[place : place + APART_FRAMES].all():
            return int(place)
    return None


def repeat_first(frames: UInt8[np.ndarray, "t h w c"]) -> UInt8[np.ndarray, "t h w c"]:
    """The baseline that imagines nothing: the last context frame (the start) at every depth."""
    return np.repeat(frames[:1], len(frames), axis=0)
