"""The frame autoencoder: diffusers `AutoencoderKL`, one frame at a time (method.md §1.5)."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from engine.config import Config, knob
from engine.libraries import from_library
from engine.seeding import randn


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Config):
    """Sizes of an `AutoencoderKL`; the defaults are the demo's, `sdxl()` the released one's."""

    patch: int = knob(2, "Pixels folded into channels first, per side (1: none)", low=1)
    block_channels: tuple[int, ...] = knob((32, 64, 64), "Channels of each resolution", low=1)
    layers_per_block: int = knob(1, "Residual layers of each resolution", low=1)
    latent_channels: int = knob(8, "Channels of a latent", low=1)
    norm_groups: int = knob(8, "Groups of each GroupNorm", low=1)
    mid_attention: bool = knob(True, "Self-attention at the coarsest resolution")
    scaling_factor: float = knob(1.0, "Latents are multiplied by this", low=0.0)
    mean_frame_size: tuple[int, ...] = knob(
        (1, 1), "Rows and columns of the frame that is subtracted; 1, 1 subtracts nothing", low=1
    )
    micro_batch: int = knob(16, "Frames in one convolution call; part of the replay record", low=1)

    @classmethod
    def sdxl(cls) -> "AutoencoderConfig":
        """The SDXL autoencoder of the released checkpoints."""
        return cls(
            patch=1,
            block_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            norm_groups=32,
            scaling_factor=0.13025,
            micro_batch=64,
        )

    @property
    def downsampling(self) -> int:
        """Pixels a latent cell covers on each side."""
        return int(self.patch * 2 ** (len(self.block_channels) - 1))


class Autoencoder(nn.Module):
    """Frames in [-1, 1] to scaled latents and back.

    Convolutions do not give identical bits at different batch sizes, so outside training every
    call is padded to micro-batches of a fixed size (design.md §5): a frame's latent does not
    depend on its neighbours.
    """

    mean_frame: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        levels = len(config.block_channels)
        # A fixed camera sees mostly the same; the network codes what differs from that frame.
        self.register_buffer("mean_frame", torch.zeros(3, *config.mean_frame_size))
        self.kl = from_library("diffusers", "AutoencoderKL")(  # two seconds: where needed
            in_channels=3 * config.patch**2,
            out_channels=3 * config.patch**2,
            block_out_channels=config.block_channels,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=config.layers_per_block,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_groups,
            mid_block_add_attention=config.mid_attention,
            scaling_factor=config.scaling_factor,
        )

    @property
    def scaling_factor(self) -> float:
        """Latents are multiplied by this after encoding and divided by it before decoding."""
        return self.config.scaling_factor

    def in_micro_batches_of(self, frames: int) -> "Autoencoder":
        """The same weights, shared, whose convolutions take so many frames at once."""
        other = copy.copy(self)
        other.config = self.config.replace(micro_batch=frames)
        return other

    def moments(
        self, frames: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b z y x"], Float[Tensor, "b z y x"]]:
        """Mean and log-variance of the posterior, unscaled."""
        folded = F.pixel_unshuffle(frames - self.mean_frame, self.config.patch)
        posterior = self.kl.encode(folded.to(self.kl.dtype)).latent_dist
        return posterior.mean.float(), posterior.logvar.float()

    def reconstruct(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Unscaled latents to frames, differentiable, in one call."""
        folded = self.kl.decode(latents.to(self.kl.dtype)).sample.float()
        return F.pixel_shuffle(folded, self.config.patch) + self.mean_frame

    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Scaled latents, sampled from the posterior with one generator a frame."""
        rows, columns = (side // self.config.downsampling for side in frames.shape[-2:])
        noise = randn((self.config.latent_channels, rows, columns), generators)
        return self.encode_from(frames, noise.to(frames))

    def encode_from(
        self, frames: Float[Tensor, "b c h w"], noise: Float[Tensor, "b z y x"]
    ) -> Float[Tensor, "b z y x"]:
        """`encode` with its noise given; deterministic."""
        moments = self._in_micro_batches(lambda x: torch.cat(self.moments(x), dim=1), frames)
        mean, logvar = moments.chunk(2, dim=1)
        return (mean + torch.exp(0.5 * logvar) * noise) * self.scaling_factor

    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Frames in about [-1, 1], not clipped."""
        return self._in_micro_batches(self.reconstruct, latents / self.scaling_factor)

    def _in_micro_batches(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        size, count = self.config.micro_batch, len(rows)
        if count % size:
            padding = rows[-1:].expand(size - count % size, *rows.shape[1:])
            rows = torch.cat([rows, padding])
        return torch.cat([function(part) for part in rows.split(size)])[:count]
