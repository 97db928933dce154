"""Honest numbers: intervals and paired tests (field.md §4.5)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


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


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of a paired comparison.

    Args:
        only_first: pairs in which only the first arm succeeded.
        only_second: pairs in which only the second did. Pairs that agree say nothing.

    Raises:
        ValueError: negative counts.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} discordant pairs are impossible")
    total, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)


def discordant(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> tuple[int, int]:
    """(pairs in which only the first succeeded, only the second) for `mcnemar_exact`."""
    return int((first & ~second).sum()), int((second & ~first).sum())


@dataclass(frozen=True)
class Confusion:
    """Counts of a yes/no judgement against the truth."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def count(
        cls, predicted: Bool[np.ndarray, " n"], actual: Bool[np.ndarray, " n"]
    ) -> "Confusion":
        """Count predictions against what was the case."""
        return cls(
            true_positives=int((predicted & actual).sum()),
            false_positives=int((predicted & ~actual).sum()),
            false_negatives=int((~predicted & actual).sum()),
            true_negatives=int((~predicted & ~actual).sum()),
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where neither predicts nor holds anything."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / max(2 * self.true_positives + wrong, 1)

    @property
    def precision(self) -> float:
        """Share of the predicted successes that are successes; 0 if none was predicted."""
        return self.true_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> float:
        """Share of the successes that were predicted; 0 if there was none."""
        return self.true_positives / max(self.positives, 1)

    @property
    def positives(self) -> int:
        """Actual successes."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Actual failures."""
        return self.true_negatives + self.false_positives

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of successes and of failures that were recognised.

        Raises:
            ValueError: one of the classes is empty, so that there is no such mean.
        """
        self._need_both()
        return (self.recall + self.true_negatives / self.negatives) / 2

    def balanced_accuracy_interval(self, z: float = 1.959964) -> tuple[float, float]:
        """Interval of the balanced accuracy from the Wilson intervals of its two shares (MOVER).

        Raises:
            ValueError: one of the classes is empty.
        """
        self._need_both()
        shares = (
            (self.true_positives, self.positives),
            (self.true_negatives, self.negatives),
        )
        below = above = 0.0
        for hits, total in shares:
            low, high = wilson_interval(hits, total, z)
            below += (hits / total - low) ** 2
            above += (high - hits / total) ** 2
        centre = self.balanced_accuracy
        return centre - math.sqrt(below) / 2, centre + math.sqrt(above) / 2

    def _need_both(self) -> None:
        if not self.positives or not self.negatives:
            raise ValueError(
                f"balanced accuracy needs successes and failures, not {self.positives} and "
                f"{self.negatives}"
            )


def bootstrap_interval(
    sample: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    generator: np.random.Generator,
    *,
    num_resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of independent rows.

    Args:
        sample: array whose first axis is resampled with replacement (episodes, pairs, seeds).
        statistic: resampled array -> number.
        generator: source of randomness (`engine.seeding.numpy_generator`).

    Raises:
        ValueError: an empty sample.
    """
    if len(sample) == 0:
        raise ValueError("an interval needs at least one observation")
    draws = generator.integers(0, len(sample), size=(num_resamples, len(sample)))
    values = [statistic(sample[rows]) for rows in draws]
    tail = (1.0 - level) / 2
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)
