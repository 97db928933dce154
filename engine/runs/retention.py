"""Which checkpoints of a run are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Retention(Config):
    """The newest checkpoints and, where a metric is named, the best one by it."""

    last: int = knob(2, "Newest checkpoints that are kept", low=2)
    best: str = knob("", "Metric whose best checkpoint is kept as well; empty: none")
    lowest: bool = knob(False, "The best is the lowest, as of a loss")

    def superfluous(self, steps: Sequence[int], points: Sequence[tuple[int, float]]) -> list[int]:
        """The checkpoints that may go.

        Args:
            steps: of all checkpoints, ascending.
            points: (step, value) of the metric, in the order it was logged; a checkpoint has the
                value of the last point up to its step.
        """
        kept = set(steps[-self.last :])
        sign = -1.0 if self.lowest else 1.0
        scored = [(sign * score, step) for step in steps for score in _score(step, points)]
        if scored:
            kept.add(max(scored)[1])
        return [step for step in steps if step not in kept]


def _score(step: int, points: Sequence[tuple[int, float]]) -> list[float]:
    """The value of the newest point up to a step; nothing where there is none."""
    known = [(at, number, value) for number, (at, value) in enumerate(points) if at <= step]
    return [max(known)[2]] if known else []
