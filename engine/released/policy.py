"""The released policy: an OpenVLA-OFT folder to our checkpoint and back (method.md §2.6).

Its names are ours. What our format does not need (the tokenizer's other files, the official
config) is kept in `official/`, so that an export is complete. No code of the folder is read.
"""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as FastTokenizer

from engine.checkpoints.checkpoint import check_shapes, read_json, write_json
from engine.checkpoints.tensor_files import SHARD_BYTES, Shape, open_tensors, stored_files
from engine.policy.config import LanguageConfig, PolicyConfig, TrunkConfig, paper_policy_config
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.policy.tokens import NUM_BINS
from engine.records.types import Normalization
from engine.released.keys import (
    check_supported,
    count,
    count_levels,
    object_in,
    shape_of,
    shapes_of,
)
from engine.released.layouts import check_nothing_beside
from engine.released.source import (
    OFFICIAL,
    Adopted,
    Converter,
    Progress,
    ignore_progress,
    keep_official,
    no_converter,
    open_official,
    read_object,
    restore_official,
    weight_files,
    write_all,
    write_documents,
)
from engine.released.tasks import STATISTICS_SUFFIXES, ReleasedTask

WHAT = "the policy"
CONFIG = "config.json"
STATISTICS = "dataset_statistics.json"
PREPROCESSOR = "preprocessor_config.json"
TOKENIZER = "tokenizer.json"
KEPT = (
    CONFIG,
    STATISTICS,
    PREPROCESSOR,
    "processor_config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
SPACE = "▁"  # a prompt ends in it: id 29871 of Llama-2 (§2.3)
SUPPORTED = {
    "model_type": "openvla",
    "vision_backbone_id": "dinosiglip-vit-so-224px",
    "arch_specifier": "no-align+fused-gelu-mlp",
    "use_fused_vision_backbone": True,
    "image_resize_strategy": "resize-naive",
    "n_action_bins": NUM_BINS,
}
SUPPORTED_TEXT = {
    "model_type": "llama",
    "hidden_act": "silu",
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}
LANGUAGE = ("num_attention_heads", "max_position_embeddings", "rms_norm_eps")
IDS = ("pad_token_id", "bos_token_id", "eos_token_id")
TRUNKS = {
    "dino": "vision_backbone.featurizer.",
    "siglip": "vision_backbone.fused_featurizer.",
}
HEADS = 16  # of both timm models


def read_policy(
    source: Path,
    directory: Path,
    *,
    task: ReleasedTask,
    statistics_key: str = "",
    convert: Converter = no_converter,
    progress: Progress = ignore_progress,
    shard_bytes: int = SHARD_BYTES,
) -> Adopted:
    """Read a released policy folder into a checkpoint directory being filled.

    Args:
        statistics_key: which action statistics; the task's own if empty.

    Raises:
        ValueError: something is missing, unexpected or of another shape.
    """
    official = read_object(source / CONFIG)
    preprocessor = read_object(source / PREPROCESSOR) if (source / PREPROCESSOR).is_file() else {}
    normalization = policy_statistics(source, official, task, statistics_key)
    files = weight_files(source)
    check_nothing_beside(source, files)
    with open_official(files, directory, convert) as found:
        shapes = {name: tensor.shape for name, tensor in found.items()}
        config = policy_config(shapes, official, preprocessor).replace(
            action_dim=normalization.action_dim, final_prompt_token=_final_token(source / TOKENIZER)
        )
        check_shapes(f"{source.name} is not this policy", shapes, policy_shapes(config))
        tensors = [(name, found[name]) for name in sorted(found)]
        write_all(directory, [("model", tensors)], progress, shard_bytes)
        adopted = Adopted(count(found))
    write_json(directory / "normalization.json", normalization.to_dict())
    shutil.copyfile(source / TOKENIZER, directory / TOKENIZER)
    keep_official(source, directory, KEPT)
    write_documents(directory, "policy", config, source, task.task.name, adopted)
    return adopted


def policy_shapes(config: PolicyConfig) -> dict[str, Shape]:
    """Official names and shapes of every tensor."""
    unit = (1.0,) * config.action_dim
    statistics = Normalization(q01=unit, q99=unit, mask=(True,) * config.action_dim)
    with torch.device("meta"):
        return shapes_of(
            OpenVLAPolicy(config, normalization=statistics, tokenizer=demo_tokenizer())
        )


def policy_config(
    shapes: Mapping[str, Shape], official: Mapping[str, Any], preprocessor: Mapping[str, Any]
) -> PolicyConfig:
    """Our config: sizes from the tensors, the rest from the folder's JSON files.

    Raises:
        ValueError: an architecture we do not build.
    """
    check_supported(official, SUPPORTED, WHAT)
    trunks = {name: _trunk(shapes, official, name) for name in TRUNKS}
    language = _language(shapes, official)
    features = trunks["dino"].width + trunks["siglip"].width
    hidden, _ = shape_of(shapes, "projector.fc1.weight", 2, WHAT)
    return paper_policy_config().replace(
        **trunks,
        language=language,
        projector_factor=hidden // features,
        vocab_without_padding=language.vocab_size - _whole(official, "pad_to_multiple_of", 64),
        **_colours(preprocessor),
    )


def _trunk(shapes: Mapping[str, Shape], official: Mapping[str, Any], name: str) -> TrunkConfig:
    prefix = TRUNKS[name]
    _, num_patches, width = shape_of(shapes, f"{prefix}pos_embed", 3, WHAT)
    _, _, patch, _ = shape_of(shapes, f"{prefix}patch_embed.proj.weight", 4, WHAT)
    hidden, _ = shape_of(shapes, f"{prefix}blocks.0.mlp.fc1.weight", 2, WHAT)
    registers = shapes.get(f"{prefix}reg_token", (1, 0, width))[1]
    # Overrides of the timm model, for checkpoints of another size than the released ones.
    overrides = object_in(object_in(official, "timm_overrides"), name)
    return TrunkConfig.from_dict(
        {
            "width": width,
            "depth": count_levels(shapes, f"{prefix}blocks."),
            "num_heads": overrides.get("num_heads", HEADS),
            "mlp_dim": hidden,
            "patch_size": patch,
            "image_size": patch * math.isqrt(num_patches),
            "prefix_tokens": (f"{prefix}cls_token" in shapes) + registers,
            "layer_scale": f"{prefix}blocks.0.ls1.scale_factor" in shapes,
            "keep_unused": True,
        }
    )


def _language(shapes: Mapping[str, Shape], official: Mapping[str, Any]) -> LanguageConfig:
    text = object_in(official, "text_config")
    check_supported(text, SUPPORTED_TEXT, "the policy's language model")
    inner = "language_model.model."
    vocabulary, width = shape_of(shapes, f"{inner}embed_tokens.weight", 2, WHAT)
    hidden, _ = shape_of(shapes, f"{inner}layers.0.mlp.gate_proj.weight", 2, WHAT)
    values = paper_policy_config().language.to_dict()
    values |= {name: text[name] for name in (*LANGUAGE, *IDS) if name in text}
    values |= {name: official[name] for name in IDS if official.get(name) is not None}
    values |= {
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": count_levels(shapes, f"{inner}layers."),
        "vocab_size": vocabulary,
    }
    return LanguageConfig.from_dict(values)


def _colours(preprocessor: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Means and deviations of either trunk, as far as the folder states them."""
    colours: dict[str, tuple[float, ...]] = {}
    for stated, ours in (("means", "mean"), ("stds", "std")):
        rows = preprocessor.get(stated)
        if rows is not None:
            try:
                dino, siglip = (tuple(float(value) for value in row) for row in rows)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{PREPROCESSOR} has {stated} {rows!r}, not two rows") from error
            if len(dino) != 3 or len(siglip) != 3:
                raise ValueError(f"{PREPROCESSOR} has {stated} {rows!r}, not two rows of three")
            colours |= {f"dino_{ours}": dino, f"siglip_{ours}": siglip}
    return colours


def policy_statistics(
    source: Path, official: Mapping[str, Any], task: ReleasedTask, key: str
) -> Normalization:
    """The action statistics of a task (§2.2): from `dataset_statistics.json`, else the config.

    Raises:
        ValueError: there are none of that key, or they lack numbers.
    """
    path = source / STATISTICS
    known = read_object(path) if path.is_file() else object_in(official, "norm_stats")
    wanted = [key] if key else [task.statistics_key + suffix for suffix in STATISTICS_SUFFIXES]
    chosen = [name for name in wanted if name in known]
    if not chosen and not key and len(known) == 1:
        chosen = list(known)
    if not chosen:
        raise ValueError(
            f"{source.name} has no action statistics {' or '.join(wanted)}; "
            f"it has {', '.join(sorted(known)) or 'none'}"
        )
    low, high = task.bounds
    try:
        values = known[chosen[0]]["action"]
        mask = values.get("mask", [True] * len(values[low]))
        return Normalization.from_dict({"q01": values[low], "q99": values[high], "mask": mask})
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the statistics {chosen[0]} lack {low}, {high} or mask") from error


def _final_token(path: Path) -> int | None:
    read_object(path)
    token: int | None = FastTokenizer.from_file(str(path)).token_to_id(SPACE)
    return token


def _whole(values: Mapping[str, Any], name: str, default: int) -> int:
    value = values.get(name, default)
    if type(value) is not int:
        raise ValueError(f"{WHAT} has {name} {value!r}, which is no whole number")
    return value


def export_policy(
    checkpoint: Path,
    directory: Path,
    *,
    like: Path | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write a policy as a folder of the official layout.

    Args:
        like: the adopted checkpoint it was trained from, for the official files it lacks.

    Raises:
        ValueError: neither has official files, or the policy is not of the released form.
    """
    values = {k: v for k, v in read_json(checkpoint / CONFIG).items() if k != "role"}
    config = PolicyConfig.from_dict(values)
    origin = next((p for p in (checkpoint, like) if p and (p / OFFICIAL / CONFIG).is_file()), None)
    if origin is None or config.placeholder != "zero" or config.image_pipeline == "plain":
        raise ValueError(
            f"{checkpoint.name} was not adopted from a released policy: name the one it came from"
        )
    directory.mkdir(parents=True, exist_ok=True)
    restore_official(origin, directory)
    shutil.copyfile(checkpoint / TOKENIZER, directory / TOKENIZER)
    with open_tensors(stored_files(checkpoint, "model")) as stored:
        tensors = sorted(stored.items())
        write_all(directory, [("model", tensors)], ignore_progress, shard_bytes)
