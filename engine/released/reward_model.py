"""The released reward model: a VideoMAE `.pth` to our checkpoint and back (method.md §3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.checkpoint import check_shapes, read_json, write_json
from engine.checkpoints.tensor_files import SHARD_BYTES, Shape, open_tensors, stored_files
from engine.released.keys import (
    VIDEOMAE,
    check_supported,
    count,
    count_levels,
    official_reward_name,
    reward_name,
    shape_of,
    shapes_of,
)
from engine.released.source import (
    Adopted,
    Converter,
    Progress,
    ignore_progress,
    no_converter,
    open_official,
    read_object,
    weight_files,
    write_all,
    write_documents,
)
from engine.released.tasks import ReleasedTask
from engine.reward.classifier import RewardConfig, VideoReward

WHAT = "the reward model"
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
SUPPORTED = {
    "model_type": "videomae",
    "num_channels": 3,
    "qkv_bias": True,
    "use_mean_pooling": True,
    "hidden_act": "gelu",
}
SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "image_size",
    "patch_size",
    "tubelet_size",
    "num_frames",
    "layer_norm_eps",
)


def read_reward_model(
    source: Path,
    directory: Path,
    *,
    task: ReleasedTask,
    success_threshold: float | None = None,
    convert: Converter = no_converter,
    progress: Progress = ignore_progress,
    shard_bytes: int = SHARD_BYTES,
) -> Adopted:
    """Read a released VideoMAE into a checkpoint directory being filled.

    Args:
        source: a `.pth` or safetensors file, or a folder with one. What weights do not say
            (heads, image size, colours) is VideoMAE-base's, unless a transformers `config.json`
            or `preprocessor_config.json` lies beside them.
        success_threshold: the task's published one if not given.

    Raises:
        ValueError: something is missing, unexpected or of another shape.
    """
    threshold = success_threshold or task.success_threshold
    if threshold is None:
        raise ValueError(
            f"no success threshold is published for {task.task.name}: set success_threshold"
        )
    folder = source if source.is_dir() else source.parent
    with open_official(weight_files(source), directory, convert) as found:
        shapes = {name: tensor.shape for name, tensor in found.items()}
        config = reward_config(shapes, _optional(folder / CONFIG), _optional(folder / PREPROCESSOR))
        config = config.replace(success_threshold=threshold)
        check_shapes(f"{source.name} is not this reward model", shapes, reward_shapes(config))
        tensors = [(reward_name(name), found[name]) for name in sorted(found)]
        write_all(directory, [("model", tensors)], progress, shard_bytes)
        adopted = Adopted(count(found))
    write_documents(directory, "reward_model", config, source, task.task.name, adopted)
    return adopted


def reward_config(
    shapes: Mapping[str, Shape], official: Mapping[str, Any], preprocessor: Mapping[str, Any]
) -> RewardConfig:
    """Our config: sizes from the tensors, the rest from transformers' files where they say it.

    Raises:
        ValueError: an architecture we do not build.
    """
    check_supported(official, SUPPORTED, WHAT)
    patches = "videomae.embeddings.patch_embeddings.projection.weight"
    width, _, tubelet, patch, _ = shape_of(shapes, patches, 5, WHAT)
    hidden, _ = shape_of(shapes, "videomae.encoder.layer.0.intermediate.dense.weight", 2, WHAT)
    values = {
        "hidden_size": width,
        "num_hidden_layers": count_levels(shapes, "videomae.encoder.layer."),
        "intermediate_size": hidden,
        "patch_size": patch,
        "tubelet_size": tubelet,
    }
    check_supported(official, values, WHAT)
    # num_frames is not taken from there: VideoMAE-base says 16, the released models read 8 (§3).
    said = ("num_attention_heads", "image_size", "layer_norm_eps")
    values |= {name: official[name] for name in said if name in official}
    colours = ("image_mean", "image_std")
    values |= {name: preprocessor[name] for name in colours if name in preprocessor}
    return RewardConfig.from_dict(RewardConfig.paper().to_dict() | values)


def reward_shapes(config: RewardConfig) -> dict[str, Shape]:
    """Official names and shapes of every tensor."""
    with torch.device("meta"):
        shapes = shapes_of(VideoReward(config))
    return {official_reward_name(name): shape for name, shape in shapes.items()}


def export_reward_model(checkpoint: Path, directory: Path, *, name: str = "videomae.pth") -> None:
    """Write a reward model as the bare `.pth` that the official code loads, and its config.

    Raises:
        ValueError: not a reward model's checkpoint.
    """
    values = {k: v for k, v in read_json(checkpoint / CONFIG).items() if k != "role"}
    config = RewardConfig.from_dict(values)
    directory.mkdir(parents=True, exist_ok=True)
    with open_tensors(stored_files(checkpoint, "model")) as stored:
        assert all(ours.startswith(VIDEOMAE) for ours in stored)
        torch.save({official_reward_name(n): t.load() for n, t in stored.items()}, directory / name)
    own = config.to_dict()
    write_json(directory / CONFIG, SUPPORTED | {size: own[size] for size in SIZES})
    colours = {"image_mean": own["image_mean"], "image_std": own["image_std"]}
    write_json(directory / PREPROCESSOR, colours)


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}
