"""Is a new reward model better than the old one? Asked of gold clips that neither learnt from."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from engine.records.types import Trajectory
from engine.statistics.intervals import Confusion

PARTS = ("real", "imagined")


def confusions(
    verdicts: Bool[np.ndarray, " n"], gold: Sequence[Trajectory]
) -> dict[str, Confusion]:
    """Counts of a model's verdicts on gold clips, of real and of imagined ones where there are
    any."""
    imagined = np.array([episode.imagined for episode in gold], dtype=bool)
    truth = np.array([episode.outcome.success for episode in gold], dtype=bool)
    masks = {"real": ~imagined, "imagined": imagined}
    return {
        part: Confusion.count(verdicts[mask], truth[mask])
        for part, mask in masks.items()
        if mask.any()
    }


def figures(when: str, found: Mapping[str, Confusion]) -> dict[str, float]:
    """Flat results: `gold/<part>_<when>_<precision | recall | f1>`, with `_low` and `_high`."""
    flat: dict[str, float] = {}
    for part, confusion in found.items():
        values = {
            "precision": confusion.precision,
            "recall": confusion.recall,
            "f1": confusion.f1,
        }
        for name, (low, high) in confusion.intervals().items():
            prefix = f"gold/{part}_{when}_{name}"
            flat |= {prefix: values[name], f"{prefix}_low": low, f"{prefix}_high": high}
    return flat


def verdict(before: Mapping[str, Confusion], after: Mapping[str, Confusion]) -> tuple[bool, str]:
    """(whether the new model may be called better, why in a sentence).

    It may if its F1 falls neither on real nor on imagined gold clips, and rises on one of them.
    """
    if not after:
        return False, "unknown: no labelled clip is gold, so nothing was tested"
    if not before:
        return False, "unknown: the model started afresh, there is none to compare it with"
    for part in PARTS:
        if part in after and after[part].f1 < before[part].f1:
            return False, f"worse: F1 on gold {part} clips fell {_change(part, before, after)}"
    for part in PARTS:
        if part in after and after[part].f1 > before[part].f1:
            return True, f"better: F1 on gold {part} clips rose {_change(part, before, after)}"
    return False, "no better: F1 on the gold clips did not change"


def _change(part: str, before: Mapping[str, Confusion], after: Mapping[str, Confusion]) -> str:
    num = after[part].positives + after[part].negatives
    return f"from {before[part].f1:.3f} to {after[part].f1:.3f} (n = {num})"
