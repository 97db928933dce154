"""What fidelity found, as curves with intervals: by frame depth, by place in the chunk, by outcome.

A point is [mean, low, high, episodes]: 95 % intervals over episodes, which are independent as the
frames of one are not; low and high are None where fewer than two episodes are left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.fidelity.fidelity_scores import UNKNOWN, Scores
from engine.seeding import numpy_generator
from engine.statistics.intervals import Confusion, bootstrap_interval, wilson_interval
from engine.statistics.metrics import frechet_distance

Z = 1.959964
Array = npt.NDArray[Any]
Point = list[float | int | None]
Curves = dict[str, Any]


def curves(scores: Scores, real: Array, *, chunk_size: int, judged: Sequence[str]) -> Curves:
    """Everything the Fidelity page draws; plain JSON values.

    Args:
        real: (success, end step) of the real episodes, int64 [n, 2]; what nobody judged counts
            among all, and in no verdict.
        judged: names of the imagined videos that were judged.
    """
    outcomes = rows_by_outcome(real)
    pixels = scores.pixels
    found: Curves = {
        "chunk_size": chunk_size,
        "episodes": {name: int(rows.sum()) for name, rows in outcomes.items()},
        "depth": {name: _by_outcome(values, outcomes) for name, values in pixels.items()},
        "position": {
            name: _by_outcome(by_position(values, chunk_size), outcomes)
            for name, values in pixels.items()
        },
        "sensitivity": {
            other: _by_outcome(pixels["imagined/psnr"] - pixels[f"{other}/psnr"], outcomes)
            for other in ("shuffled", "zero")
        },
    }
    known = real[:, 0] != UNKNOWN
    if scores.verdicts and scores.features["real"].shape[-1]:
        found["frechet"] = frechet(scores.features, outcomes)
    if scores.verdicts and known.any():
        said = {name: verdicts[known] for name, verdicts in scores.verdicts.items()}
        found["matrix"] = {name: matrices(said[name], real[known], chunk_size) for name in judged}
        found["reward"] = reward_on_reality(said["real"], real[known])
    return found


def rows_by_outcome(real: Array) -> dict[str, npt.NDArray[np.bool_]]:
    """Which episodes are meant by all, success and failure."""
    said = real[:, 0]
    return {"all": np.ones(len(real), dtype=bool), "success": said == 1, "failure": said == 0}


def points(values: Array) -> list[Point]:
    """Mean and interval of each column of [n, t] over the rows that reach it."""
    found: list[Point] = []
    for column in values.T:
        there = column[~np.isnan(column)]
        if not len(there):
            continue
        mean = float(there.mean())
        if len(there) < 2:
            found.append([mean, None, None, 1])
            continue
        spread = Z * float(there.std(ddof=1)) / len(there) ** 0.5
        found.append([mean, mean - spread, mean + spread, len(there)])
    return found


def by_position(values: Array, chunk_size: int) -> Array:
    """[n, t] by depth to [n, chunk_size]: each episode's mean over the frames of each place."""
    columns = [values[:, place::chunk_size] for place in range(min(chunk_size, values.shape[1]))]
    found = np.full((len(values), len(columns)), np.nan)
    for place, frames in enumerate(columns):
        there = ~np.isnan(frames)
        counts = there.sum(axis=1)
        totals = np.where(there, frames, 0.0).sum(axis=1)
        found[counts > 0, place] = totals[counts > 0] / counts[counts > 0]
    return found


def matrices(imagined: Array, real: Array, chunk_size: int) -> list[dict[str, int]]:
    """Real against imagined success by the end of each chunk: what had happened so far.

    Args:
        imagined, real: (success, end step), int64 [n, 2].
    """
    longest = max(int(imagined[:, 1].max()), int(real[:, 1].max()))
    found = []
    for chunk in range(1, -(-longest // chunk_size) + 1):
        depth = chunk * chunk_size
        predicted, actual = (v[:, 0].astype(bool) & (v[:, 1] <= depth) for v in (imagined, real))
        found.append({"depth": depth, **counts(Confusion.count(predicted, actual))})
    return found


def counts(found: Confusion) -> dict[str, int]:
    """The four cells, named after what really happened: false_success was only imagined."""
    return {
        "true_success": found.true_positives,
        "false_success": found.false_positives,
        "false_failure": found.false_negatives,
        "true_failure": found.true_negatives,
    }


def frechet(features: Mapping[str, Array], outcomes: Mapping[str, Array]) -> dict[str, Any]:
    """Fréchet distances of the reward model's features to those of the real videos.

    `floor` is the distance of two halves of the real videos: what is left when nothing differs,
    somewhat too large because each half is smaller.
    """
    real = features["real"]
    halves = np.arange(len(real)) % 2 == 0
    found: dict[str, Any] = {"floor": _distance(real[halves], real[~halves])}
    for name, values in features.items():
        if name != "real":
            by_outcome = {o: _distance(values[rows], real[rows]) for o, rows in outcomes.items()}
            chunks = [_distance(values[:, c], real[:, c]) for c in range(real.shape[1])]
            found[name] = by_outcome | {"by_chunk": chunks}
    return found


def reward_on_reality(judged: Array, real: Array) -> dict[str, Any]:
    """The reward model on real videos of starts that it has not learnt from.

    {f1, f1_interval, precision, recall, counts; false_success_rate and its Wilson interval among
    the failing ones}.
    """
    predicted, actual = judged[:, 0].astype(bool), real[:, 0].astype(bool)
    found = Confusion.count(predicted, actual)
    rows = np.stack([predicted, actual], axis=1)
    interval = bootstrap_interval(
        rows,
        lambda drawn: Confusion.count(drawn[:, 0], drawn[:, 1]).f1,
        numpy_generator(0, "reward f1"),
    )
    return {
        "f1": found.f1,
        "f1_interval": list(interval),
        "precision": found.precision,
        "recall": found.recall,
        **counts(found),
        "false_success_rate": found.false_positives / max(found.negatives, 1),
        "false_success_interval": list(wilson_interval(found.false_positives, found.negatives)),
    }


def agreement(imagined: Array, real: Array, *, name: str = "") -> dict[str, float]:
    """Confusion matrix and balanced accuracy of the imagined verdicts, with its interval.

    Args:
        imagined, real: (success, end step), int64 [n, 2].
        name: stands before each metric's name where it is not of the model itself.
    """
    known = real[:, 0] != UNKNOWN
    found = Confusion.count(imagined[known, 0].astype(bool), real[known, 0].astype(bool))
    metrics = {f"fidelity/{name}{key}": float(value) for key, value in counts(found).items()}
    if not found.positives or not found.negatives:
        return metrics
    low, high = found.balanced_accuracy_interval()
    return metrics | {
        f"fidelity/{name}balanced_accuracy": found.balanced_accuracy,
        f"fidelity/{name}balanced_accuracy_low": low,
        f"fidelity/{name}balanced_accuracy_high": high,
    }


def _by_outcome(values: Array, outcomes: Mapping[str, Array]) -> dict[str, list[Point]]:
    return {name: points(values[rows]) for name, rows in outcomes.items()}


def _distance(first: Array, second: Array) -> float | None:
    one, other = (rows.reshape(-1, rows.shape[-1]).astype(np.float64) for rows in (first, second))
    there = [rows[~np.isnan(rows).any(axis=1)] for rows in (one, other)]
    return frechet_distance(*there)
