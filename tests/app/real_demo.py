"""A demo folder of the real model classes with random weights: small, and built in seconds.

`python -m tests.app.real_demo DIR` makes one by hand (`WMPO_DEMO_DIR=DIR python app.py`).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.checkpoints.checkpoint import write_model
from engine.data.starts import Starts, save_starts
from engine.policy.config import LanguageConfig, PolicyConfig, TrunkConfig
from engine.policy.files import write_policy
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.records.manifest import whole_directory
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig

START = 300_000
CARD: dict[str, Any] = {"metrics": {}, "config": {"task": "coffee-push"}}


def build_demo(demo: Path) -> Path:
    """Policy, world model and reward model under `checkpoints/`, four starts; returns `demo`."""
    torch.manual_seed(0)
    checkpoints = demo / "checkpoints"
    trunk = TrunkConfig(width=32, depth=2, num_heads=2, mlp_dim=64, patch_size=16, stem="conv")
    policy_config = PolicyConfig(
        dino=trunk.replace(prefix_tokens=5, layer_scale=True),
        siglip=trunk,
        language=LanguageConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1),
    )
    statistics = Normalization(q01=(-1.0,) * 4, q99=(1.0,) * 4, mask=(True,) * 4)
    policy = OpenVLAPolicy(policy_config, normalization=statistics, tokenizer=demo_tokenizer())
    with whole_directory(checkpoints / "policy") as directory:
        write_policy(directory, policy, CARD)
    world_config = WorldModelConfig(
        transformer=TransformerConfig(hidden_size=32, depth=1, num_heads=2),
        autoencoder=AutoencoderConfig(block_channels=(8, 8, 8), norm_groups=4, mid_attention=False),
    )
    _write(checkpoints / "world", "world_model", LatentWorldModel(world_config), world_config)
    reward_config = RewardConfig.tiny().replace(image_size=64, patch_size=32)
    _write(checkpoints / "reward", "reward_model", VideoReward(reward_config), reward_config)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    frames = pixels.repeat(8, axis=1).repeat(8, axis=2)
    starts = Starts("coffee-push", np.arange(START, START + 4), frames)
    save_starts(demo / "starts" / "coffee-push.npz", starts)
    return demo


def _write(target: Path, role: str, model: nn.Module, config: Any) -> None:
    with whole_directory(target) as directory:
        write_model(directory, model, {"role": role, **config.to_dict()}, CARD)


if __name__ == "__main__":
    build_demo(Path(sys.argv[1]))
