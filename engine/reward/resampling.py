"""Pillow's antialiased bilinear filter: by Pillow itself on a CPU, as matrix products elsewhere.

Pillow weighs pixels in fixed point, first along rows, then along columns, and rounds after each.
All its sums are whole numbers below 2^53, so products of float64 give its very bits.
"""

import math

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

PRECISION_BITS = 22  # of Pillow's fixed point: 32 - 8 - 2


def resize_and_crop(
    frames: UInt8[Tensor, "b h w 3"], size: int
) -> UInt8[Tensor, "b {size} {size} 3"]:
    """The shortest edge to `size`, then the square in the middle."""
    height, width = frames.shape[1:3]
    short = min(height, width)
    rows, columns = int(size * height / short), int(size * width / short)
    if frames.device.type == "cpu":
        resized = torch.stack([_by_pillow(frame, rows, columns) for frame in frames])
    else:
        resized = by_products(frames, rows, columns)
    top, left = (rows - size) // 2, (columns - size) // 2
    return resized[:, top : top + size, left : left + size]


def by_products(
    frames: UInt8[Tensor, "b h w 3"], rows: int, columns: int
) -> UInt8[Tensor, "b {rows} {columns} 3"]:
    """Every frame resized at once, where it lies."""
    height, width = frames.shape[1:3]
    planes = rearrange(frames, "b h w c -> b c h w").double()
    across = fixed_weights(width, columns).to(planes).T
    planes = _rounded(planes @ across)
    down = fixed_weights(height, rows).to(planes)
    planes = _rounded(down @ planes)
    return rearrange(planes, "b c h w -> b h w c").to(torch.uint8)


def fixed_weights(source: int, target: int) -> Float[Tensor, "{target} {source}"]:
    """Row i weighs the source pixels that make target pixel i, in units of 2^-22."""
    scale = source / target
    support = max(scale, 1.0)
    weights = np.zeros((target, source))
    for place in range(target):
        centre = (place + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), source)
        taps = [max(0.0, 1.0 - abs((x - centre + 0.5) / support)) for x in range(first, last)]
        total = math.fsum(taps)
        weights[place, first:last] = [
            math.floor(0.5 + tap / total * 2**PRECISION_BITS) for tap in taps
        ]
    return torch.from_numpy(weights)


def _rounded(sums: Tensor) -> Tensor:
    half = 2 ** (PRECISION_BITS - 1)
    return ((sums + half) / 2**PRECISION_BITS).floor().clamp(0.0, 255.0)


def _by_pillow(frame: Tensor, rows: int, columns: int) -> Tensor:
    image = Image.fromarray(frame.numpy()).resize((columns, rows), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image).copy())
