"""Names and shapes of released tensors: how ours are called there, and which nothing runs (§1.3).

A policy's names are the released ones already (§2.6).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from engine.checkpoints.tensor_files import Shape, StoredTensor
from engine.world_model.blocks import TIME_FREQUENCIES
from engine.world_model.transformer import TransformerConfig

TRANSFORMER = "transformer."  # our world model's names of its parts …
AUTOENCODER = "autoencoder."
DIFFUSERS = "kl."  # … our autoencoder's of the diffusers model …
VIDEOMAE = "network."  # … and our reward model's of the transformers one
MEAN_FRAME = "mean_frame"
# transformers ≥ 5 silently drops the released names (method.md fact 10).
REWARD_BIASES = {
    ".attention.attention.q_bias": ".attention.attention.query.bias",
    ".attention.attention.v_bias": ".attention.attention.value.bias",
}


def reward_name(official: str) -> str:
    """Our name of a tensor of the released VideoMAE."""
    for theirs, ours in REWARD_BIASES.items():
        if official.endswith(theirs):
            official = official.removesuffix(theirs) + ours
    return VIDEOMAE + official


def official_reward_name(ours: str) -> str:
    """The inverse of `reward_name`."""
    for theirs, own in REWARD_BIASES.items():
        if ours.endswith(own):
            ours = ours.removesuffix(own) + theirs
    return ours.removeprefix(VIDEOMAE)


def unused_world_model_shapes(
    config: TransformerConfig, caption_channels: int = 4096, caption_length: int = 300
) -> dict[str, Shape]:
    """What a released world model holds and nothing runs: captions and frame rate."""
    width = config.hidden_size
    shapes: dict[str, Shape] = {"y_embedder.y_embedding": (caption_length, caption_channels)}
    linear = {
        "fps_embedder.mlp.0": (width, 2 * TIME_FREQUENCIES),
        "fps_embedder.mlp.2": (width, width),
        "y_embedder.y_proj.fc1": (width, caption_channels),
        "y_embedder.y_proj.fc2": (width, width),
    }
    for kind in ("spatial", "temporal"):
        for index in range(config.depth):
            block = f"{kind}_blocks.{index}.cross_attn"
            linear[f"{block}.q_linear"] = (width, width)
            linear[f"{block}.kv_linear"] = (2 * width, width)
            linear[f"{block}.proj"] = (width, width)
    for name, shape in linear.items():
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]
    return shapes


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """Name and shape of every tensor of a module."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def count(tensors: Mapping[str, StoredTensor]) -> int:
    """Numbers in all of them."""
    return sum(torch.Size(tensor.shape).numel() for tensor in tensors.values())


def check_supported(official: Mapping[str, Any], supported: Mapping[str, Any], what: str) -> None:
    """Refuse a value that the official code would act on and ours would not.

    Raises:
        ValueError: the first such value.
    """
    for name, value in supported.items():
        if official.get(name, value) != value:
            raise ValueError(f"{what} has {name} {official[name]!r}; only {value!r} is supported")


def object_in(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object inside an official config; empty where it has none.

    Raises:
        ValueError: something else stands there.
    """
    inner = values.get(name) or {}
    if not isinstance(inner, dict):
        raise ValueError(f"{name} is {inner!r} in the official config, not an object")
    return inner


def count_levels(names: Mapping[str, Shape], prefix: str) -> int:
    """How many of `PREFIX0.…`, `PREFIX1.…` there are."""
    return len({name[len(prefix) :].split(".", 1)[0] for name in names if name.startswith(prefix)})


def shape_of(shapes: Mapping[str, Shape], name: str, dimensions: int, what: str) -> Shape:
    """The shape of a tensor that fixes a size.

    Raises:
        ValueError: it is missing, or has another number of dimensions.
    """
    shape = shapes.get(name, ())
    if len(shape) != dimensions or 0 in shape:
        raise ValueError(f"{what} has no tensor {name} of {dimensions} dimensions: it is no such")
    return shape
