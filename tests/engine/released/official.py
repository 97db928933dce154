"""Checkpoints in the official layout at tiny size, with the weights of the reference vectors.

`write_release` makes a whole `checkpoint_files/` for a task: everything that reads official folders
can be tested on it. Frames are 64 x 64, a policy's trunks see 56 x 56, a reward model 48 x 48.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from torch import Tensor

from engine.parity.items import load_vectors, weights_of
from engine.released.tasks import get_released

GOLDEN = Path(__file__).parents[2] / "golden"
HALF = (0.5, 0.5, 0.5)  # what the reward vectors were made with
MEANS = [[0.484375, 0.455078125, 0.40625], [0.5, 0.5, 0.5]]
STDS = [[0.228515625, 0.2236328125, 0.224609375], [0.5, 0.5, 0.5]]


def fake_converter(path: Path, directory: Path) -> Path:
    """A stand-in for the sandboxed converter, for files that a test itself has written."""
    target = directory / f"{path.stem}.safetensors"
    save_file({name: t.contiguous() for name, t in torch.load(path).items()}, target)
    return target


def write_release(root: Path, task: str, *, dtype: str = "fp32") -> dict[str, Path]:
    """A task's `checkpoint_files/`: official places by role.

    Args:
        dtype: of the world model's config; the vectors are float32, the release bf16.
    """
    places = {
        "policy": root / "WMPO_models" / task / "P_128",
        "world_model": root / "world_models" / task / "P_128",
        "autoencoder": root / "world_models" / "vae",
        "reward_model": root / "reward_models" / f"videomae_{task}.pth",
    }
    write_vae(places["autoencoder"])
    write_world_model(places["world_model"], dtype=dtype)
    write_reward_model(places["reward_model"])
    write_policy(places["policy"], task)
    return places


def write_vae(directory: Path) -> None:
    """A diffusers folder."""
    scalars, tensors = load_vectors(GOLDEN / "vae_a")
    directory.mkdir(parents=True, exist_ok=True)
    config = {"_class_name": "AutoencoderKL", "_diffusers_version": "0.20.0", **scalars["config"]}
    config["scaling_factor"] = scalars["scaling_factor"]
    write_json(directory / "config.json", config)
    save_file(weights_of(tensors), directory / "diffusion_pytorch_model.safetensors")


def inference_config(scalars: dict[str, Any], dtype: str) -> str:
    """An mmengine config as the release has them: literals, names, `dict`, arithmetic."""
    model = scalars["config"]
    return f"""# A comment
