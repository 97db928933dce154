"""The threshold lab: what a success threshold is worth, where it errs, and its versions."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from app.reward.cases import Cases, Weights, cases_of
from app.reward.rejudging import LOWEST, JudgeAnew, rejudge
from engine.config import Config, knob
from engine.reward.threshold_curves import (
    Judged,
    Shares,
    area_under_roc,
    average_precision,
    calibration,
    curves,
    labels_for_width,
)
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter

GRID = np.arange(1, 1001) / 1000  # the thresholds at which a browser knows everything
HISTOGRAM_BINS = 25
MOST_ROWS = 24  # of one slicing
KINDS = {"imagined": True, "real": False}
SHARES = ("precision", "recall", "f1")
WIDTH = 0.2  # of the interval that labels are counted for, unless another one is asked for


@dataclass(frozen=True, kw_only=True)
class Lab(Config):
    """The verdicts of a reward model."""

    reward_model: str | None = knob(None, "its hash; without one the first")


@dataclass(frozen=True, kw_only=True)
class Details(Config):
    """A threshold looked at closely."""

    threshold: float = knob(help="of success", low=LOWEST, high=1.0)
    reward_model: str | None = knob(None, "its hash")
    width: float = knob(WIDTH, "of the intervals that labels are counted for", low=0.01, high=0.9)


@dataclass(frozen=True, kw_only=True)
class SaveThreshold(Config):
    """A threshold that counts from now on."""

    reward_model: str = knob(help="its hash")
    threshold: float = knob(help="of success", low=LOWEST, high=1.0)
    note: str = knob("", "why", high=500)


class ThresholdLab:
    """Every method may be called from any thread; what a user gets wrong is a `ValueError`.

    Args:
        weights: a label of a sample counts one over its chance of being drawn.
        run_name: what the run of an id is called.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        *,
        guest: bool,
        weights: Weights = lambda ids: {},
        run_name: Callable[[str], str] = str,
    ) -> None:
        self._run_name = run_name
        self._cabinet = cabinet
        self._guest = guest
        self._weights = weights
        self._known: tuple[tuple[Any, ...], Cases] | None = None

    def lab(self, question: Lab) -> dict[str, Any]:
        """All that a browser needs to drag a threshold without asking again.

        {models, reward_model, threshold, versions, iterations, filling, kinds, cases}: `kinds`
        holds counts, curves over `GRID`, calibration and histogram of imagined and real episodes
        apart, `cases` every episode of known truth, `filling` the progress (done, total) of an
        older index that is being filled.
        """
        filling = self._cabinet.windows.fill()
        models = self._models()
        if not models:
            return {"models": [], "filling": filling}
        chosen = self._chosen(question.reward_model, models)
        cases = self._cases(chosen["reward_model"])
        return {
            "models": models,
            "reward_model": chosen["reward_model"],
            "threshold": chosen["threshold"],
            "versions": self._versions(chosen["reward_model"]),
            "iterations": self._iterations(chosen["reward_model"]),
            "filling": filling,
            "kinds": {
                name: _kind(cases.where(cases.imagined == imagined))
                for name, imagined in KINDS.items()
            },
            "cases": _listed(cases.where(cases.known)),
        }

    def details(self, question: Details) -> dict[str, Any]:
        """{needed, slices, trend} at a threshold.

        `needed` says by kind and share how many labels make its interval at most `width` wide;
        `trend` is precision on imagined clips by run and iteration.
        """
        threshold, width = question.threshold, question.width
        chosen = self._chosen(question.reward_model, self._models())
        cases = self._cases(chosen["reward_model"])
        parts = {name: cases.where(cases.imagined == imagined) for name, imagined in KINDS.items()}
        return {
            "threshold": threshold,
            "width": width,
            "needed": {name: _needed(part, threshold, width) for name, part in parts.items()},
            "slices": _slices(parts, threshold, self._run_name),
            "trend": _trend(parts["imagined"], threshold, self._run_name),
        }

    def save(self, question: SaveThreshold) -> dict[str, Any]:
        """{versions}: the threshold counts from now on, in Imagine and in new runs."""
        threshold = question.threshold
        chosen = self._chosen(question.reward_model, self._models())["reward_model"]
        if not chosen:
            raise ValueError("these episodes do not say which reward model judged them")
        cases = self._cases(chosen)
        known = cases.where(cases.known)
        measures = {
            name: _measured(known.where(known.imagined == imagined), threshold)
            for name, imagined in KINDS.items()
        }
        self._cabinet.thresholds.save(
            chosen, threshold, note=question.note.strip(), measures=measures
        )
        return {"versions": self._versions(chosen)}

    def rejudge(self, question: JudgeAnew) -> dict[str, Any]:
        """The groups of an iteration as they were and as they would be (`app.reward.rejudging`)."""
        return rejudge(self._cabinet, question)

    def _models(self) -> list[dict[str, Any]]:
        """Reward models that judged something, those that are here first."""
        here = {one.hash: one for one in self._cabinet.checkpoints.all("reward_model")}
        found = []
        for row in self._cabinet.windows.models():
            digest = row["judged_by"]
            own = here[digest].config.get("success_threshold") if digest in here else None
            current = self._cabinet.thresholds.current(digest)
            found.append(
                {
                    "reward_model": digest,
                    "name": here[digest].id if digest in here else digest[:8] or "not recorded",
                    "episodes": row["episodes"],
                    "own": own,
                    "threshold": current.threshold if current else own or row["threshold"] or 0.5,
                }
            )
        return sorted(found, key=lambda one: (one["own"] is None, not one["reward_model"]))

    def _chosen(self, digest: str | None, models: list[dict[str, Any]]) -> dict[str, Any]:
        if not models:
            raise ValueError("no stored episode was judged by a reward model yet")
        if digest is None:
            return models[0]
        for model in models:
            if model["reward_model"] == digest:
                return model
        raise ValueError("no stored episode was judged by that reward model")

    def _cases(self, digest: str) -> Cases:
        """Remembered until a label or an episode comes."""
        windows = self._cabinet.windows
        key = (digest, *windows.stamp())
        known = self._known
        if known is None or known[0] != key:
            rows = windows.scored(digest, EpisodeFilter(guest=self._guest))
            self._known = known = (key, cases_of(rows, self._weights))
        return known[1]

    def _versions(self, digest: str) -> list[dict[str, Any]]:
        return [version.to_dict() for version in self._cabinet.thresholds.all(digest)]

    def _iterations(self, digest: str) -> list[dict[str, Any]]:
        return [
            {**row, "run": row["run"] or "", "called": self._run_name(row["run"] or "shipped")}
            for row in self._cabinet.windows.iterations(digest)
        ]


