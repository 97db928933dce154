"""Honest numbers: intervals and paired tests (field.md §4.5)."""

import math


def wilson_interval(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a proportion; (0, 1) where nothing was tried.

    Raises:
        ValueError: more successes than trials, or negative counts.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} trials are impossible")
    if total == 0:
        return 0.0, 1.0
    p = successes / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
