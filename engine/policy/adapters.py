"""Adapters beside a policy's linear maps (LoRA, by peft), and the weights that have them inside."""

from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.policy.model import OpenVLAPolicy
from engine.ranks import gathered, whole

NAME = "default"  # of the adapter, as peft calls it
BASE = ".base_layer."


def layers(policy: OpenVLAPolicy) -> list[nn.Module]:
    """The blocks that take nearly all of the weights and activations."""
    backbone = policy.vision_backbone
    trunks = (backbone.featurizer, backbone.fused_featurizer)
    run = [block for trunk in trunks for block in trunk.blocks[: trunk.num_run]]
    return [*run, *policy.language_model.model.layers]


def compute_again(parts: Iterable[nn.Module]) -> None:
    """From now on these keep only what goes in; the rest is computed again for the gradient."""
    for part in parts:
        part.forward = partial(
            checkpoint, part.forward, use_reentrant=False, preserve_rng_state=False
        )


def add_adapters(policy: OpenVLAPolicy, *, rank: int, alpha: float) -> None:
    """Freeze the policy; beside each linear map of its blocks and projector stands an adapter.

    Raises:
        ValueError: peft is not installed.
    """
    try:
        peft: Any = import_module("peft")  # seconds to import, and rarely needed
    except ModuleNotFoundError as error:
        raise ValueError("adapters need peft: pip install -r requirements.txt") from error
    names = {id(module): name for name, module in policy.named_modules()}
    inside = [module for part in (*layers(policy), policy.projector) for module in part.modules()]
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=[names[id(each)] for each in inside if isinstance(each, nn.Linear)],
    )
    peft.inject_adapter_in_model(config, policy, adapter_name=NAME)
    for parameter in policy.parameters():
        if parameter.requires_grad:  # float32 beside a base that may be less
            parameter.data = parameter.data.float()


def merged_state(policy: nn.Module) -> dict[str, Tensor]:
    """The weights of a policy without adapters that does the same, on the CPU.

    Where the policy is spread over processes, each has to ask.
    """
    state: dict[str, Tensor] = dict(policy.state_dict())
    adapted = {n: module for n, module in policy.named_modules() if hasattr(module, "base_layer")}
    for name, module in adapted.items():
        up, down = (gathered(state.pop(f"{name}.lora_{side}.{NAME}.weight")) for side in "BA")
        base = f"{name}{BASE}weight"
        state[base] = gathered(state[base]).float() + module.scaling[NAME] * (up @ down)
        state[base] = whole(state[base])
    return {name.replace(BASE, "."): whole(tensor) for name, tensor in state.items()}
