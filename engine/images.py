"""The only place where pixels change their range: uint8 `h w c` outside, float [-1, 1] inside."""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor


def to_model(frames: UInt8[Tensor, "*b h w c"]) -> Float[Tensor, "*b c h w"]:
    """uint8 frames in [0, 255] to float32 in [-1, 1], channels first.

    Contiguous: convolutions round differently on a view whose channels lie last in memory.
    """
    return rearrange(frames, "... h w c -> ... c h w").float().contiguous() / 127.5 - 1.0


def to_pixels(frames: Float[Tensor, "*b c h w"]) -> UInt8[Tensor, "*b h w c"]:
    """float frames in [-1, 1] to uint8; truncated after clipping (method.md §1.6).

    The tiny offset makes `to_pixels(to_model(x)) == x` exact in float32.
    """
    scaled = ((frames * 0.5 + 0.5) * 255.0 + 1e-3).clamp(0.0, 255.0)
    return rearrange(scaled, "... c h w -> ... h w c").to(torch.uint8)
