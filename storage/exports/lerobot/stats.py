"""Statistics of a LeRobotDataset: min, max, mean, std and count of every feature, by episode."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.records.types import Frames

Stats = dict[str, npt.NDArray[Any]]


def column_stats(values: npt.NDArray[Any]) -> Stats:
    """Over the rows of a column [t] or [t, a], each [1] or [a]; NaN is no row."""
    rows = values.reshape(len(values), -1)
    known = rows[~np.isnan(rows).any(axis=1)] if rows.dtype.kind == "f" else rows
    if not len(known):
        known = np.zeros_like(rows[:1])
        return _stats(known) | {"count": np.array([0])}
    return _stats(known)


def image_stats(frames: Frames) -> Stats:
    """Over all pixels of frames [t, h, w, 3], in [0, 1], [3, 1, 1] each; count is of frames."""
    levels = np.arange(256) / 255
    share = np.stack([np.bincount(frames[..., c].ravel(), minlength=256) for c in range(3)])
    share = share / share.sum(axis=1, keepdims=True)
    mean = share @ levels
    std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0.0))
    seen = share > 0
    low, high = levels[seen.argmax(axis=1)], levels[255 - seen[:, ::-1].argmax(axis=1)]
    shaped = {"min": low, "max": high, "mean": mean, "std": std}
    return {name: value.reshape(3, 1, 1) for name, value in shaped.items()} | {
        "count": np.array([len(frames)])
    }


def together(parts: Sequence[Stats]) -> Stats:
    """Statistics of a whole from those of its parts; parts without a row do not count."""
    full = [part for part in parts if part["count"][0]] or [parts[0]]
    counts = np.array([max(1, part["count"][0]) for part in full], np.float64)
    weights = (counts / counts.sum()).reshape(-1, *[1] * full[0]["mean"].ndim)
    means, stds = (np.stack([part[name] for part in full]) for name in ("mean", "std"))
    mean = (weights * means).sum(axis=0)
    return {
        "min": np.min([part["min"] for part in full], axis=0),
        "max": np.max([part["max"] for part in full], axis=0),
        "mean": mean,
        "std": np.sqrt((weights * (stds**2 + (means - mean) ** 2)).sum(axis=0)),
        "count": np.sum([part["count"] for part in full], axis=0),
    }


def _stats(rows: npt.NDArray[Any]) -> Stats:
    wide = rows.astype(np.float64)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": wide.mean(axis=0),
        "std": wide.std(axis=0),
        "count": np.array([len(rows)]),
    }
