"""Frames to pixel values: the demo's plain pipeline and the official one (method.md §2.4)."""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from simplejpeg import decode_jpeg
from torch import Tensor

from engine.policy.config import PolicyConfig

JPEG_QUALITY = 95
CROP_AREA = 0.9
LANCZOS_RADIUS = 3.0


def pixel_values(
    images: UInt8[Tensor, "b h w 3"], config: PolicyConfig
) -> Float[Tensor, "b 6 y x"]:
    """What the trunks see: channels 0-2 normalised for DINOv2, 3-5 for SigLIP.

    Raises:
        ValueError: the plain pipeline does not resize, and the images have another size.
    """
    size = config.image_size
    match config.image_pipeline:
        case "official":
            resized = lanczos_resize(jpeg_round_trip(images), size)
            return normalize_twice(centre_crop(resized, size), config)
        case "official-simulator":
            return normalize_twice(centre_crop(images, size), config)
    if images.shape[1:3] != (size, size):
        raise ValueError(
            f"this policy takes {size}x{size} frames, not {images.shape[2]}x{images.shape[1]}"
        )
    return normalize_twice(images, config)


def normalize_twice(
    images: UInt8[Tensor, "b h w 3"], config: PolicyConfig
) -> Float[Tensor, "b 6 h w"]:
    """(x / 255 - mean) / std with the constants of either trunk."""
    unit = rearrange(images, "b h w c -> b c h w").float() / 255.0
    twice = torch.cat([unit, unit], dim=1)
    mean = twice.new_tensor((*config.dino_mean, *config.siglip_mean))
    std = twice.new_tensor((*config.dino_std, *config.siglip_std))
    return (twice - rearrange(mean, "c -> c 1 1")) / rearrange(std, "c -> c 1 1")


def jpeg_round_trip(images: UInt8[Tensor, "b h w 3"]) -> UInt8[Tensor, "b h w 3"]:
    """Through JPEG of quality 95, 4:2:0, and back, bit for bit as TensorFlow does it.

    Pillow writes TensorFlow's bytes; TensorFlow reads them with the fast integer transform, which
    Pillow does not offer (up to 13 grey levels away) and libjpeg-turbo under simplejpeg does.
    """
    near = images.cpu()
    if images.device.type == "cpu":
        return torch.stack([_jpeg(image) for image in near])
    with ThreadPoolExecutor() as pool:  # the codecs let go of Python's lock
        return torch.stack(list(pool.map(_jpeg, near))).to(images.device)


def _jpeg(image: UInt8[Tensor, "h w 3"]) -> UInt8[Tensor, "h w 3"]:
    buffer = io.BytesIO()
    Image.fromarray(image.numpy()).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return torch.from_numpy(decode_jpeg(buffer.getvalue(), "RGB", fastdct=True))


def lanczos_resize(
    images: UInt8[Tensor, "b h w 3"], size: int
) -> UInt8[Tensor, "b {size} {size} 3"]:
    """Antialiased Lanczos3 to size x size, rounded and clipped."""
    return lanczos_floats(images, size).round().clamp(0.0, 255.0).to(torch.uint8)


def lanczos_floats(
    images: UInt8[Tensor, "b h w 3"], size: int
) -> Float[Tensor, "b {size} {size} 3"]:
    """The resized image before rounding: overshoots [0, 255] at edges."""
    rows, columns = (_lanczos_weights(side, size) for side in images.shape[1:3])
    return _resample(images.float(), rows, columns)


def centre_crop(images: UInt8[Tensor, "b h w 3"], size: int) -> UInt8[Tensor, "b {size} {size} 3"]:
    """The central 0.9 of the area, resampled bilinearly to size x size, corners aligned."""
    rows, columns = (_crop_weights(side, size) for side in images.shape[1:3])
    unit = _resample(images.float() / 255.0, rows, columns)
    return (unit.clamp(0.0, 1.0) * 255.5).floor().to(torch.uint8)


def _resample(
    images: Float[Tensor, "b h w 3"], rows: Float[Tensor, "y h"], columns: Float[Tensor, "x w"]
) -> Float[Tensor, "b y x 3"]:
    """Weighted sums along either axis, as matrix products in float32, whatever is around."""
    rows, columns = (weights.to(images) for weights in (rows, columns))
    planes = rearrange(images, "b h w c -> b c h w").contiguous()  # one product, not a batch
    with torch.autocast(images.device.type, enabled=False):
        return rearrange(rows @ (planes @ columns.T), "b c y x -> b y x c")


def _lanczos_weights(source: int, target: int) -> Float[Tensor, "{target} {source}"]:
    """Row i weighs the source pixels that make target pixel i: half-pixel centres, sum 1."""
    scale = source / target
    stretch = max(scale, 1.0)
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(source, dtype=torch.float64) + 0.5 - centres[:, None]) / stretch
    kernel = torch.sinc(distance) * torch.sinc(distance / LANCZOS_RADIUS)
    weights = torch.where(distance.abs() < LANCZOS_RADIUS, kernel, 0.0)
    return weights / weights.sum(dim=1, keepdim=True)


def _crop_weights(source: int, target: int) -> Float[Tensor, "{target} {source}"]:
    """Row i blends the two source pixels around the i-th sampling position."""
    side = math.sqrt(CROP_AREA)
    offset = (1.0 - side) / 2.0
    positions = torch.linspace(offset, offset + side, target, dtype=torch.float64) * (source - 1)
    distance = (torch.arange(source, dtype=torch.float64) - positions[:, None]).abs()
    return (1.0 - distance).clamp(min=0.0)
