"""The SDXL autoencoder of a release: a diffusers folder to our checkpoint and back (§1.5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.checkpoint import check_shapes, read_json, write_json
from engine.checkpoints.tensor_files import (
    SHARD_BYTES,
    Shape,
    StoredTensor,
    open_tensors,
    stored_files,
)
from engine.released.keys import DIFFUSERS, MEAN_FRAME, check_supported, count, shapes_of
from engine.released.source import (
    Adopted,
    Converter,
    Progress,
    ignore_progress,
    no_converter,
    open_official,
    read_object,
    write_all,
    write_documents,
)
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig

CONFIG = "config.json"
STEM = "diffusion_pytorch_model"
SUPPORTED = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "in_channels": 3,
    "out_channels": 3,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
}
RENAMED = {
    "block_out_channels": "block_channels",
    "layers_per_block": "layers_per_block",
    "latent_channels": "latent_channels",
    "norm_num_groups": "norm_groups",
    "mid_block_add_attention": "mid_attention",
    "scaling_factor": "scaling_factor",
}


def autoencoder_config(official: Mapping[str, Any]) -> AutoencoderConfig:
    """Our config of a diffusers `config.json`; what it does not say is SDXL's.

    Raises:
        ValueError: an architecture we do not build.
    """
    check_supported(official, SUPPORTED, "the autoencoder")
    values = {ours: official[name] for name, ours in RENAMED.items() if name in official}
    config = AutoencoderConfig.from_dict(AutoencoderConfig.sdxl().to_dict() | values)
    check_supported(official, _block_types(config), "the autoencoder")
    return config


def official_autoencoder_config(config: AutoencoderConfig) -> dict[str, Any]:
    """The diffusers `config.json` of our config.

    Raises:
        ValueError: an autoencoder that diffusers alone cannot run.
    """
    if config.patch != 1 or config.mean_frame_size != (1, 1):
        raise ValueError("an autoencoder that folds pixels or subtracts a frame is not SDXL's form")
    values = config.to_dict()
    renamed = {name: values[ours] for name, ours in RENAMED.items()}
    fixed = {name: value for name, value in SUPPORTED.items() if value is not None}
    return fixed | _block_types(config) | renamed


def _block_types(config: AutoencoderConfig) -> dict[str, Any]:
    levels = len(config.block_channels)
    return {
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def autoencoder_shapes(config: AutoencoderConfig) -> dict[str, Shape]:
    """Official names and shapes of every tensor."""
    with torch.device("meta"):
        return shapes_of(Autoencoder(config).kl)


def autoencoder_tensors(
    source: Path, config: AutoencoderConfig, found: Mapping[str, StoredTensor], prefix: str
) -> list[tuple[str, StoredTensor]]:
    """(our name, tensor) of an official autoencoder, every name accounted for.

    Raises:
        ValueError: unexpected, missing or misshapen tensors, by name.
    """
    shapes = {name: tensor.shape for name, tensor in found.items()}
    check_shapes(f"{source.name} is not this autoencoder", shapes, autoencoder_shapes(config))
    named = [(f"{prefix}{DIFFUSERS}{name}", found[name]) for name in sorted(found)]
    # Ours subtracts a frame before coding the rest; the official one subtracts nothing.
    nothing = StoredTensor((3, 1, 1), torch.float32, lambda: torch.zeros(3, 1, 1))
    return [*named, (prefix + MEAN_FRAME, nothing)]


def read_autoencoder(
    source: Path,
    directory: Path,
    *,
    convert: Converter = no_converter,
    progress: Progress = ignore_progress,
    shard_bytes: int = SHARD_BYTES,
) -> Adopted:
    """Read a diffusers autoencoder folder into a checkpoint directory being filled.

    Raises:
        ValueError: not such a folder, another architecture, or tensors that do not fit it.
    """
    config = autoencoder_config(read_object(source / CONFIG))
    with open_official(stored_files(source, STEM), directory, convert) as found:
        tensors = autoencoder_tensors(source, config, found, "")
        write_all(directory, [("model", tensors)], progress, shard_bytes)
        adopted = Adopted(count(found))
    write_documents(directory, "autoencoder", config, source, "", adopted)
    return adopted


def export_autoencoder(
    checkpoint: Path, directory: Path, *, inside: str = "", shard_bytes: int = SHARD_BYTES
) -> None:
    """Write the autoencoder of a checkpoint as a diffusers folder.

    Args:
        inside: the part of a world model that is the autoencoder; nothing if it is one itself.

    Raises:
        ValueError: an autoencoder that diffusers alone cannot run.
    """
    values = {k: v for k, v in read_json(checkpoint / "config.json").items() if k != "role"}
    config = AutoencoderConfig.from_dict(values["autoencoder"] if inside else values)
    official = official_autoencoder_config(config)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / CONFIG, official)
    prefix = inside + DIFFUSERS
    with open_tensors(stored_files(checkpoint, "model")) as stored:
        tensors = [
            (name.removeprefix(prefix), tensor)
            for name, tensor in stored.items()
            if name.startswith(prefix)
        ]
        write_all(directory, [(STEM, tensors)], ignore_progress, shard_bytes)
