"""The first use of models just loaded: what each part of imagining takes, in milliseconds."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from einops import repeat

from engine.images import to_model, to_pixels
from engine.protocols import Policy, RewardModel, WorldModel
from engine.records.types import JudgeRules
from engine.seeding import row_generators


@torch.no_grad()
def time_models(
    policy: Policy,
    world_model: WorldModel,
    reward_model: RewardModel,
    *,
    image_size: int,
    instruction: str,
    rules: JudgeRules,
    denoising_steps: int,
) -> dict[str, float]:
    """Milliseconds of one row: policy act, world model chunk, decoding it, judging one window.

    Each runs once before it is timed: the first call of a model also prepares kernels.
    """
    images = torch.full((1, image_size, image_size, 3), 127, dtype=torch.uint8)
    generators = row_generators(0, "warm-up", rows=[(0, 0)])
    chunk = policy.act(images, [instruction], generators, 1.0)
    latents = world_model.encode(to_model(images), generators)
    context = repeat(latents, "b z y x -> b t z y x", t=world_model.context_frames)
    memory = world_model.begin(latents)
    future = world_model.predict(context, chunk.actions, generators, denoising_steps, memory)
    video = repeat(images, "b h w c -> b t h w c", t=rules.window)
    window = replace(rules, first_end=rules.window)
    return {
        "act": _milliseconds(lambda: policy.act(images, [instruction], generators, 1.0).actions),
        "chunk": _milliseconds(
            lambda: world_model.predict(context, chunk.actions, generators, denoising_steps, memory)
        ),
        "decode": _milliseconds(lambda: to_pixels(world_model.decode(future[0]))),
        "judge": _milliseconds(lambda: reward_model.probabilities(video, window)[1]),
    }


def _milliseconds(run: Callable[[], Any]) -> float:
    run().cpu()  # a GPU has finished only when its result is here
    begin = time.perf_counter()
    run().cpu()
    return 1e3 * (time.perf_counter() - begin)
