"""Rectified flow: noising, times, the training loss and the sampler (method.md §1.4).

Time runs from 0 (data) to 1000 (noise): x(t) = (1 - t/1000) x0 + t/1000 noise, velocity x0 - noise.
Functions of tensors only: noise and times are arguments.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from engine.seeding import randn
from engine.world_model.conditions import Conditions, Moments
from engine.world_model.transformer import ContextCache, STDiT

END = 1000.0
REFERENCE_SIZE = 512
ROWS_AT_ONCE = 16

Velocity = Callable[[Tensor, int], Tensor]
Denoise = Callable[[ContextCache, Tensor, Moments, Tensor], Tensor]


def timestep_transform(
    timesteps: Float[Tensor, "*b"],
    height: int,
    width: int,
    num_frames: int,
    *,
    scale: float = 1.0,
    reference_size: int = REFERENCE_SIZE,
) -> Float[Tensor, "*b"]:
    """Move times towards noise for big videos and towards data for small ones.

    The identity at half the reference size (256 px) and more than one frame: the released code
    counts every video as 4 frames.
    """
    frames = 1 if num_frames == 1 else 4
    ratio = math.sqrt(height * width) / reference_size * math.sqrt(frames) * scale
    return shift_timesteps(timesteps, ratio)


def shift_timesteps(timesteps: Float[Tensor, "*b"], ratio: float) -> Float[Tensor, "*b"]:
    """Move times towards noise (ratio above 1) or towards data (below 1); 0 and 1000 stay."""
    level = timesteps / END
    return END * ratio * level / (1.0 + (ratio - 1.0) * level)


def add_noise(
    latents: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], timesteps: Float[Tensor, " b"]
) -> Float[Tensor, "b ..."]:
    """Latents at the given times in [0, 1000]."""
    level = (timesteps / END).view(-1, *[1] * (latents.ndim - 1))
    return (1.0 - level) * latents + level * noise


def sample_timesteps(generators: Sequence[torch.Generator]) -> Float[Tensor, " b"]:
    """Training times in (0, 1000), one a generator: logit-normal, before any transform."""
    return END * torch.sigmoid(randn((1,), generators)[:, 0])


def sampling_timesteps(
    denoising_steps: int,
    height: int,
    width: int,
    num_frames: int,
    *,
    transform: bool = True,
    reference_size: int = REFERENCE_SIZE,
    ratio: float = 0.0,
) -> Float[Tensor, " n"]:
    """The denoising_steps + 1 times of the sampler, from 1000 down to 0.

    A `ratio` above 0 takes the place of the transform's own.

    Rounding in the transform may lift the first above 1000, where the released code fails: it is
    clamped.

    Raises:
        ValueError: fewer than one denoising step.
    """
    if denoising_steps < 1:
        raise ValueError(f"denoising_steps must be at least 1, not {denoising_steps}")
    times = END * (1.0 - torch.arange(denoising_steps + 1, dtype=torch.float32) / denoising_steps)
    if ratio:
        times = shift_timesteps(times, ratio)
    elif transform:
        times = timestep_transform(times, height, width, num_frames, reference_size=reference_size)
    return times.clamp(max=END)


def integrate(
    velocity: Velocity, noise: Float[Tensor, "b ..."], times: Float[Tensor, " n"]
) -> Float[Tensor, "b ..."]:
    """Euler's method from the first time to the last.

    Args:
        velocity: (x at a time, number of that time) -> velocity of x.
        noise: x at the first time.
        times: falling times in [0, 1000].
    """
    x = noise
    for step, (now, then) in enumerate(pairwise(times.tolist())):
        x = x + velocity(x, step) * ((now - then) / END)
    return x


def sample(
    transformer: STDiT,
    context: Float[Tensor, "b c n y x"],
    noise: Float[Tensor, "b c k y x"],
    actions: Float[Tensor, "b k a"],
    denoising_steps: int,
    height: int,
    width: int,
    *,
    transform: bool = True,
    ratio: float = 0.0,
    denoise: Denoise | None = None,
    conditions: Conditions | None = None,
) -> Float[Tensor, "b c k y x"]:
    """The k latents after n clean context latents, by `denoising_steps` Euler steps from noise.

    `denoise` may be the transformer's own step, compiled.
    """
    denoise = transformer.denoise if denoise is None else denoise
    cache = transformer.context(context, height, width, conditions)
    embedded = transformer.embed_actions(actions, conditions)
    times = sampling_timesteps(
        denoising_steps,
        height,
        width,
        context.shape[2] + noise.shape[2],
        transform=transform,
        reference_size=transformer.config.input_sq_size,
        ratio=ratio,
    )
    moments = transformer.embed_times(times[:-1].to(noise.device))
    return integrate(lambda x, step: denoise(cache, x, moments.one(step), embedded), noise, times)


def predict_latents(
    transformer: STDiT,
    latents: Float[Tensor, "b t z y x"],
    actions: Float[Tensor, "b k a"],
    noise: Float[Tensor, "b z k y x"],
    denoising_steps: int,
    height: int,
    width: int,
    *,
    ratio: float = 0.0,
    denoise: Denoise | None = None,
    conditions: Conditions | None = None,
) -> Float[Tensor, "b k z y x"]:
    """One chunk of a rollout, frames before channels as the rest of the studio has them.

    On a CPU some rows are taken to the end before the next begin: what they compute stays in the
    caches, and a row has the same bits in any company.

    Raises:
        ValueError: a wrong number of context latents, actions or numbers in an action.
    """
    config = transformer.config
    if latents.shape[1] != config.context_frames:
        raise ValueError(
            f"the world model takes {config.context_frames} context latents, not {latents.shape[1]}"
        )
    if tuple(actions.shape[1:]) != (config.chunk_size, config.action_dim):
        raise ValueError(
            f"the world model takes chunks of {config.chunk_size} actions of {config.action_dim} "
            f"numbers, not {actions.shape[1]} of {actions.shape[2]}"
        )
    rows = len(latents) if latents.device.type != "cpu" else ROWS_AT_ONCE
    futures = [
        sample(
            transformer,
            rearrange(latents[part], "b t z y x -> b z t y x"),
            noise[part],
            actions[part],
            denoising_steps,
            height,
            width,
            ratio=ratio,
            denoise=denoise,
            conditions=None if conditions is None else conditions.of(part),
        )
        for part in (slice(first, first + rows) for first in range(0, len(latents), rows))
    ]
    return rearrange(torch.cat(futures), "b z k y x -> b k z y x")


def velocity_loss(
    velocity: Float[Tensor, "b c k y x"],
    latents: Float[Tensor, "b c k y x"],
    noise: Float[Tensor, "b c k y x"],
) -> Float[Tensor, " b"]:
    """Mean squared error to the true velocity x0 - noise, of each row."""
    return rearrange((velocity - (latents - noise)).square(), "b ... -> b (...)").mean(dim=1)


def training_loss(
    transformer: STDiT,
    latents: Float[Tensor, "b c t y x"],
    actions: Float[Tensor, "b k a"],
    noise: Float[Tensor, "b c t y x"],
    timesteps: Float[Tensor, " b"],
    height: int,
    width: int,
    *,
    noisy_context: bool = True,
    deterministic: bool = False,
    conditions: Conditions | None = None,
) -> Float[Tensor, " b"]:
    """Loss of each clip: the last k frames are denoised, those before are context.

    # paper: noises the context to 50/1000; the released code, followed here, to 15/1000.

    Args:
        latents: clean latents of a clip.
        actions: normalised actions of the last k frames.
        noise: one draw for the whole clip, context frames too.
        timesteps: in [0, 1000], already transformed.
        height, width: size of the image in pixels.
        noisy_context: off leaves the context clean, as it is in a rollout.
        deterministic: the future is predicted in one step from no noise at all (a variant): its
            mean is learnt, and there is nothing to sample.
        conditions: what variants are told beside the actions.
    """
    n = latents.shape[2] - actions.shape[1]
    context = latents[:, :, :n]
    if noisy_context:
        given = timesteps.new_full(timesteps.shape, transformer.config.context_timestep)
        context = add_noise(context, noise[:, :, :n], given)
    future_noise = noise[:, :, n:]
    if deterministic:
        future_noise, timesteps = torch.zeros_like(future_noise), torch.full_like(timesteps, END)
    noisy = add_noise(latents[:, :, n:], future_noise, timesteps)
    cache = transformer.context(context, height, width, conditions)
    embedded = transformer.embed_actions(actions, conditions)
    velocity = transformer.denoise(cache, noisy, transformer.embed_times(timesteps), embedded)
    return velocity_loss(velocity, latents[:, :, n:], future_noise)