def _kind(cases: Cases) -> dict[str, Any]:
    known = cases.where(cases.known)
    judged = known.judged
    return {
        "episodes": len(cases.id),
        "labelled": int(known.human.sum()),
        "known": len(known.id),
        "successes": int(known.success.sum()),
        "failures": int((~known.success).sum()),
        "unsure": int(((cases.outcome == "unsure") & ~cases.broke).sum()),
        "broke": int(cases.broke.sum()),
        "cut": int(cases.cut.sum()),
        "weighted": int((known.weight != 1.0).sum()),
        "curves": _curves(judged),
        "area": _number(area_under_roc(judged)),
        "average_precision": _number(average_precision(judged)),
        "calibration": [
            {
                "low": one.low,
                "high": one.high,
                "count": one.count,
                "successes": one.successes,
                "score": _number(one.mean_score),
                "rate": _number(one.rate),
                "interval": [_number(bound) for bound in one.interval],
            }
            for one in calibration(judged)
        ],
        "histogram": {
            "success": _histogram(known.score[known.success]),
            "fail": _histogram(known.score[~known.success]),
            "unknown": _histogram(cases.score[~cases.known]),
        },
    }


def _curves(judged: Judged) -> dict[str, Any]:
    found = curves(judged, GRID)
    shares = {name: _share(getattr(found, name)) for name in SHARES}
    return {
        "true_positives": found.true_positives.tolist(),
        "false_positives": found.false_positives.tolist(),
        "false_positive_rate": _numbers(found.false_positive_rate.value),
        **shares,
    }


def _share(shares: Shares) -> dict[str, list[float | None]]:
    return {name: _numbers(getattr(shares, name)) for name in ("value", "low", "high")}


