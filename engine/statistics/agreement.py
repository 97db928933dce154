"""How far two judges agree beyond chance, and what judged samples say of a whole population."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True)
class Agreement:
    """Cohen's kappa of two judges, with an interval.

    Attributes:
        kappa: 1 for full agreement, 0 for that of chance; None where both judges only ever said
            one and the same thing, or nothing was judged twice: chance then explains everything.
        low, high: bounds of the interval; None with kappa.
        total: items that both judged; `agreed` of them alike.
    """

    kappa: float | None
    low: float | None
    high: float | None
    total: int
    agreed: int


def cohen_kappa(table: Int64[np.ndarray, "k k"], z: float = Z) -> Agreement:
    """Agreement in a table of counts: rows what the first judge said, columns the second.

    The interval is that of the observed agreement (Wilson) with the agreement by chance held
    fixed, as in Cohen's own standard error (1960): it does not vanish where all agree.

    Raises:
        ValueError: negative counts.
    """
    if (table < 0).any():
        raise ValueError("an agreement table holds counts, which are not negative")
    total, agreed = int(table.sum()), int(np.trace(table))
    if total == 0:
        return Agreement(None, None, None, 0, 0)
    chance = float((table.sum(axis=0) / total) @ (table.sum(axis=1) / total))
    if chance >= 1.0 - 1e-12:
        return Agreement(None, None, None, total, agreed)
    low, high = share_interval(agreed / total, float(total), z)

    def beyond(observed: float) -> float:
        return (observed - chance) / (1.0 - chance)

    return Agreement(beyond(agreed / total), beyond(low), beyond(high), total, agreed)


@dataclass(frozen=True)
class Share:
    """A share of a population, estimated from `total` judged members, with an interval."""

    value: float | None
    low: float
    high: float
    total: int


def weighted_share(
    hits: Bool[np.ndarray, " n"], weights: Float[np.ndarray, " n"], z: float = Z
) -> Share:
    """The share of hits in a population of which each judged member stands for `weights` others.

    The weighted mean is unbiased where members were drawn at random within strata (Horvitz and
    Thompson). The interval is Wilson's at Kish's effective number of observations, which is
    cautious where the strata differ much from each other.

    Raises:
        ValueError: weights that are not positive.
    """
    if (weights <= 0).any():
        raise ValueError("sampling weights must be above 0")
    if len(hits) == 0:
        return Share(None, 0.0, 1.0, 0)
    value = float(weights[hits].sum() / weights.sum())
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return Share(value, *share_interval(value, effective, z), len(hits))


def share_interval(share: float, total: float, z: float = Z) -> tuple[float, float]:
    """Wilson score interval of an observed share; the number of observations may be fractional."""
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
