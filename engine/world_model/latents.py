"""Encoded frames: computed once, then read from a cache that is named after what they are."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.images import to_model
from engine.world_model.autoencoder import Autoencoder

BATCH = 64
Frames = npt.NDArray[np.uint8]


def encode_videos(
    autoencoder: Autoencoder, videos: Sequence[Frames], cache: str = ""
) -> tuple[Tensor, Tensor]:
    """Posterior moments of all frames of videos, laid end to end, [frames, z, y, x].

    Args:
        cache: directory that keeps each video's, under the hash of weights and pixels; none
            encodes anew.
    """
    weights = _weights(autoencoder) if cache else b""
    parts = []
    for video in videos:
        if not cache:
            parts.append(encode_moments(autoencoder, video))
            continue
        path = Path(cache) / f"{_key(weights, video)}.safetensors"
        if not path.is_file():
            _keep(path, *encode_moments(autoencoder, video))
        stored = load_file(path)
        parts.append((stored["mean"], stored["std"]))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@torch.no_grad()
def encode_moments(autoencoder: Autoencoder, frames: Frames) -> tuple[Tensor, Tensor]:
    """Scaled mean and standard deviation of each frame's posterior, in main memory."""
    scale, device = autoencoder.scaling_factor, autoencoder.mean_frame.device
    pixels = torch.from_numpy(frames).split(BATCH)
    parts = [autoencoder.moments(to_model(part.to(device))) for part in pixels]
    mean = torch.cat([part[0].cpu() for part in parts]) * scale
    return mean, torch.cat([torch.exp(0.5 * part[1]).cpu() for part in parts]) * scale


def _keep(path: Path, mean: Tensor, std: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    os.close(handle)
    save_file({"mean": mean.contiguous(), "std": std.contiguous()}, partial)
    Path(partial).rename(path)


def _weights(autoencoder: Autoencoder) -> bytes:
    digest = hashlib.sha256(repr(autoencoder.scaling_factor).encode())
    for name, tensor in sorted(autoencoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _key(weights: bytes, video: Frames) -> str:
    digest = hashlib.sha256(weights + str(video.shape).encode())
    digest.update(np.ascontiguousarray(video).tobytes())
    return digest.hexdigest()[:32]
