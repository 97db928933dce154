"""Imagined twins: a real episode's first frame dreamt on under the same, or other, actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.dream.open_loop import held, open_loop
from engine.dream.tree import decode_frames
from engine.protocols import WorldModel
from engine.records.types import Trajectory


@dataclass(frozen=True)
class Twin:
    """A dream of an episode, as long as the episode.

    Attributes:
        frames: uint8 [t + 1, h, w, 3].
        latents: from the start on, [n + 1, z, y, x], n: t in whole chunks.
        actions: normalised, [n, a].
    """

    frames: npt.NDArray[np.uint8]
    latents: Tensor
    actions: Tensor


@torch.no_grad()
def imagine_twins(
    model: WorldModel,
    episodes: Sequence[Trajectory],
    actions: Sequence[npt.NDArray[Any]],
    *,
    seed: int,
    denoising_steps: int,
) -> list[Twin]:
    """Imagine each episode's start under given normalised actions.

    Shorter action sequences are held at their last action. A twin depends on its episode's start
    id and actions, not on the others of the batch.

    Args:
        actions: of each episode, in [-1, 1], [its own length, a].
    """
    longest = max(len(episode.actions) for episode in episodes)
    rows = [(episode.start_id, 0) for episode in episodes]
    acted = held(actions, longest, model.chunk_size)
    sampler = {"seed": seed, "denoising_steps": denoising_steps}
    first, *chunks = open_loop(model, episodes, acted, rows=rows, **sampler)
    starts = torch.from_numpy(np.stack([episode.frames[0] for episode in episodes]))
    video = [starts[:, None], *(decode_frames(model, chunk).cpu() for chunk in chunks)]
    frames, latents = torch.cat(video, dim=1).numpy(), torch.cat([first, *chunks], dim=1)
    lengths = [len(episode.actions) for episode in episodes]
    whole = [-(-length // model.chunk_size) * model.chunk_size for length in lengths]
    return [
        Twin(frames[i, : length + 1], latents[i, : n + 1], acted[i, :n])
        for i, (length, n) in enumerate(zip(lengths, whole, strict=True))
    ]