resolution = {scalars["image_hw"][0]}
image_size = (resolution, resolution)
num_frames = {model["pad_action_num"]} + 8
fps = 24 // 8
save_dir = "./samples/"
dtype = "{dtype}"
model = dict(
    type="STDiT3-XL/2",
    from_pretrained="",
    input_sq_size={model["input_sq_size"]},
    qk_norm={model["qk_norm"]},
    pred_sigma={model["pred_sigma"]},
    enable_flash_attn=True,
    action_dim={model["action_dim"]},
    pad_action_num={model["pad_action_num"]},
)
vae = dict(type="VideoAutoencoderKL", from_pretrained="./vae", micro_batch_size=64)
scheduler = dict(type="rflow", use_timestep_transform=True, num_sampling_steps=30, cfg_scale=7.0)
"""


def write_world_model(directory: Path, *, dtype: str = "fp32") -> None:
    """A training folder: configs, and shards with an index beside what training left."""
    scalars, tensors = load_vectors(GOLDEN / "wm_transformer_a")
    epoch = directory / "epoch0-global_step10"
    (epoch / "optimizer").mkdir(parents=True)
    text = inference_config(scalars, dtype)
    (directory / "inference_cfg.py").write_text(text)
    (directory / "train_mimicgen_cfg.py").write_text(text)
    write_json(epoch / "running_states.json", {"epoch": 0, "step": 10, "global_step": 10})
    weights = weights_of(tensors)
    torch.save(weights, epoch / "ema.pt")
    write_sharded(epoch / "model", weights, num_shards=3)


def write_reward_model(path: Path) -> None:
    """A bare `.pth`, and beside it what the weights alone do not say at this size."""
    scalars, tensors = load_vectors(GOLDEN / "reward_videomae_a")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights_of(tensors), path)
    write_json(path.parent / "config.json", {"model_type": "videomae", **scalars["config"]})
    colours = {"image_mean": HALF, "image_std": HALF, "size": {"shortest_edge": 48}}
    write_json(path.parent / "preprocessor_config.json", colours)


def write_policy(directory: Path, task: str) -> None:
    """A Hugging Face folder: shards with an index, config, statistics, tokenizer."""
    scalars, tensors = load_vectors(GOLDEN / "vla_a")
    write_sharded(directory, weights_of(tensors), num_shards=2)
    [statistics] = scalars["norm_stats"].values()
    known = {get_released(task).statistics_key: statistics}
    language = scalars["llm"]
    config = {
        "architectures": ["OpenVLAForActionPrediction"],
        "model_type": "openvla",
        "auto_map": {"AutoConfig": "configuration_prismatic.OpenVLAConfig"},
        "vision_backbone_id": "dinosiglip-vit-so-224px",
        "llm_backbone_id": "llama2-7b-pure",
        "arch_specifier": "no-align+fused-gelu-mlp",
        "use_fused_vision_backbone": True,
        "image_resize_strategy": "resize-naive",
        "timm_overrides": scalars["timm_overrides"],
        "text_config": {"model_type": "llama", "torch_dtype": "bfloat16", **language},
        "pad_token_id": scalars["pad_token_id"],
        "pad_to_multiple_of": language["vocab_size"] - scalars["vocab_without_padding"],
        "n_action_bins": 256,
        "norm_stats": known,
        "torch_dtype": "bfloat16",
    }
    write_json(directory / "config.json", config)
    write_json(directory / "dataset_statistics.json", known)
    sizes = [[3, scalars["image_size"], scalars["image_size"]]] * 2
    processor = {"image_processor_type": "PrismaticImageProcessor", "means": MEANS, "stds": STDS}
    write_json(directory / "preprocessor_config.json", processor | {"input_sizes": sizes})
    write_json(directory / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"})
    (directory / "modeling_prismatic.py").write_text("raise SystemExit('never imported')\n")
    tiny_llama_tokenizer().save(str(directory / "tokenizer.json"))


def tiny_llama_tokenizer() -> Tokenizer:
    """Llama-2's kind of tokenizer in 512 ids: BPE with spaces as "▁" and bytes as a fallback."""
    pieces = ["<unk>", "<s>", "</s>", "<0x0A>", "▁"]
    pieces += [chr(code) for code in range(33, 127)]
    merges = [("o", "n"), ("t", "h"), ("th", "e"), ("i", "n"), ("▁", "the"), ("▁", "in")]
    pieces += [left + right for left, right in merges]
    pieces += [f"<spare {i}>" for i in range(len(pieces), 256)]
    pieces += [f"<action {i}>" for i in range(256)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    fast = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    fast.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    fast.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    fast.add_special_tokens(["<unk>", "<s>", "</s>"])
    return fast


def write_sharded(directory: Path, weights: dict[str, Tensor], *, num_shards: int) -> None:
    """Shards with a Hugging Face index."""
    directory.mkdir(parents=True, exist_ok=True)
    names = sorted(weights)
    weight_map = {}
    for shard in range(num_shards):
        file = f"model-{shard + 1:05d}-of-{num_shards:05d}.safetensors"
        part = {name: weights[name].contiguous() for name in names[shard::num_shards]}
        save_file(part, directory / file)
        weight_map |= dict.fromkeys(part, file)
    document = {"metadata": {}, "weight_map": weight_map}
    write_json(directory / "model.safetensors.index.json", document)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(values))
