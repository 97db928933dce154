"""Honest numbers: intervals, paired tests and many comparisons (field.md §4.5)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


def wilson_interval(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a proportion; (0, 1) where nothing was tried.

    Raises:
        ValueError: more successes than trials, or negative counts.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} trials are impossible")
    if total == 0:
        return 0.0, 1.0
    return _wilson(successes / total, float(total), z)


def grouped_interval(
    successes: Sequence[int], size: int, z: float = 1.959964
) -> tuple[float, float]:
    """Interval of a proportion whose trials come in groups that are alike, `size` in each.

    Wilson's, with as many independent trials as would vary like the groups' means: at least one a
    group, at most all. (0, 1) where nothing was tried.
    """
    if not successes:
        return 0.0, 1.0
    count, p = len(successes), sum(successes) / (len(successes) * size)
    varies = float(np.var([hits / size for hits in successes], ddof=1)) / count if count > 1 else 0
    independent = p * (1 - p) / varies if varies else count
    return _wilson(p, float(min(max(independent, count), count * size)), z)


def difference_interval(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Interval of first - second from two independent (value, low, high) (MOVER)."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def _wilson(p: float, total: float, z: float) -> tuple[float, float]:
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


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: reject those below the level (Holm 1979).

    Raises:
        ValueError: a value outside [0, 1].
    """
    bad = [p for p in p_values if not 0.0 <= p <= 1.0]
    if bad:
        raise ValueError(f"{bad[0]} is not a p-value")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over seeds and starts, its interval, and the p-value of "it is 0"."""

    mean: float
    low: float
    high: float
    p_value: float


def hierarchical_bootstrap(
    values: Float[np.ndarray, "seeds starts"],
    generator: np.random.Generator,
    *,
    num_resamples: int = 4000,
    level: float = 0.95,
) -> MeanEstimate:
    """Percentile bootstrap of a mean over seeds and over the starts that all seeds share.

    Seeds are drawn with replacement and, because every seed meets the same starts, one draw of
    starts serves them all: a hard start is hard for each seed. The p-value is two-sided: twice the
    share of resampled means on the far side of 0. Resampling few seeds understates how much seeds
    differ: in simulations with 3 seeds the interval held the truth in 99 % (seeds alike), 95 %
    (standard deviation of 3 points) and 89 % (6 points) of the cases.

    Args:
        values: of each seed and start: 0 or 1, or the difference of two arms.

    Raises:
        ValueError: nothing to draw from.
    """
    if values.size == 0:
        raise ValueError("an interval needs at least one observation")
    seeds, starts = values.shape
    # A resampled mean is linear in how often each seed and each start was drawn.
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), num_resamples)
    drawn_starts = generator.multinomial(starts, np.full(starts, 1 / starts), num_resamples)
    weighted = (drawn_seeds @ values) * drawn_starts
    means = weighted.sum(axis=1) / (seeds * starts)
    tail = (1.0 - level) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    far = min((means <= 0.0).sum(), (means >= 0.0).sum())
    p_value = min(1.0, 2.0 * (float(far) + 1.0) / (num_resamples + 1.0))
    return MeanEstimate(float(values.mean()), float(low), float(high), p_value)


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

    def intervals(self, z: float = 1.959964) -> dict[str, tuple[float, float]]:
        """Wilson intervals of precision, recall and F1.

        F1 is 2j / (1 + j) of the share j of true positives among all but the true negatives: its
        interval is that of j, carried over.
        """
        hits, wrong = self.true_positives, self.false_positives + self.false_negatives
        low, high = wilson_interval(hits, hits + wrong, z)
        return {
            "precision": wilson_interval(hits, hits + self.false_positives, z),
            "recall": wilson_interval(hits, self.positives, z),
            "f1": (2 * low / (1 + low), 2 * high / (1 + high)),
        }

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
