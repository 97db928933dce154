"""The released world model: Open-Sora's STDiT with its autoencoder, to our checkpoint and back.

Layout and names: method.md §1.3, §1.7. Its files also hold layers for captions and frame rate that
nothing runs; they are kept in `unused.safetensors`, so that an export is complete.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.checkpoint import check_shapes, read_json
from engine.checkpoints.tensor_files import (
    SHARD_BYTES,
    Shape,
    StoredTensor,
    open_tensors,
    stored_files,
)
from engine.released.autoencoder import (
    CONFIG,
    STEM,
    autoencoder_config,
    autoencoder_tensors,
    export_autoencoder,
)
from engine.released.configs import PythonConfig, read_python_config
from engine.released.keys import (
    AUTOENCODER,
    TRANSFORMER,
    count,
    count_levels,
    object_in,
    shape_of,
    shapes_of,
    unused_world_model_shapes,
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
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import WorldModelConfig
from engine.world_model.transformer import STDiT, TransformerConfig

UNUSED = "unused"
INFERENCE_CONFIG = "inference_cfg.py"
WHAT = "the world model"


def read_world_model(
    source: Path,
    directory: Path,
    *,
    autoencoder: Path | None = None,
    task: str = "",
    convert: Converter = no_converter,
    progress: Progress = ignore_progress,
    shard_bytes: int = SHARD_BYTES,
) -> Adopted:
    """Read an official world model into a checkpoint directory being filled.

    Args:
        source: what `source.weight_files` takes: `ema.pt`, a safetensors file, a folder of shards,
            a training folder with `model/`, or the folder around one.
        autoencoder: diffusers folder of its autoencoder; without one, the nearest `vae` folder.
        task: name of the task it was trained for, for the card.

    Raises:
        ValueError: something is missing, unexpected, of another shape or not plain data.
    """
    vae = autoencoder or _vae_near(source)
    latents = autoencoder_config(read_object(vae / CONFIG))
    with (
        open_official(weight_files(source), directory, convert) as found,
        open_official(stored_files(vae, STEM), directory, convert) as coder,
    ):
        shapes = {name: tensor.shape for name, tensor in found.items()}
        config = world_model_config(shapes, _config_near(source), latents)
        unused = check_world_model(source.name, shapes, config.transformer)
        tensors = [(TRANSFORMER + name, found[name]) for name in sorted(set(found) - unused)]
        tensors += autoencoder_tensors(vae, latents, coder, AUTOENCODER)
        spare = [(name, found[name]) for name in sorted(unused)]
        groups = [("model", tensors), (UNUSED, spare)]
        write_all(directory, groups if spare else groups[:1], progress, shard_bytes)
        adopted = Adopted(count(found) - count(dict(spare)) + count(coder), count(dict(spare)))
    write_documents(directory, "world_model", config, source, task, adopted)
    return adopted


def check_world_model(
    name: str, shapes: Mapping[str, Shape], config: TransformerConfig
) -> set[str]:
    """Account for every tensor of an official file; the names of those that nothing runs.

    Raises:
        ValueError: unexpected, missing or misshapen tensors, by name.
    """
    captions = shapes.get("y_embedder.y_embedding", ())
    sizes = captions[::-1] if len(captions) == 2 else ()
    optional = unused_world_model_shapes(config, *sizes)
    expected = transformer_shapes(config)
    check_shapes(f"{name} is not this world model", shapes, expected, optional=optional)
    return set(shapes) - set(expected)


def transformer_shapes(config: TransformerConfig) -> dict[str, Shape]:
    """Official names and shapes of every tensor that runs."""
    with torch.device("meta"):
        return shapes_of(STDiT(config))


def world_model_config(
    shapes: Mapping[str, Shape], settings: PythonConfig, autoencoder: AutoencoderConfig
) -> WorldModelConfig:
    """Our config: sizes from the tensors, the rest from a released config file.

    Raises:
        ValueError: an architecture we do not build, or a file that contradicts the tensors.
    """
    given = object_in({"model": settings.get("model")}, "model")
    width, channels, _, patch, _ = shape_of(shapes, "x_embedder.proj.weight", 5, WHAT)
    [head] = shape_of(shapes, "spatial_blocks.0.attn.q_norm.weight", 1, WHAT)
    outputs, _ = shape_of(shapes, "final_layer.linear.weight", 2, WHAT)
    hidden, _ = shape_of(shapes, "spatial_blocks.0.mlp.fc1.weight", 2, WHAT)
    _, action_dim = shape_of(shapes, "action_embedder.fc.0.weight", 2, WHAT)
    context = _whole("pad_action_num", given.get("pad_action_num", 4))
    transformer = TransformerConfig.from_dict(
        {
            "hidden_size": width,
            "depth": count_levels(shapes, "spatial_blocks."),
            "num_heads": width // head,
            "mlp_ratio": hidden / width,
            "in_channels": channels,
            "patch_size": patch,
            "predict_sigma": outputs == 2 * channels * patch**2,
            "action_dim": action_dim,
            "chunk_size": _whole("num_frames", settings.get("num_frames", 12)) - context,
            "context_frames": context,
            "input_sq_size": given.get("input_sq_size", 512),
            # Officially all runs in bf16, the time included (method.md fact 2).
            "round_timestep_to_bf16": settings.get("dtype", "bf16") == "bf16",
        }
    )
    _check_agrees(given, transformer)
    size = settings.get("image_size", (256, 256))
    if not isinstance(size, (list, tuple)) or len(size) != 2 or size[0] != size[1]:
        raise ValueError(f"the config says image_size {size!r}; two equal sides are supported")
    scheduler = object_in({"scheduler": settings.get("scheduler")}, "scheduler")
    moved = scheduler.get("use_timestep_transform", True)
    return WorldModelConfig.from_dict(
        {
            "transformer": transformer.to_dict(),
            "autoencoder": autoencoder.to_dict(),
            "image_size": _whole("image_size", size[0]),
            "timestep_ratio": 0.0 if moved else 1.0,
        }
    )


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"the config says {name} {value!r}, which is no whole number")
    return value


def _check_agrees(given: Mapping[str, Any], config: TransformerConfig) -> None:
    fixed = {"qk_norm": True, "patch_size": (1, config.patch_size, config.patch_size)}
    sizes = ("hidden_size", "depth", "num_heads", "mlp_ratio", "in_channels", "action_dim")
    values = config.to_dict()
    known = fixed | {name: values[name] for name in sizes} | {"pred_sigma": config.predict_sigma}
    for name, value in known.items():
        said = given.get(name, value)
        if (tuple(said) if isinstance(said, list) else said) != value:
            raise ValueError(f"the config says {name} {said!r}, but the tensors say {value!r}")


def _config_near(source: Path) -> PythonConfig:
    """The released config file beside the weights or above them; an empty one if there is none."""
    for place in _places(source):
        for path in [place / INFERENCE_CONFIG, *sorted(place.glob("train_*_cfg.py"))]:
            if path.is_file():
                return read_python_config(path)
    return PythonConfig("no config", {})


def _places(source: Path) -> Iterable[Path]:
    """The folder of the weights and four above: as far as `vae` is in the release."""
    folder = source.resolve() if source.is_dir() else source.resolve().parent
    return [folder, *folder.parents][:5]


def _vae_near(source: Path) -> Path:
    for place in _places(source):
        if (place / "vae" / CONFIG).is_file():
            return place / "vae"
    raise ValueError(f"there is no `vae` folder near {source.name}: name the autoencoder's folder")


def export_world_model(
    checkpoint: Path, directory: Path, *, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write a world model in the official layout: `inference_cfg.py`, `model/` and `vae/`.

    Raises:
        ValueError: a world model that the official code cannot run.
    """
    values = {k: v for k, v in read_json(checkpoint / "config.json").items() if k != "role"}
    config = WorldModelConfig.from_dict(values)
    text = python_config(config)
    export_autoencoder(checkpoint, directory / "vae", inside=AUTOENCODER, shard_bytes=shard_bytes)
    (directory / INFERENCE_CONFIG).write_text(text)
    (directory / "model").mkdir()
    files = stored_files(checkpoint, "model")
    spare = stored_files(checkpoint, UNUSED)
    with open_tensors(files + [path for path in spare if path.is_file()]) as stored:
        tensors = _official(stored)
        write_all(directory / "model", [("model", tensors)], ignore_progress, shard_bytes)


