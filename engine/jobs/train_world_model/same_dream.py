"""One held-out episode's actions, dreamt before and after: what a training changed, to be seen."""

import numpy as np
import torch
from einops import rearrange

from engine.dream.open_loop import dream_latents, held_actions
from engine.images import to_pixels
from engine.protocols import Run
from engine.records.types import Normalization, Outcome, Trajectory
from engine.world_model.model import LatentWorldModel

DENOISING_STEPS = 4


@torch.no_grad()
def record_same_dream(
    model: LatentWorldModel,
    run: Run,
    episode: Trajectory,
    statistics: Normalization,
    *,
    seed: int,
    step: int,
) -> None:
    """Dream a real episode's own actions with the model as it is; the noise is always the same.

    Nobody judges it: it carries the outcome of the episode whose actions it repeats.
    """
    actions = held_actions([episode], statistics, model.chunk_size)
    training = model.transformer.training
    model.eval()
    latents = dream_latents(model, [episode], actions, seed=seed, denoising_steps=DENOISING_STEPS)
    frames = to_pixels(model.decode(rearrange(latents, "b f z y x -> (b f) z y x")))
    model.transformer.train(training)
    count = len(episode.actions) + 1
    run.record(
        Trajectory(
            id=f"probe-{step:06d}-{episode.start_id}",
            task=episode.task,
            start_id=episode.start_id,
            instruction=episode.instruction,
            imagined=True,
            outcome=Outcome(episode.outcome.success, len(episode.actions)),
            frames=np.ascontiguousarray(frames.cpu().numpy()[:count]),
            actions=episode.actions,
            lineage={"iteration": step, "probe": True, "same_as": episode.id},
        )
    )
