"""LPIPS (Zhang 2018), only where somebody installed its backbone: the one file that imports it."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from engine.images import to_model

MISSING = (
    "LPIPS is not measured here: it needs the packages lpips and torchvision with the weights of "
    "AlexNet, which the studio does not bring along"
)
WEIGHTS = "alexnet-*.pth"

# Two batches of images [n, c, h, w] in [-1, 1] -> distances, n numbers in any shape.
Backbone = Callable[[Tensor, Tensor], Tensor]


def load_backbone() -> Backbone | None:
    """LPIPS with AlexNet, from files that are here already; None where one is missing."""
    if find_spec("lpips") is None or find_spec("torchvision") is None:
        return None
    if not any(Path(torch.hub.get_dir(), "checkpoints").glob(WEIGHTS)):
        return None  # it would be fetched from the network
    network: Backbone = import_module("lpips").LPIPS(net="alex", verbose=False).eval()
    return network


@torch.no_grad()
def lpips_distance(
    frames: UInt8[np.ndarray, "n h w 3"], reference: UInt8[np.ndarray, "n h w 3"], network: Backbone
) -> Float[np.ndarray, " n"]:
    """Perceptual distance of each frame to its reference; 0 for equal frames."""
    one, other = (to_model(torch.from_numpy(images)) for images in (frames, reference))
    return network(one, other).reshape(len(frames)).double().cpu().numpy()
