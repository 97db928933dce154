"""The regression test of a retrained reward model, and where it and its parent disagree."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from engine.protocols import Run
from engine.records.types import JudgeRules, Trajectory
from engine.reward.classifier import VideoReward
from engine.reward.regression import confusions, figures, verdict
from engine.reward.scores import Windowed, judge_all, peaks, truths, verdicts
from engine.runs.names import DISAGREEMENTS
from engine.statistics.intervals import Confusion


class GoldTest:
    """Judges gold clips, before and after a training."""

    def __init__(self, gold: Sequence[Trajectory], rules: JudgeRules) -> None:
        self._gold, self._rules = list(gold), rules
        self._old: VideoReward | None = None
        self._before: dict[str, Confusion] = {}

    def before(self, model: VideoReward) -> None:
        """Judge with the model as it is now, and remember it."""
        self._old = deepcopy(model).eval()
        self._before = self._confusions(model)

    def after(self, model: VideoReward) -> dict[str, Any]:
        """Figures of both models on the gold clips; `gold/better` and why (`gold/verdict`)."""
        found = self._confusions(model)
        better, why = verdict(self._before, found)
        return {
            **figures("before", self._before),
            **figures("after", found),
            **{f"gold/{part}_clips": c.positives + c.negatives for part, c in found.items()},
            "gold/better": better,
            "gold/verdict": why,
        }

    def compare(self, run: Run, model: VideoReward, learnt: Sequence[Trajectory]) -> None:
        """Keep every labelled clip on which old model, new model and person are not of one mind."""
        clips = [*self._gold, *learnt]
        new = judge_all(model, clips, self._rules)
        columns = {"new": self._describe(model, new, clips)}
        if self._old is not None:
            columns["old"] = self._describe(
                self._old, judge_all(self._old, clips, self._rules), clips
            )
        rows = [
            {
                "episode": clip.id,
                "imagined": clip.imagined,
                "gold": place < len(self._gold),
                "human": human,
                **{name: said[place] for name, said in columns.items()},
            }
            for place, (clip, human) in enumerate(zip(clips, truths(clips).tolist(), strict=True))
        ]
        differing = [
            row for row in rows if any(row[name]["success"] != row["human"] for name in columns)
        ]
        run.write_document(DISAGREEMENTS, {"clips": len(clips), "rows": differing})

    def _confusions(self, model: VideoReward) -> dict[str, Confusion]:
        judged = judge_all(model, self._gold, self._rules)
        found = verdicts(judged, self._gold, model.success_threshold, self._rules)
        return confusions(found, self._gold)

    def _describe(
        self, model: VideoReward, judged: Sequence[Windowed], clips: Sequence[Trajectory]
    ) -> list[dict[str, Any]]:
        successes = verdicts(judged, clips, model.success_threshold, self._rules)
        return [
            {"probability": round(float(peak), 4), "success": success}
            for peak, success in zip(peaks(judged), successes.tolist(), strict=True)
        ]
