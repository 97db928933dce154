"""Imagined twins: a real episode's first frame dreamt on under the same, or other, actions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange, repeat

from engine.dream.tree import decode_frames, next_context
from engine.images import to_model
from engine.protocols import WorldModel
from engine.records.types import Trajectory
from engine.seeding import row_generators


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
    chunks = max(-(-len(episode.actions) // model.chunk_size) for episode in episodes)
    length = chunks * model.chunk_size
    held = [a[np.minimum(np.arange(length), len(a) - 1)] for a in actions]
    y = rearrange(
        torch.from_numpy(np.stack(held)).float(), "b (n k) a -> n b k a", k=model.chunk_size
    )
    rows = [(episode.start_id, 0) for episode in episodes]
    starts = torch.from_numpy(np.stack([episode.frames[0] for episode in episodes]))
    latents = model.encode(to_model(starts), row_generators(seed, "encode", 0, rows=rows))
    context = repeat(latents, "b z y x -> b t z y x", t=model.context_frames)
    memory = model.begin(latents)
    video = [starts[:, None]]
    for chunk in range(chunks):
        generators = row_generators(seed, "world model", chunk, rows=rows)
        future = model.predict(context, y[chunk], generators, denoising_steps, memory)
        memory = model.remember(memory, y[chunk])
        context = next_context(context, future, anchored=model.anchored)
        video.append(decode_frames(model, future).cpu())
    frames = torch.cat(video, dim=1).numpy()
    return [frames[i, : len(e.actions) + 1] for i, e in enumerate(episodes)]
