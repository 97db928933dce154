"""What a success threshold is worth, at every threshold at once: counts, shares, intervals, areas.

An episode's score is the largest success probability of its windows: it counts as a success from
every threshold up to that score. Weights correct for labels that were not drawn at random: each is
one over its chance of being drawn. Intervals then rest on Kish's effective number of labels.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from engine.records.types import JudgeRules

Z = 1.959964  # two-sided 95 %
MOST_LABELS = 10**7


def episode_score(
    ends: Int64[np.ndarray, " windows"],
    probabilities: Float[np.ndarray, " windows"],
    rules: JudgeRules,
    num_frames: int,
) -> float:
    """The largest threshold at which `engine.reward.judge.outcome` is a success; 0 for none."""
    counts = ends >= max(rules.first_end, rules.window)
    if not rules.last_window_counts:
        counts &= ends < num_frames
    return float(probabilities[counts].max(initial=0.0))


@dataclass(frozen=True)
class Judged:
    """Episodes whose truth is known.

    Attributes:
        scores: float32, as the judge compares them.
        success: the truth.
        weights: of each episode, positive.
    """

    scores: Float[np.ndarray, " n"]
    success: Bool[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, " n"],
        success: Bool[np.ndarray, " n"],
        weights: Float[np.ndarray, " n"] | None = None,
    ) -> "Judged":
        """Episodes with equal weights unless some are given.

        Raises:
            ValueError: a weight that is not positive.
        """
        given = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
        if (given <= 0).any() or not np.isfinite(given).all():
            raise ValueError("weights must be positive: one over the chance of being drawn")
        return cls(np.asarray(scores, np.float32), np.asarray(success, bool), given)


@dataclass(frozen=True)
class Shares:
    """An estimated share at m thresholds with its interval; NaN where there is nothing to count."""

    value: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]


@dataclass(frozen=True)
class Curves:
    """Everything at m thresholds. Counts are plain numbers of episodes, shares are weighted."""

    true_positives: Int64[np.ndarray, " m"]
    false_positives: Int64[np.ndarray, " m"]
    precision: Shares
    recall: Shares
    false_positive_rate: Shares
    f1: Shares


def curves(judged: Judged, thresholds: Float[np.ndarray, " m"]) -> Curves:
    """Counts and shares at thresholds.

    F1 is 2 j / (1 + j) of j = TP / (TP + FP + FN): given how many episodes are not true negatives,
    TP is binomial, so Wilson's interval of j, carried through that rising function, is F1's.
    """
    right, wrong = judged.success, ~judged.success
    hits, misfires = _above(judged, right, thresholds), _above(judged, wrong, thresholds)
    positives, negatives = _all(judged, right), _all(judged, wrong)
    jaccard = _share(hits, misfires.plus(positives))
    return Curves(
        true_positives=hits.count.astype(np.int64),
        false_positives=misfires.count.astype(np.int64),
        precision=_share(hits, hits.plus(misfires)),
        recall=_share(hits, positives),
        false_positive_rate=_share(misfires, negatives),
        f1=Shares(*(2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high))),
    )


def area_under_roc(judged: Judged) -> float | None:
    """Chance that a success scores above a failure, ties counting half; None with one class."""
    right, wrong = judged.success, ~judged.success
    levels, place = np.unique(judged.scores, return_inverse=True)
    good = np.bincount(place[right], judged.weights[right], len(levels))
    bad = np.bincount(place[wrong], judged.weights[wrong], len(levels))
    if not right.any() or not wrong.any():
        return None
    below = np.concatenate([[0.0], np.cumsum(bad)[:-1]])
    return float((good * (below + bad / 2)).sum() / (good.sum() * bad.sum()))


def average_precision(judged: Judged) -> float | None:
    """Mean precision over the successes, taken from the highest score down; None without one."""
    if not judged.success.any():
        return None
    levels = np.unique(judged.scores)[::-1]
    found = curves(judged, levels)
    steps = np.diff(found.recall.value, prepend=0.0)
    return float((steps * found.precision.value).sum())


@dataclass(frozen=True)
class CalibrationBin:
    """Episodes whose score lies in [low, high): how many, and how often they were successes."""

    low: float
    high: float
    count: int
    successes: int
    mean_score: float
    rate: float
    interval: tuple[float, float]


def calibration(judged: Judged, num_bins: int = 10) -> list[CalibrationBin]:
    """The reliability curve: bins of equal width that hold an episode; 1 belongs to the last."""
    place = np.minimum((judged.scores * num_bins).astype(int), num_bins - 1)
    bins = []
    for index in np.unique(place):
        chosen = place == index
        part = Judged(judged.scores[chosen], judged.success[chosen], judged.weights[chosen])
        rate = _share(_all(part, part.success), _all(part, np.ones(len(part.scores), bool)))
        bins.append(
            CalibrationBin(
                low=index / num_bins,
                high=(index + 1) / num_bins,
                count=int(chosen.sum()),
                successes=int(part.success.sum()),
                mean_score=float(np.average(part.scores, weights=part.weights)),
                rate=float(rate.value[0]),
                interval=(float(rate.low[0]), float(rate.high[0])),
            )
        )
    return bins


def labels_for_width(share: float, width: float) -> int:
    """Fewest labels of which a share as large gives a Wilson interval at most `width` wide.

    Raises:
        ValueError: a share outside [0, 1], or a width outside (0, 1).
    """
    if not (0.0 <= share <= 1.0 and 0.0 < width < 1.0):
        raise ValueError(f"no number of labels gives a share of {share:g} a width of {width:g}")
    low, high = 1, MOST_LABELS
    while low < high:
        middle = (low + high) // 2
        below, above = wilson(np.array([share]), np.array([float(middle)]))
        low, high = (low, middle) if above[0] - below[0] <= width else (middle + 1, high)
    return low


def wilson(
    share: Float[np.ndarray, " m"], number: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Wilson's 95 % interval of shares among numbers of trials, which need not be whole."""
    scale = 1 + Z * Z / number
    centre = (share + Z * Z / (2 * number)) / scale
    spread = Z * np.sqrt(share * (1 - share) / number + Z * Z / (4 * number * number)) / scale
    return np.maximum(centre - spread, 0.0), np.minimum(centre + spread, 1.0)