def _measured(cases: Cases, threshold: float) -> dict[str, Any]:
    """Counts and shares at one threshold: {labelled, true_positives, …, f1, f1_interval}."""
    found = curves(cases.judged, np.array([threshold]))
    right, wrong = int(found.true_positives[0]), int(found.false_positives[0])
    values: dict[str, Any] = {
        "known": len(cases.id),
        "true_positives": right,
        "false_positives": wrong,
        "false_negatives": int(cases.success.sum()) - right,
        "true_negatives": int((~cases.success).sum()) - wrong,
    }
    for name in SHARES:
        shares: Shares = getattr(found, name)
        values[name] = _number(shares.value[0])
        values[f"{name}_interval"] = [_number(shares.low[0]), _number(shares.high[0])]
    return values


def _needed(cases: Cases, threshold: float, width: float) -> dict[str, Any]:
    """Labels until precision and recall are known to a width, drawn where they count or anywhere.

    Of `count` labels that bear on a share, `need` are needed for the width, `more` of them still;
    `random` labels drawn from all episodes hold about so many. None where nothing is known yet.
    """
    known = cases.where(cases.known)
    measured = _measured(known, threshold)
    predicted = known.score >= np.float32(threshold)
    shares = {"precision": predicted, "recall": known.success}
    found: dict[str, Any] = {}
    for name, bears in shares.items():
        count, value = int(bears.sum()), measured[name]
        if value is None:
            found[name] = {"count": 0, "need": None, "more": None, "random": None}
            continue
        need = labels_for_width(value, width)
        more = max(0, need - count)
        found[name] = {
            "count": count,
            "need": need,
            "more": more,
            "random": math.ceil(more * len(known.id) / count),
        }
    return found


def _slices(
    parts: Mapping[str, Cases], threshold: float, run_name: Callable[[str], str]
) -> dict[str, list[dict[str, Any]]]:
    """Measures by task, run, iteration and length, most labels first."""
    slices: dict[str, list[dict[str, Any]]] = {}
    for kind, part in parts.items():
        known = part.where(part.known)
        for by, name, chosen in _groupings(known, run_name):
            row = {"kind": kind, "name": name, **_measured(known.where(chosen), threshold)}
            slices.setdefault(by, []).append(row)
    return {
        by: sorted(rows, key=lambda row: -row["known"])[:MOST_ROWS] for by, rows in slices.items()
    }


def _groupings(
    cases: Cases, run_name: Callable[[str], str]
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """(slicing, name of a slice, its episodes)."""
    for task in sorted(set(cases.task)):
        yield "task", task, cases.task == task
    for run in sorted(set(cases.run)):
        yield "run", run_name(run) if run else "no run", cases.run == run
    for iteration in np.unique(cases.iteration[cases.iteration >= 0]):
        yield "iteration", str(iteration), cases.iteration == iteration
    if len(cases.length):
        edges = np.unique(np.linspace(cases.length.min(), cases.length.max() + 1, 5).astype(int))
        for low, high in pairwise(edges.tolist()):
            chosen = (cases.length >= low) & (cases.length < high)
            if chosen.any():
                yield "length", f"{low}–{high - 1} actions", chosen


def _trend(cases: Cases, threshold: float, run_name: Callable[[str], str]) -> list[dict[str, Any]]:
    """Precision of imagined episodes by run and iteration, where something is known."""
    points = []
    known = cases.where(cases.known & (cases.iteration >= 0))
    for run, iteration in sorted(set(zip(known.run, known.iteration.tolist(), strict=True))):
        part = known.where((known.run == run) & (known.iteration == iteration))
        measured = _measured(part, threshold)
        if measured["precision"] is not None:
            names = ("known", "precision", "precision_interval", "true_positives")
            points.append(
                {"run": run, "called": run_name(run or "shipped"), "iteration": iteration}
                | {name: measured[name] for name in names}
                | {"predicted": measured["true_positives"] + measured["false_positives"]}
            )
    return points


def _listed(cases: Cases) -> dict[str, list[Any]]:
    """Columns of every episode of known truth, highest score first."""
    order = np.argsort(-cases.score, kind="stable")
    return {
        "id": cases.id[order].tolist(),
        "score": np.round(cases.score[order].astype(np.float64), 6).tolist(),
        "success": cases.success[order].tolist(),
        "imagined": cases.imagined[order].tolist(),
        "human": cases.human[order].tolist(),
        "cut": cases.cut[order].tolist(),
    }


def _histogram(scores: npt.NDArray[np.float32]) -> list[int]:
    counts, _ = np.histogram(scores, HISTOGRAM_BINS, (0.0, 1.0))
    return [int(count) for count in counts]


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 4)


def _numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]
