"""Learning curves in numbers: means over seeds, intervals over seeds and held-out episodes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from engine.seeding import numpy_generator

RESAMPLES = 4_000


@dataclass(frozen=True)
class Curves:
    """Verdicts of every model of a study on the same held-out episodes.

    Attributes:
        sizes: labels each model was taught, increasing.
        orders: names of the two orders in which episodes were labelled.
        successes: bool [orders, seeds, sizes, episodes].
        truth: bool [episodes].
    """

    sizes: tuple[int, ...]
    orders: tuple[str, ...]
    successes: Bool[np.ndarray, "orders seeds sizes episodes"]
    truth: Bool[np.ndarray, " episodes"]


def summary(curves: Curves, seed: int) -> list[dict[str, float]]:
    """For each size: F1 and balanced accuracy of each order and of the second minus the first.

    Each comes with `_low` and `_high`: the 95 % percentile bootstrap over seeds and over the
    held-out episodes, which all models share; a draw of seeds and episodes serves both orders.
    """
    random = numpy_generator(seed, "learning curve intervals")
    _, num_seeds, _, num_episodes = curves.successes.shape
    seeds = random.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), RESAMPLES)
    draws = random.multinomial(num_episodes, np.full(num_episodes, 1 / num_episodes), RESAMPLES)
    # Row 0 is the study as it was.
    seeds = np.concatenate([np.ones((1, num_seeds), np.int64), seeds])
    draws = np.concatenate([np.ones((1, num_episodes), np.int64), draws])
    return [_at_size(curves, index, seeds, draws) for index in range(len(curves.sizes))]


def _at_size(
    curves: Curves,
    index: int,
    seeds: Int64[np.ndarray, "r seeds"],
    draws: Int64[np.ndarray, "r episodes"],
) -> dict[str, float]:
    found: dict[str, float] = {}
    means: dict[str, list[Float[np.ndarray, " r"]]] = {"f1": [], "balanced_accuracy": []}
    for order, successes in zip(curves.orders, curves.successes[:, :, index], strict=True):
        for name, values in measures(successes, curves.truth, draws).items():
            mean = (seeds * values).sum(axis=1) / seeds.sum(axis=1)
            means[name].append(mean)
            found |= estimate(f"{order}_{name}", mean)
    for name, (first, second) in means.items():
        found |= estimate(f"gain_{name}", second - first)
    return found


def measures(
    successes: Bool[np.ndarray, "seeds episodes"],
    truth: Bool[np.ndarray, " episodes"],
    draws: Int64[np.ndarray, "r episodes"],
) -> dict[str, Float[np.ndarray, "r seeds"]]:
    """F1 and balanced accuracy of each seed's model on each draw of episodes."""
    hits = draws @ (successes & truth).T
    alarms = draws @ (successes & ~truth).T
    positives = (draws @ truth)[:, None]
    negatives = (draws @ ~truth)[:, None]
    f1 = 2 * hits / np.maximum(hits + alarms + positives, 1)
    recall = hits / np.maximum(positives, 1)
    return {"f1": f1, "balanced_accuracy": (recall + 1 - alarms / np.maximum(negatives, 1)) / 2}


def estimate(name: str, values: Float[np.ndarray, " r"]) -> dict[str, float]:
    """{name, name_low, name_high} of a value (row 0) and its resampled ones."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
