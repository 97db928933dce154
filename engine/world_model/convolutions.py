"""3 x 3 convolutions around the transformer: a variant that sees what is smaller than a token.

A patch of 2 x 2 latents is one token, and a mug is smaller than that. The stem adds features of
each latent's neighbourhood, beside the last context latent, to the tokens; the head adds details
at the same places to the velocity.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from engine.world_model.blocks import steady

STEADY_FRAMES = 8
MAPS = 8
PAINTER_HIDDEN = 128


def convolve(layers: nn.Module, frames: Float[Tensor, "f c y x"]) -> Float[Tensor, "f d y x"]:
    """Apply convolutions; without gradients 8 frames at a time, whatever the batch.

    The rounding of a convolution may depend on how many frames it is given: padded to one number,
    a frame's result does not depend on how many it came with.
    """
    if torch.is_grad_enabled():
        return layers(frames)
    parts = []
    for part in frames.split(STEADY_FRAMES):
        padded = F.pad(part, (0, 0, 0, 0, 0, 0, 0, STEADY_FRAMES - len(part)))
        parts.append(layers(padded)[: len(part)])
    return torch.cat(parts)


class Painter(nn.Module):
    """States as maps: what a frame is told of them, painted where latents are."""

    def __init__(self, features: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.layers = nn.Sequential(
            nn.Linear(features, PAINTER_HIDDEN),
            nn.SiLU(),
            nn.Linear(PAINTER_HIDDEN, MAPS * side**2),
        )

    def forward(self, states: Float[Tensor, "b t f"]) -> Float[Tensor, "b m t y x"]:
        """Maps of every frame."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        painted = steady(self.layers, states.to(first.weight.dtype))
        return rearrange(painted, "b t (m y x) -> b m t y x", y=self.side, x=self.side)


class Stem(nn.Module):
    """Features of latents beside the last context latent, and what they add to the tokens."""

    def __init__(
        self, latent_channels: int, channels: int, patch: int, width: int, maps: int = 0
    ) -> None:
        super().__init__()
        self.patch, self.maps = patch, maps
        self.layers = nn.Sequential(
            nn.Conv2d(2 * latent_channels + maps, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
        )
        self.project = nn.Linear(patch**2 * channels, width)

    def forward(
        self,
        latents: Float[Tensor, "b z t y x"],
        last: Float[Tensor, "b z 1 y x"],
        maps: Float[Tensor, "b m t y x"] | None = None,
    ) -> tuple[Float[Tensor, "f c y x"], Float[Tensor, "t b s d"]]:
        """(features of every frame, f = b * t; their tokens)."""
        parts = [latents, last.expand_as(latents)]
        if self.maps:
            none = latents.new_zeros(len(latents), self.maps, *latents.shape[2:])
            parts.append(none if maps is None else maps)
        together = torch.cat(parts, dim=1)
        frames = rearrange(together, "b z t y x -> (b t) z y x").to(self.project.weight.dtype)
        features = convolve(self.layers, frames)
        patches = rearrange(
            features,
            "(b t) c (i p) (j q) -> t b (i j) (c p q)",
            b=len(latents),
            p=self.patch,
            q=self.patch,
        )
        return features, self.project(patches)


class Head(nn.Module):
    """Tokens brought back to latents' places, mixed with the stem's features; zero at first."""

    def __init__(self, latent_channels: int, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.spread = nn.Linear(width, patch**2 * channels)
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * channels, latent_channels, 3, padding=1),
        )

    def forward(
        self, features: Float[Tensor, "f c y x"], tokens: Float[Tensor, "t b s d"]
    ) -> Float[Tensor, "b z t y x"]:
        """What is added to the velocity, float32."""
        places = rearrange(
            self.spread(tokens),
            "t b (i j) (c p q) -> (b t) c (i p) (j q)",
            i=features.shape[-2] // self.patch,
            p=self.patch,
            q=self.patch,
        )
        added = convolve(self.layers, torch.cat([features, places], dim=1))
        return rearrange(added, "(b t) z y x -> b z t y x", t=len(tokens)).float()
