"""Our world model against reference vectors: scheduler and autoencoder (method.md §1).

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from engine.parity.items import Item, compare, load_vectors, weights_of
from engine.parity.rollout import check_rollout
from engine.parity.transformer import check_wm_transformer
from engine.seeding import generator
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.flow import (
    add_noise,
    integrate,
    sample_timesteps,
    sampling_timesteps,
    timestep_transform,
    velocity_loss,
)

STATISTICAL = 0.02


def check_scheduler(path: Path) -> list[Item]:
    """Noising, timestep transform, sampling loop and loss with the published toy network."""
    scalars, tensors = load_vectors(path)
    height, width = scalars["image_hw"]
    noised = add_noise(tensors["noise.x0"], tensors["noise.eps"], tensors["noise.t"])
    items = [compare("noise.out", noised, tensors["noise.out"])]
    for name in sorted(tensors):
        if match := re.fullmatch(r"tt\.out_(frames|scale)(\d+)(?:p(\d+))?", name):
            frames = int(match[2]) if match[1] == "frames" else tensors["noise.x0"].shape[2]
            scale = float(f"{match[2]}.{match[3] or 0}") if match[1] == "scale" else 1.0
            ours = timestep_transform(tensors["tt.in"], height, width, frames, scale=scale)
            items.append(compare(name, ours, tensors[name]))
        elif match := re.fullmatch(r"sample\.out_steps(\d+)", name):
            items += _toy_sampling(scalars, tensors, int(match[1]))
    return [*items, *_toy_training(scalars, tensors), _time_quantiles(tensors)]


def _toy_velocity(
    scalars: dict[str, Any], x: Tensor, time: Tensor, actions: Tensor, mask: Tensor
) -> Tensor:
    """The vectors' toy network; all shapes [b c t y x], [b], [b k a], [b t]."""
    toy = scalars["toy_coefficients"]
    offset = toy["b"] * torch.tanh(time / scalars["num_timesteps"]) + toy["c"] * actions.mean(
        (1, 2)
    )
    velocity = toy["a"] * x + offset[:, None, None, None, None]
    return velocity * mask[:, None, :, None, None]


def _toy_sampling(scalars: dict[str, Any], tensors: dict[str, Tensor], steps: int) -> list[Item]:
    height, width = scalars["image_hw"]
    start, mask = tensors["sample.z"], tensors["sample.mask"].bool()
    seen: list[Tensor] = []

    def velocity(x: Tensor, step: int) -> Tensor:
        time = times[step].expand(len(x))
        seen.append(time)
        return _toy_velocity(scalars, x, time, tensors["sample.y"], mask)

    times = sampling_timesteps(steps, height, width, start.shape[2])
    moved = integrate(velocity, start, times)
    ours = torch.where(mask[:, None, :, None, None], moved, start)
    reference = f"sample.timesteps_steps{steps}"
    return [
        compare(f"sample.out_steps{steps}", ours, tensors[f"sample.out_steps{steps}"]),
        compare(reference, torch.stack(seen), tensors[reference]),
    ]


def _toy_training(scalars: dict[str, Any], tensors: dict[str, Tensor]) -> list[Item]:
    clean, noise, time = tensors["noise.x0"], tensors["noise.eps"], tensors["noise.t"]
    mask = tensors["train.mask"].bool()
    given = torch.full_like(time, float(scalars["cond_noise_timestep"]))
    active = mask[:, None, :, None, None]
    x = torch.where(active, add_noise(clean, noise, time), add_noise(clean, noise, given))
    velocity = _toy_velocity(scalars, x, time, tensors["train.y"], mask)
    losses = [
        velocity_loss(
            *(
                rearrange(part[row : row + 1], "b c t y x -> b t c y x")[:, mask[row]]
                for part in (velocity, clean, noise)
            )
        )
        for row in range(len(clean))
    ]  # a row may have any number of active frames
    return [
        compare("train.model_input", x, tensors["train.model_input"]),
        compare("train.model_t", time, tensors["train.model_t"]),
        compare("train.loss", torch.cat(losses), tensors["train.loss"]),
    ]


def _time_quantiles(tensors: dict[str, Tensor]) -> Item:
    one = generator(0, "parity", "times")
    levels = torch.tensor([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    ours = torch.quantile(sample_timesteps([one] * 20000), levels)
    name = "train.t_sample_quantiles"
    return compare(name, ours, tensors[name], STATISTICAL)


def check_vae(path: Path) -> list[Item]:
    """Posterior, scaled latents and decoded frames of the image autoencoder."""
    scalars, tensors = load_vectors(path)
    values = scalars["config"]
    autoencoder = Autoencoder(
        AutoencoderConfig(
            patch=1,
            block_channels=tuple(values["block_out_channels"]),
            layers_per_block=values["layers_per_block"],
            latent_channels=values["latent_channels"],
            norm_groups=values["norm_num_groups"],
            mid_attention=values.get("mid_block_add_attention", True),
            scaling_factor=float(scalars["scaling_factor"]),
            micro_batch=scalars["micro_batch_size"],
        )
    ).eval()
    autoencoder.kl.load_state_dict(weights_of(tensors))
    b = len(tensors["in.video"])
    frames = rearrange(tensors["in.video"], "b c t h w -> (b t) c h w")
    with torch.no_grad():
        mean, logvar = autoencoder.moments(frames)
        latents = autoencoder.encode_from(frames, tensors["in.noise_per_frame"])
        decoded = autoencoder.decode(rearrange(tensors["out.latent"], "b z t y x -> (b t) z y x"))
    return [
        compare("mid.mean", mean, tensors["mid.mean"]),
        compare("mid.logvar", logvar, tensors["mid.logvar"]),
        compare(
            "out.latent",
            rearrange(latents, "(b t) z y x -> b z t y x", b=b),
            tensors["out.latent"],
        ),
        compare(
            "out.decoded",
            rearrange(decoded, "(b t) c h w -> b c t h w", b=b),
            tensors["out.decoded"],
        ),
    ]


CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    "wm_transformer": check_wm_transformer,
    "scheduler": check_scheduler,
    "rollout": check_rollout,
    "vae": check_vae,
}
