"""What a reward model learns from: windows of episodes, sorted and balanced (method.md §3)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from engine.data.episode_set import EpisodeSet
from engine.reward.classifier import VideoReward


@dataclass(frozen=True)
class Kind:
    """Windows of one kind.

    Attributes:
        rows: first frame row of each window, in the flat frames.
        chances: how likely each is drawn, adding up to 1; None: all alike.
    """

    rows: Int64[np.ndarray, " m"]
    chances: Float[np.ndarray, " m"] | None

    def draw(self, num: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """First rows of `num` windows, with replacement."""
        return random.choice(self.rows, num, p=self.chances)


@dataclass(frozen=True)
class Windows:
    """Windows of a set of episodes by kind.

    Attributes:
        successes, early, failures: early ones come before the success of an episode.
        copies: the flat frames, and where there is one, the frames an autoencoder blurred.
    """

    successes: Kind
    early: Kind
    failures: Kind
    copies: tuple[Tensor, ...]


def cut_windows(
    episodes: EpisodeSet,
    copies: tuple[Tensor, ...],
    window: int,
    *,
    late: int,
    gap: int,
    favoured: Bool[np.ndarray, " episodes"] | None = None,
    favoured_share: float = 0.5,
) -> Windows:
    """Sort every window of every episode into success, early (before it) and failure.

    # paper: one positive slot (the last clip) and one random earlier negative an episode; here all
    # windows are used, balanced in the batch, and those just before the success are left out.

    Args:
        favoured: episodes that together make up `favoured_share` of the draws of each kind,
            however few they are.

    Raises:
        ValueError: no success or no failure to learn from.
    """
    kinds: tuple[list[int], list[int], list[int]] = ([], [], [])
    marks: tuple[list[bool], list[bool], list[bool]] = ([], [], [])
    for index in range(len(episodes)):
        first, frames = int(episodes.first_frame[index]), int(episodes.lengths[index]) + 1
        success_end = int(episodes.end_steps[index]) + 1
        for end in range(window, frames + 1):
            if not episodes.successes[index]:
                kind = 2
            elif success_end <= end <= success_end + late:
                kind = 0
            elif end < success_end - gap:
                kind = 1
            else:
                continue
            kinds[kind].append(first + end - window)
            marks[kind].append(favoured is not None and bool(favoured[index]))
    if not kinds[0] or not kinds[2]:
        raise ValueError("the reward model needs both successful and failed episodes to learn from")
    successes, early, failures = (
        Kind(np.array(rows, dtype=np.int64), chances(np.array(mark, dtype=bool), favoured_share))
        for rows, mark in zip(kinds, marks, strict=True)
    )
    return Windows(successes, early if kinds[1] else failures, failures, copies)


def chances(favoured: Bool[np.ndarray, " m"], share: float) -> Float[np.ndarray, " m"] | None:
    """Chances with which the favoured ones are drawn in `share` of the cases; None: all alike."""
    num = int(favoured.sum())
    if num in (0, len(favoured)):
        return None
    return np.where(favoured, share / num, (1.0 - share) / (len(favoured) - num))


def draw_batch(
    windows: Windows,
    model: VideoReward,
    random: np.random.Generator,
    *,
    batch_size: int,
    largest_shift: int,
    blurred_share: float = 0.0,
) -> tuple[Float[Tensor, "b t c y x"], Int64[Tensor, " b"]]:
    """(pixels as the model reads them, labels): half successes, the rest early and failures.

    Args:
        largest_shift: clips are moved by up to this many pixels.
        blurred_share: share of clips that went through the autoencoder, where there is one.
    """
    half, quarter = batch_size // 2, batch_size // 4
    first = np.concatenate(
        [
            windows.successes.draw(half, random),
            windows.early.draw(quarter, random),
            windows.failures.draw(batch_size - half - quarter, random),
        ]
    )
    rows = torch.from_numpy(first[:, None] + np.arange(model.window))
    frames = windows.copies[0][rows]
    if len(windows.copies) > 1:
        blur = torch.from_numpy(random.uniform(size=len(rows)) < blurred_share)
        frames = torch.where(blur[:, None, None, None, None], windows.copies[1][rows], frames)
    gain = torch.from_numpy(random.uniform(0.9, 1.1, (len(rows), 1, 1, 1, 1)).astype(np.float32))
    pixels = model.preprocess(shifted(frames, largest_shift, random)) * gain
    labels = torch.zeros(batch_size, dtype=torch.int64)
    labels[:half] = 1
    return pixels, labels


def shifted(frames: Tensor, largest: int, random: np.random.Generator) -> Tensor:
    """Move each clip [b, t, h, w, 3] by its own whole pixels; the border repeats its edge."""
    if not largest:
        return frames
    height, width = frames.shape[2:4]
    moves = random.integers(-largest, largest + 1, (len(frames), 2))
    rows = (np.arange(height) + moves[:, :1]).clip(0, height - 1)
    columns = (np.arange(width) + moves[:, 1:]).clip(0, width - 1)
    return torch.stack(
        [
            clip[:, torch.from_numpy(r)][:, :, torch.from_numpy(c)]
            for clip, r, c in zip(frames, rows, columns, strict=True)
        ]
    )
