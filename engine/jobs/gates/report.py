"""The gates before any optimisation: bounds, verdicts, and what a run says of them in words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.protocols import Run
from engine.runs.run_directory import read_documents
from engine.statistics.intervals import Confusion, wilson_interval

DOCUMENT = "gates"
LEAST_EPISODES, LEAST_FAILURES = 200, 80
PASSED = "All {} gates were passed."

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Bound:
    """What a measured value must not miss; `above` says on which side it is to be."""

    title: str
    value: float
    above: bool
    unit: str = "share"

    def margin(self, measured: float) -> float:
        """How far a value is on the right side; negative where the gate is not passed."""
        return measured - self.value if self.above else self.value - measured


BOUNDS: Mapping[str, Bound] = {
    "false_successes": Bound("false successes of failures", 0.20, above=False),
    "missed": Bound("missed successes", 0.15, above=False),
    "balanced_accuracy": Bound("balanced agreement", 0.85, above=True),
    "auc": Bound("AUC of the dreamt nearest distance", 0.90, above=True, unit="number"),
    "siblings": Bound("rank correlation of siblings", 0.70, above=True, unit="number"),
    "object_error_cm": Bound("object error at the last frame", 3.0, above=False, unit="cm"),
    "came_true": Bound("dreamt successes that came true", 0.80, above=True),
}


def auc(scores: Floats, successes: Bools) -> float:
    """Chance that a success scores above a failure, ties counted half; NaN without both."""
    high, low = scores[successes], scores[~successes]
    if not len(high) or not len(low):
        return float("nan")
    above = (high[:, None] > low[None]).mean() + 0.5 * (high[:, None] == low[None]).mean()
    return float(above)


def auc_interval(value: float, successes: int, failures: int) -> tuple[float, float]:
    """95 % interval of an AUC by Hanley and McNeil's standard error (1982)."""
    if not successes or not failures:
        return 0.0, 1.0
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (
        value * (1 - value)
        + (successes - 1) * (first - value**2)
        + (failures - 1) * (second - value**2)
    ) / (successes * failures)
    spread = 1.959964 * float(np.sqrt(max(variance, 0.0)))
    return max(0.0, value - spread), min(1.0, value + spread)


def share(hits: int, total: int) -> dict[str, Any]:
    """A share with its counts and Wilson interval."""
    low, high = wilson_interval(hits, total)
    value = hits / total if total else None
    return {"value": value, "count": hits, "of": total, "low": low, "high": high}


def verdict_measures(judged: Bools, real: Bools) -> dict[str, dict[str, Any]]:
    """False successes, missed and balanced agreement of verdicts against reality."""
    counts = Confusion.count(judged, real)
    found = {
        "false_successes": share(counts.false_positives, counts.negatives),
        "missed": share(counts.false_negatives, counts.positives),
    }
    if counts.positives and counts.negatives:
        low, high = counts.balanced_accuracy_interval()
        balanced = {"value": counts.balanced_accuracy, "of": len(real), "low": low, "high": high}
        found["balanced_accuracy"] = balanced
    return found


def spearman(first: Floats, second: Floats) -> float:
    """Rank correlation, ties given their mean rank; NaN where one of them does not vary."""
    a, b = _ranks(first), _ranks(second)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Floats) -> Floats:
    below = (values[:, None] > values[None]).sum(axis=1)
    ties = (values[:, None] == values[None]).sum(axis=1)
    ranks: Floats = below + (ties - 1) / 2
    return ranks


@dataclass(frozen=True)
class Gate:
    """One gate on one set of episodes.

    Attributes:
        passed: whether the value is on the right side; None where it was not measured.
        margin: by how much, in the bound's unit.
    """

    name: str
    on: str
    title: str
    value: float | None
    bound: float
    above: bool
    passed: bool | None
    margin: float | None


def judge_gates(measured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Gate]:
    """Every bound on every set that measured it.

    Args:
        measured: set of episodes -> measure -> at least its "value".
    """
    found = []
    for on, measures in measured.items():
        for name, bound in BOUNDS.items():
            if name not in measures:
                continue
            value = measures[name]["value"]
            known = value is not None and bool(np.isfinite(value))
            margin = bound.margin(value) if known else None
            passed = None if margin is None else margin >= 0
            sides = (bound.value, bound.above)
            shown = float(value) if known else None
            found.append(Gate(name, on, bound.title, shown, *sides, passed, margin))
    return found


def report(
    measured: Mapping[str, Mapping[str, Mapping[str, Any]]], hashes: Mapping[str, str]
) -> dict[str, Any]:
    """The document of a run of `gates`: measures, verdicts, and whether all of them passed."""
    gates = judge_gates(measured)
    return {
        "checkpoints": dict(hashes),
        "measured": {on: dict(measures) for on, measures in measured.items()},
        "gates": [asdict(gate) for gate in gates],
        "passed": bool(gates) and all(gate.passed for gate in gates),
    }


def say_gates(name: str, hashes: Mapping[str, str], run: Run) -> None:
    """Tell a run about to trust a world model whether its gates were passed, and by how much.

    Args:
        name: run directory of `gates`.
        hashes: of the run's own checkpoints, by role.

    Raises:
        ValueError: that run has no report.
    """
    documents = read_documents(Path(name), DOCUMENT)
    if DOCUMENT not in documents:
        raise ValueError(f"{Path(name).name} is no finished run of gates")
    document = documents[DOCUMENT]
    run.write_document(DOCUMENT, document)
    words = in_words(document, hashes)
    if not document["passed"] or words != PASSED.format(len(document["gates"])):
        run.alarm(words)


def in_words(document: Mapping[str, Any], hashes: Mapping[str, str], most: int = 0) -> str:
    """What a run says of the gates of the world model it is about to trust, farthest missed first.

    Args:
        document: of a run of `gates`.
        hashes: of the run's own checkpoints, by role.
        most: missed gates that are told one by one; 0: all.
    """
    own = document["checkpoints"]
    other = [role for role in ("world_model", "reward_model") if own.get(role) != hashes.get(role)]
    if other:
        return f"The gates were measured with another {other[0].replace('_', ' ')}."
    gates = document["gates"]
    missed = sorted((gate for gate in gates if not gate["passed"]), key=_short_of)
    if not missed:
        return PASSED.format(len(gates))
    words = [_missed(gate) for gate in missed[: most or None]]
    if left := len(missed) - len(words):
        words.append(f"and {left} more")
    return f"{len(missed)} of {len(gates)} gates were not passed: {'; '.join(words)}."


def _short_of(gate: Mapping[str, Any]) -> float:
    """How far a value is on its side of the bound, in bounds; one that was not measured is last."""
    return 0.0 if gate["value"] is None else float(gate["margin"]) / float(gate["bound"])


def _missed(gate: Mapping[str, Any]) -> str:
    unit = BOUNDS[gate["name"]].unit
    if gate["value"] is None:
        return f"{gate['title']} ({gate['on']}) was not measured"

    def shown(value: float) -> str:
        if unit == "share":
            return f"{100 * value:.1f} %"
        return f"{value:.1f} cm" if unit == "cm" else f"{value:.2f}"

    side = "at least" if gate["above"] else "at most"
    return (
        f"{gate['title']} ({gate['on']}) {shown(gate['value'])}, {side} {shown(gate['bound'])} "
        f"was asked"
    )
