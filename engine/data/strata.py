"""Strata of starts by where things are, so that every part of the table is learnt from alike."""

import numpy as np
from jaxtyping import Float, Int64


def strata(positions: Float[np.ndarray, "n d"], count: int) -> Int64[np.ndarray, " n"]:
    """Number of the stratum of each start: halves of halves along the widest coordinate.

    Coordinates are standardised, so one that varies by millimetres only counts as one that varies
    by as many of its standard deviations; one that never varies does not count. All strata are
    equally large, up to one start.

    Raises:
        ValueError: fewer starts than strata, or none asked for.
    """
    if not 1 <= count <= len(positions):
        raise ValueError(f"{len(positions)} starts cannot be put into {count} strata")
    spread = positions.std(axis=0)
    moving = spread > 1e-6
    scaled = (positions[:, moving] - positions[:, moving].mean(axis=0)) / spread[moving]
    numbers = np.zeros(len(positions), dtype=np.int64)
    _split(scaled, np.arange(len(positions)), 0, count, numbers)
    return numbers


def _split(
    scaled: Float[np.ndarray, "n d"],
    rows: Int64[np.ndarray, " m"],
    first: int,
    count: int,
    numbers: Int64[np.ndarray, " n"],
) -> None:
    if count == 1:
        numbers[rows] = first
        return
    here = scaled[rows]
    if here.shape[1]:
        widest = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
        rows = rows[np.argsort(here[:, widest], kind="stable")]
    below = count // 2
    cut = round(len(rows) * below / count)
    _split(scaled, rows[:cut], first, below, numbers)
    _split(scaled, rows[cut:], first + below, count - below, numbers)


def balanced_order(
    numbers: Int64[np.ndarray, " n"], random: np.random.Generator
) -> Int64[np.ndarray, " n"]:
    """Starts in random order, but one of every stratum before the second of any."""
    shuffled = random.permutation(len(numbers))
    seen: dict[int, int] = {}
    rounds = np.empty(len(numbers), dtype=np.int64)
    for place, start in enumerate(shuffled):
        rounds[place] = seen.get(int(numbers[start]), 0)
        seen[int(numbers[start])] = int(rounds[place]) + 1
    return shuffled[np.argsort(rounds, kind="stable")]