@dataclass(frozen=True)
class _Sum:
    """Episodes counted, their weights, and the squares of these, at thresholds."""

    count: Float[np.ndarray, " m"]
    weight: Float[np.ndarray, " m"]
    square: Float[np.ndarray, " m"]

    def plus(self, other: "_Sum") -> "_Sum":
        return _Sum(
            self.count + other.count, self.weight + other.weight, self.square + other.square
        )


def _above(
    judged: Judged, chosen: Bool[np.ndarray, " n"], thresholds: Float[np.ndarray, " m"]
) -> _Sum:
    """The chosen episodes that count as successes at each threshold."""
    order = np.argsort(judged.scores[chosen], kind="stable")
    scores, weights = judged.scores[chosen][order], judged.weights[chosen][order]
    first = np.searchsorted(scores, np.asarray(thresholds, np.float32), side="left")

    def from_there_on(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])[first]

    return _Sum(*(from_there_on(values) for values in (weights**0, weights, weights**2)))


def _all(judged: Judged, chosen: Bool[np.ndarray, " n"]) -> _Sum:
    weights = judged.weights[chosen]
    return _Sum(*(np.array([(weights**power).sum()]) for power in (0, 1, 2)))


def _share(part: _Sum, whole: _Sum) -> Shares:
    total, square = np.broadcast_arrays(whole.weight, whole.square, part.weight)[:2]
    share = np.divide(part.weight, total, out=np.full(len(total), math.nan), where=total > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = wilson(share, total**2 / square)
    return Shares(share, low, high)
