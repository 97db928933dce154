"""Imagined twins: a real episode's first frame dreamt on under the same, or other, actions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.dream.open_loop import held, open_loop
from engine.dream.tree import decode_frames
from engine.protocols import WorldModel
from engine.records.types import Trajectory


@torch.no_grad()
def imagine_twins(
    model: WorldModel,
    episodes: Sequence[Trajectory],
    actions: Sequence[npt.NDArray[Any]],
    *,
    seed: int,
    denoising_steps: int,
) -> list[npt.NDArray[np.uint8]]:
    """Imagine each episode's start under given normalised actions; a video as long as the episode.

    Shorter action sequences are held at their last action. A twin depends on its episode's start
    id and actions, not on the others of the batch.

    Args:
        actions: of each episode, in [-1, 1], [its own length, a].
    """
    longest = max(len(episode.actions) for episode in episodes)
    rows = [(episode.start_id, 0) for episode in episodes]
    sampler = {"seed": seed, "denoising_steps": denoising_steps}
    _, *chunks = open_loop(
        model, episodes, held(actions, longest, model.chunk_size), rows=rows, **sampler
    )
    starts = torch.from_numpy(np.stack([episode.frames[0] for episode in episodes]))
    video = [starts[:, None], *(decode_frames(model, chunk).cpu() for chunk in chunks)]
    frames = torch.cat(video, dim=1).numpy()
    return [frames[i, : len(e.actions) + 1] for i, e in enumerate(episodes)]
