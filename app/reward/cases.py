"""Scored episodes as columns: what a threshold does to thousands of them is array arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from engine.records.tasks import tasks
from engine.records.types import JudgeRules
from engine.reward.threshold_curves import Judged, episode_score
from storage.episodes.windows import ScoredEpisode

# Episode id -> one over its chance of being drawn, where a queue drew it unevenly on purpose.
Weights = Callable[[Sequence[str]], Mapping[str, float]]

PAIRED = "fidelity"  # its imagined episodes are as long as their real twins, not cut by the judge


@dataclass(frozen=True)
class Cases:
    """One entry an episode, all arrays of one length.

    Attributes:
        score: float32, the largest threshold at which the judge calls it a success.
        known: whether there is a truth: a person's success or failure of a dream that did not
            break; for a real episode without one, the simulator's or its recording's verdict.
        success: the truth where it is known.
        human: whether a person said it.
        outcome: what a person said, or "".
        cut: imagined only until the judge of that time saw a success: at a higher threshold
            nobody knows how it would have gone on.
        weight: of its label in estimates.
    """

    id: npt.NDArray[np.object_]
    score: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    success: npt.NDArray[np.bool_]
    human: npt.NDArray[np.bool_]
    outcome: npt.NDArray[np.object_]
    broke: npt.NDArray[np.bool_]
    imagined: npt.NDArray[np.bool_]
    cut: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    task: npt.NDArray[np.object_]
    run: npt.NDArray[np.object_]
    iteration: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]

    @property
    def judged(self) -> Judged:
        """For the curves; every episode must have a truth."""
        return Judged(self.score, self.success, self.weight)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Cases":
        """Some of them."""
        return Cases(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def cases_of(rows: Sequence[ScoredEpisode], weights: Weights) -> Cases:
    """The columns of scored episodes."""
    # The simulator knows every real episode: none of these was left out by a queue.
    weighted = weights([row.id for row in rows if row.imagined])
    said = [None if row.dream_broke and row.imagined else row.outcome for row in rows]
    human = np.array([outcome in ("success", "fail") for outcome in said], bool)
    imagined = np.array([row.imagined for row in rows], bool)
    success = [
        outcome == "success" if judged else row.success
        for row, outcome, judged in zip(rows, said, human, strict=True)
    ]
    return Cases(
        id=_words([row.id for row in rows]),
        score=np.array([score(row) for row in rows], np.float32),
        known=human | (~imagined & np.array([row.judged for row in rows], bool)),
        success=np.array(success, bool),
        human=human,
        outcome=_words([row.outcome or "" for row in rows]),
        broke=np.array([row.dream_broke for row in rows], bool),
        imagined=imagined,
        cut=np.array([cut_short(row) for row in rows], bool),
        weight=np.array([weighted.get(row.id, 1.0) for row in rows], np.float64),
        task=_words([row.task for row in rows]),
        run=_words([row.run or "" for row in rows]),
        iteration=np.array([-1 if row.iteration is None else row.iteration for row in rows]),
        length=np.array([row.num_actions for row in rows], np.int64),
    )


def score(row: ScoredEpisode) -> float:
    """The largest threshold at which the judge calls an episode a success."""
    ends, probabilities = windows(row)
    return episode_score(ends, probabilities, rules(row), whole_frames(row))


def windows(row: ScoredEpisode) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(ends, probabilities) as the judge takes them."""
    return np.array(row.ends, np.int64), np.array(row.probabilities, np.float32)


def rules(row: ScoredEpisode) -> JudgeRules:
    """The judge's rules of an episode's task; of a task without a record, the demo's."""
    task = tasks().get(row.task)
    return task.judge if task else JudgeRules()


def cut_short(row: ScoredEpisode) -> bool:
    """Whether the judge ended the dream before its horizon."""
    if not row.imagined or not row.success or row.source == PAIRED or row.task not in tasks():
        return False
    return row.num_actions < tasks()[row.task].horizon


def whole_frames(row: ScoredEpisode) -> int:
    """Frames of the episode, had the judge not ended it: which window is the very last one."""
    return (tasks()[row.task].horizon if cut_short(row) else row.num_actions) + 1


def _words(values: Sequence[str]) -> npt.NDArray[np.object_]:
    return np.array(values, object)
