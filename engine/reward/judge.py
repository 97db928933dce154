"""From window probabilities to the outcome of a trajectory (method.md §3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from engine.protocols import LatentRewardModel, RewardModel
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


@dataclass(frozen=True)
class Sight:
    """What may be seen of growing videos; nothing is made before it is asked for.

    Attributes:
        rows: how many videos.
        frames_from: index -> their frames from there on, uint8 [b, t, h, w, 3].
        dream: () -> (latents [b, f, z, y, x] from the start on, normalised actions [b, t, a]).
    """

    rows: int
    frames_from: Callable[[int], Tensor]
    dream: Callable[[], tuple[Tensor, Tensor]]


def judge_later_windows(
    reward_model: RewardModel,
    rules: JudgeRules,
    num_frames: int,
    judged_frames: int,
    sight: Sight,
) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
    """(ends, probabilities) of the windows of growing videos that were not judged yet.

    Args:
        num_frames: frames each video has now.
        judged_frames: frames each had when it was judged last.
        sight: what may be seen of them.
    """
    ends = later_window_ends(num_frames, judged_frames, rules)
    if len(ends) == 0:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(sight.rows, 0)
    if isinstance(reward_model, LatentRewardModel):
        latents, actions = sight.dream()
        _, probabilities = reward_model.latent_probabilities(latents, actions, rules)
        return torch.from_numpy(ends), probabilities[:, -len(ends) :].float().cpu()
    tail = sight.frames_from(int(ends[0]) - rules.window)
    _, probabilities = reward_model.probabilities(tail, replace(rules, first_end=rules.window))
    return torch.from_numpy(ends), probabilities.float().cpu()