def _official(stored: Mapping[str, StoredTensor]) -> list[tuple[str, StoredTensor]]:
    """(official name, tensor) of all but the autoencoder, unused ones too."""
    return sorted(
        (
            (name.removeprefix(TRANSFORMER), tensor)
            for name, tensor in stored.items()
            if not name.startswith(AUTOENCODER)
        ),
        key=lambda pair: pair[0],
    )


def python_config(config: WorldModelConfig) -> str:
    """The text of an `inference_cfg.py`, literals only.

    Raises:
        ValueError: a world model that the official code cannot run.
    """
    transformer = config.transformer
    if config.change_scale or transformer.precondition or config.timestep_ratio not in (0.0, 1.0):
        raise ValueError("a world model that predicts changes or starts from a guess stays ours")
    own = transformer.to_dict()
    sizes = ("hidden_size", "depth", "num_heads", "mlp_ratio", "in_channels")
    released = WorldModelConfig.paper().transformer.to_dict()
    model: dict[str, Any] = {"type": "STDiT3-XL/2"}
    if any(own[name] != released[name] for name in sizes):
        model = {"type": "STDiT3"} | {name: own[name] for name in sizes}
    model |= {
        "from_pretrained": ".",  # the folder of this file: the official loader looks for model/
        "patch_size": (1, transformer.patch_size, transformer.patch_size),
        "pred_sigma": transformer.predict_sigma,
        "qk_norm": True,
        "input_sq_size": transformer.input_sq_size,
        "action_dim": transformer.action_dim,
        "pad_action_num": transformer.context_frames,
    }
    values = {
        "image_size": (config.image_size, config.image_size),
        "num_frames": transformer.context_frames + transformer.chunk_size,
        "dtype": "bf16" if transformer.round_timestep_to_bf16 else "fp32",
        "model": model,
        "scheduler": {"type": "rflow", "use_timestep_transform": not config.timestep_ratio},
    }
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    return "\n".join(["# Exported by WMPO Studio.", *lines]) + "\n"
