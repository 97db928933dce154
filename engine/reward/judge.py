"""From window probabilities to the outcome of a trajectory (method.md §3)."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from engine.protocols import RewardModel
from engine.records.types import JudgeRules, Outcome


def window_ends(num_frames: int, rules: JudgeRules) -> Int64[np.ndarray, " windows"]:
    """Exclusive ends of the windows that count, increasing; none if the video is too short."""
    first = max(rules.first_end, rules.window)
    return np.arange(first, num_frames + 1, rules.stride, dtype=np.int64)


def later_window_ends(
    num_frames: int, judged_frames: int, rules: JudgeRules
) -> Int64[np.ndarray, " windows"]:
    """The ends of `window_ends` that a video of only `judged_frames` frames did not have yet."""
    ends = window_ends(num_frames, rules)
    return ends[ends > judged_frames]


def check_judgeable(num_frames: int, rules: JudgeRules) -> None:
    """Refuse a video in which no success could ever be seen.

    Raises:
        ValueError: no window of the rules fits, so that every trajectory would fail silently.
    """
    ends = window_ends(num_frames, rules)
    if len(ends) == 0 or (not rules.last_window_counts and ends[0] == num_frames):
        raise ValueError(
            f"the judge's first window ends at frame {max(rules.first_end, rules.window)}, so a "
            f"video of {num_frames} frames can never succeed"
        )


def outcome(
    ends: Int64[np.ndarray, " windows"],
    probabilities: Float[np.ndarray, " windows"],
    threshold: float,
    rules: JudgeRules,
    num_frames: int,
) -> Outcome:
    """The first window at or above the threshold decides; its last frame is the end step.

    Args:
        ends: exclusive window ends, increasing.
        probabilities: success probability of each window, in [0, 1].
        threshold: probability that counts as success.
        num_frames: frames of the whole trajectory (t + 1); a hit in the window that ends there
            counts only if the rules say so.

    Returns:
        A success at frame end - 1, or a failure at the last frame, num_frames - 1.
    """
    hits = probabilities >= threshold
    if not rules.last_window_counts:
        hits = hits & (ends < num_frames)
    if not hits.any():
        return Outcome(False, num_frames - 1)
    return Outcome(True, int(ends[np.argmax(hits)]) - 1)


def check_rules(reward_model: RewardModel, rules: JudgeRules, horizon: int) -> None:
    """Refuse to judge where no judgement could be right.

    Raises:
        ValueError: rules under which no video of the horizon can succeed, or of another window
            than the reward model reads.
    """
    check_judgeable(horizon + 1, rules)
    if rules.window != reward_model.window:
        raise ValueError(
            f"the judge asks for windows of {rules.window} frames, but the reward model reads "
            f"windows of {reward_model.window}"
        )


def judge_later_windows(
    reward_model: RewardModel,
    rules: JudgeRules,
    num_frames: int,
    judged_frames: int,
    frames_from: Callable[[int], Tensor],
) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
    """(ends, probabilities) of the windows of growing videos that were not judged yet.

    Args:
        num_frames: frames each video has now.
        judged_frames: frames each had when it was judged last.
        frames_from: index -> their frames from there on, uint8 [b, t, h, w, 3].
    """
    ends = later_window_ends(num_frames, judged_frames, rules)
    if len(ends) == 0:
        rows = len(frames_from(num_frames - 1))
        return torch.zeros(0, dtype=torch.int64), torch.zeros(rows, 0)
    tail = frames_from(int(ends[0]) - rules.window)
    _, probabilities = reward_model.probabilities(tail, replace(rules, first_end=rules.window))
    return torch.from_numpy(ends), probabilities.float().cpu()


class GrowingJudge:
    """Judges videos while they grow: each window once, whatever rows leave in between.

    Raises:
        ValueError: rules under which no video of the horizon can succeed, or of another window
            than the reward model reads.
    """

    def __init__(
        self, reward_model: RewardModel, rules: JudgeRules, threshold: float, horizon: int
    ) -> None:
        check_rules(reward_model, rules, horizon)
        self._reward_model, self._rules = reward_model, rules
        self._threshold, self._horizon = threshold, horizon
        self._judged_frames = 0
        self._ends: list[int] = []
        self._probabilities: dict[Hashable, list[float]] = {}

    def look(
        self, rows: Sequence[Hashable], num_frames: int, frames_from: Callable[[int], Tensor]
    ) -> None:
        """Judge the windows that ended since the last look.

        Args:
            rows: names of the rows still growing.
            num_frames: frames each of them has now.
            frames_from: index -> their frames from there on, uint8 [b, t, h, w, 3].
        """
        ends, probabilities = judge_later_windows(
            self._reward_model, self._rules, num_frames, self._judged_frames, frames_from
        )
        self._judged_frames = num_frames
        self._ends += ends.tolist()
        for row, values in zip(rows, probabilities.tolist(), strict=True):
            self._probabilities.setdefault(row, []).extend(values)

    def verdict(self, row: Hashable) -> tuple[Tensor, Tensor, Outcome]:
        """(window ends [w], probabilities [w], outcome) of a row as far as it was judged."""
        values = self._probabilities.get(row, [])
        ends = torch.tensor(self._ends[: len(values)], dtype=torch.int64)
        probabilities = torch.tensor(values, dtype=torch.float32)
        judged = outcome(
            ends.numpy(), probabilities.numpy(), self._threshold, self._rules, self._horizon + 1
        )
        return ends, probabilities, judged
