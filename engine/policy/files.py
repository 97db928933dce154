"""A policy's checkpoint directory: weights, config, card, normalization.json, tokenizer.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.checkpoint import load_weights, read_config_of, write_json, write_weights
from engine.policy.adapters import merged_state
from engine.policy.config import PolicyConfig
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import Tokenizer
from engine.records.types import Normalization

ROLE = "policy"


def write_policy(
    directory: Path, policy: OpenVLAPolicy, card: Mapping[str, Any], *, half: bool = False
) -> None:
    """Put a policy into a checkpoint directory being filled; `half` stores float16.

    Adapters are merged. Where processes learn together, all have to call this.
    """
    config = {"role": ROLE, **policy.config.to_dict()}
    write_weights(directory, merged_state(policy), config, card, half=half)
    write_json(directory / "normalization.json", policy.normalization.to_dict())
    policy.tokenizer.save(directory / "tokenizer.json")


def read_policy(
    directory: Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> OpenVLAPolicy:
    """The policy of a checkpoint directory, in evaluation mode.

    Raises:
        ValueError: the directory holds no whole policy.
    """
    config = PolicyConfig.from_dict(read_config_of(directory, ROLE))
    tokenizer = Tokenizer.from_file(
        directory / "tokenizer.json",
        bos_token_id=config.language.bos_token_id,
        final_prompt_token=config.final_prompt_token,
    )
    statistics = json.loads((directory / "normalization.json").read_text())
    with torch.device("meta"):
        policy = OpenVLAPolicy(
            config, normalization=Normalization.from_dict(statistics), tokenizer=tokenizer
        )
    load_weights(directory, policy, dtype=dtype, device=device)
    return policy.to(device).eval()
