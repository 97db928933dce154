"""How well a reward model judges whole episodes, and the threshold that serves it best."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool
from torch import Tensor

from engine.protocols import LatentRewardModel, RewardModel
from engine.records.types import Frames, JudgeRules, Trajectory
from engine.reward.judge import outcome
from engine.statistics.intervals import Confusion, wilson_interval

# (exclusive window ends, success probability of each window) of one episode
Windowed = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def judge_clip(
    model: RewardModel,
    frames: Frames,
    rules: JudgeRules,
    dream: tuple[Tensor, Tensor] | None = None,
) -> Windowed:
    """(window ends, probabilities) of one clip.

    Args:
        frames: uint8 [f, h, w, 3].
        dream: its latents [f or more, z, y, x] and normalised actions: what a judge of states
            reads, as it does in training.
    """
    if dream is not None and isinstance(model, LatentRewardModel):
        latents, actions = (part[None].float() for part in dream)
        ends, probabilities = model.latent_probabilities(latents, actions, rules)
    else:
        ends, probabilities = model.probabilities(torch.from_numpy(frames)[None], rules)
    count = int((ends <= len(frames)).sum())
    return ends[:count].cpu().numpy(), probabilities[0, :count].float().cpu().numpy()


def judge_all(
    model: RewardModel, episodes: Sequence[Trajectory], rules: JudgeRules
) -> list[Windowed]:
    """(window ends, probabilities) of each episode."""
    return [judge_clip(model, episode.frames, rules) for episode in episodes]


def verdicts(
    judged: Sequence[Windowed],
    episodes: Sequence[Trajectory],
    threshold: float,
    rules: JudgeRules,
) -> Bool[np.ndarray, " n"]:
    """Which episodes count as successes at a threshold."""
    return np.array(
        [
            outcome(ends, probabilities, threshold, rules, len(episode.frames)).success
            for (ends, probabilities), episode in zip(judged, episodes, strict=True)
        ],
        dtype=bool,
    )


def truths(episodes: Sequence[Trajectory]) -> Bool[np.ndarray, " n"]:
    """Which episodes are successes: as the simulator or a person said."""
    return np.array([episode.outcome.success for episode in episodes], dtype=bool)


def peaks(judged: Sequence[Windowed]) -> npt.NDArray[np.float64]:
    """The largest window probability of each episode [n]; 0 where no window fits."""
    return np.array([float(p.max()) if len(p) else 0.0 for _, p in judged])


def scores(
    judged: Sequence[Windowed],
    episodes: Sequence[Trajectory],
    threshold: float,
    rules: JudgeRules,
) -> dict[str, float]:
    """Trajectory-level precision, recall and F1 of a threshold, with counts and the accuracy's
    Wilson interval."""
    found = Confusion.count(verdicts(judged, episodes, threshold, rules), truths(episodes))
    correct = found.true_positives + found.true_negatives
    low, high = wilson_interval(correct, len(episodes))
    return {
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "accuracy": correct / len(episodes),
        "accuracy_low": low,
        "accuracy_high": high,
        "successes": float(found.positives),
        "failures": float(found.negatives),
    }


def choose_threshold(
    judged: Sequence[Windowed], episodes: Sequence[Trajectory], rules: JudgeRules
) -> tuple[float, dict[str, float]]:
    """The best of 36 thresholds in [0.3, 1) by F1 (ties: the middle one), and its scores."""
    candidates = np.linspace(0.3, 0.99, 36)
    found = [scores(judged, episodes, float(t), rules) for t in candidates]
    f1 = np.array([score["f1"] for score in found])
    best = np.flatnonzero(f1 == f1.max())
    index = int(best[len(best) // 2])
    return round(float(candidates[index]), 3), found[index]
