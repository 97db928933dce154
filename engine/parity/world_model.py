"""Our world model against reference vectors: scheduler, autoencoder, rollout (method.md §1).

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from engine.images import to_model, to_pixels
from engine.parity.items import Item, compare, load_vectors, weights_of
from engine.parity.transformer import check_wm_transformer, released_transformer
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
from engine.world_model.model import predict_latents
from engine.world_model.transformer import STDiT

STATISTICAL = 0.02
ONE_GREY_LEVEL = 1.0 / 255.0
OFF_BY_ONE_SHARE = 0.03
FULL_FRAME = 9
TOY_PIXELS = 8


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
    seen = []

    def velocity(x: Tensor, time: Tensor) -> Tensor:
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


class ToyDreams:
    """A `WorldModel` of a rollout file: the real transformer, the file's linear autoencoder, and
    its stored noise, a chunk at a time."""

    def __init__(self, scalars: dict[str, Any], tensors: dict[str, Tensor], stdit: STDiT) -> None:
        self.transformer = stdit
        self.tensors = tensors
        self.height, self.width = scalars["image_hw"]
        self.denoising_steps = scalars["sampling_steps"]
        self.latents: list[Tensor] = []

    @property
    def context_frames(self) -> int:
        return self.transformer.config.context_frames

    @property
    def chunk_size(self) -> int:
        return self.transformer.config.chunk_size

    @property
    def action_dim(self) -> int:
        return self.transformer.config.action_dim

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return (
            self.transformer.config.in_channels,
            self.height // TOY_PIXELS,
            self.width // TOY_PIXELS,
        )

    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Pooled colours times a matrix; nothing is drawn."""
        pooled = reduce(frames, "b c (y p) (x q) -> b c y x", "mean", p=TOY_PIXELS, q=TOY_PIXELS)
        return einsum(self.tensors["vae.enc"], pooled, "z c, b c y x -> b z y x")

    def predict(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        generators: Sequence[torch.Generator],
        denoising_steps: int,
    ) -> Float[Tensor, "b k z y x"]:
        """The studio's prediction from the file's next noise."""
        noise = self.tensors["noise"][len(self.latents)]
        future = predict_latents(
            self.transformer, latents, actions, noise, denoising_steps, self.height, self.width
        )
        self.latents.append(future)
        return future

    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Latents times a matrix, tanh, each pixel repeated."""
        colours = torch.tanh(einsum(self.tensors["vae.dec"], latents, "c z, b z y x -> b c y x"))
        return repeat(colours, "b c y x -> b c (y p) (x q)", p=TOY_PIXELS, q=TOY_PIXELS)


def toy_actions(tensors: dict[str, Tensor], images: Tensor, action_dim: int) -> Tensor:
    """The file's toy policy: uint8 images [b h w 3] to normalised actions [b k a]."""
    colours = reduce(images.float() / 255.0, "b h w c -> b c", "mean")
    flat = torch.tanh(colours @ tensors["policy.W"].T + tensors["policy.b"])
    return rearrange(flat, "b (k a) -> b k a", a=action_dim)


def steadied(frame: Tensor, reference: Tensor) -> Tensor:
    """Put back the values of a frame [b h w 3] that rounding alone moved by one grey level.

    The toy policy reads the mean colour: one grey level in one cell of the toy decoder would
    already move its actions by more than 1e-4.

    Args:
        reference: the file's frame, one value a cell, [b y x 3].
    """
    cells = repeat(reference, "b y x c -> b (y p) (x q) c", p=TOY_PIXELS, q=TOY_PIXELS)
    return torch.where((frame.int() - cells.int()).abs() <= 1, cells, frame)


def check_rollout(path: Path) -> list[Item]:
    """The imagined rollout: latents carried on, frames truncated to uint8 (method.md §1.6).

    A grey level can fall on either side of an integer by rounding alone, so frames may be off by
    one in a few values of a hundred; rounding instead of truncating would move half of them.
    """
    scalars, tensors = load_vectors(path)
    weights = path.with_name(scalars["world_model_weights"].split()[0])
    dreams = ToyDreams(scalars, tensors, released_transformer(*load_vectors(weights)))
    frame = repeat(tensors["images"], "b h w c -> (b r) h w c", r=scalars["repeat"])
    start = dreams.encode(to_model(frame), [])
    context = repeat(start, "b z y x -> b t z y x", t=dreams.context_frames)
    actions, video = [], [frame[:, None]]
    with torch.no_grad():
        for chunk in range(scalars["chunks"]):
            if chunk > 0:
                frame = steadied(frame, tensors["video"][:, chunk * dreams.chunk_size])
            actions.append(toy_actions(tensors, frame, dreams.action_dim))
            future = dreams.predict(context, actions[-1], [], dreams.denoising_steps)
            context = torch.cat([context, future], dim=1)[:, -dreams.context_frames :]
            decoded = dreams.decode(rearrange(future, "b k z y x -> (b k) z y x"))
            video.append(rearrange(to_pixels(decoded), "(b k) h w c -> b k h w c", b=len(frame)))
            frame = video[-1][:, -1]
    frames = torch.cat(video, dim=1)
    latents = rearrange(torch.stack(dreams.latents), "n b k z y x -> n b z k y x")
    return [
        compare("actions", torch.stack(actions), tensors["actions"]),
        compare("latents", latents, tensors["latents"]),
        *_pixels("video", frames[:, :, ::TOY_PIXELS, ::TOY_PIXELS], tensors["video"]),
        *_pixels("video_full_first", frames[0, FULL_FRAME], tensors["video_full_first"]),
    ]


def _pixels(name: str, ours: Tensor, reference: Tensor) -> list[Item]:
    if ours.shape != reference.shape:
        return [compare(name, ours, reference)]
    difference = (ours.int() - reference.int()).abs()
    return [
        Item(f"{name} (grey levels / 255)", difference.max().item() / 255.0, ONE_GREY_LEVEL),
        Item(f"{name} (share off)", (difference > 0).float().mean().item(), OFF_BY_ONE_SHARE),
    ]


CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    "wm_transformer": check_wm_transformer,
    "scheduler": check_scheduler,
    "rollout": check_rollout,
    "vae": check_vae,
}
