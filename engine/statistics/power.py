"""How many episodes a difference needs, and what a number of episodes can show (field.md §4.5)."""

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def unpaired_episodes(
    first: float, second: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Episodes per arm that tell two success rates apart when each arm has its own starts.

    Source: Fleiss, Levin & Paik 2003, eq. 4.14 without continuity correction.

    Raises:
        ValueError: equal rates, or rates, alpha or power outside (0, 1).
    """
    _check(alpha, power)
    if not (0.0 <= first <= 1.0 and 0.0 <= second <= 1.0) or first == second:
        raise ValueError(f"two different success rates are needed, not {first} and {second}")
    mean = (first + second) / 2
    null = math.sqrt(2 * mean * (1 - mean))
    other = math.sqrt(first * (1 - first) + second * (1 - second))
    return _episodes(null, other, abs(first - second), alpha, power)


def paired_episodes(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Common starts that show a difference when both arms play each of them (McNemar).

    Source: Connor 1987, Biometrics 43, 207.

    Args:
        difference: of the success rates.
        discordant: share of the starts on which the arms disagree; at least the difference.

    Raises:
        ValueError: a difference of 0 or above the discordant share, or values out of range.
    """
    _check(alpha, power)
    if not 0.0 < abs(difference) <= discordant <= 1.0:
        raise ValueError(
            f"arms that disagree on {discordant:.0%} of the starts cannot differ by "
            f"{difference:.0%}: 0 < difference <= discordant <= 1 is needed"
        )
    other = math.sqrt(discordant - difference**2)
    return _episodes(math.sqrt(discordant), other, abs(difference), alpha, power)


def paired_detectable(
    episodes: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest difference that so many common starts show; infinite where even the largest
    possible one, the discordant share itself, is missed.

    Raises:
        ValueError: no episodes, or values out of range.
    """
    if episodes < 1 or not 0.0 < discordant <= 1.0:
        raise ValueError(
            f"{episodes} episodes and a discordant share of {discordant}: both must be above 0"
        )
    if paired_episodes(discordant, discordant, alpha=alpha, power=power) > episodes:
        return math.inf
    low, high = 0.0, discordant
    for _ in range(50):
        middle = (low + high) / 2
        if paired_episodes(middle, discordant, alpha=alpha, power=power) > episodes:
            low = middle
        else:
            high = middle
    return high


def _episodes(null: float, other: float, difference: float, alpha: float, power: float) -> int:
    spread = _NORMAL.inv_cdf(1 - alpha / 2) * null + _NORMAL.inv_cdf(power) * other
    return math.ceil((spread / difference) ** 2)


def _check(alpha: float, power: float) -> None:
    if not (0.0 < alpha < 1.0 and 0.0 < power < 1.0):
        raise ValueError(f"alpha {alpha} and power {power} must lie between 0 and 1")
