"""A model of which each process that learns holds a part: torch's FSDP2."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn

from engine.device import Placement
from engine.ranks import ranks


def spread(model: nn.Module, layers: Sequence[nn.Module], placement: Placement) -> None:
    """Keep this process's part of every weight, on its device; whole layers visit it in turn."""
    fsdp: Any = import_module("torch.distributed.fsdp")  # seconds to import, and rarely needed
    mesh = import_module("torch.distributed.device_mesh").init_device_mesh(
        placement.where.type, (ranks(),)
    )
    precision = fsdp.MixedPrecisionPolicy(param_dtype=placement.mixed, reduce_dtype=torch.float32)
    for part in (*layers, model):
        fsdp.fully_shard(part, mesh=mesh, mp_policy=precision)
    model.to(placement.where)  # buffers
    for part in _parts(model):
        part.set_gradient_divide_factor(1.0)  # sums, as the shares of a batch are summed
        part.set_force_sum_reduction_for_comms(True)


def ready_to_act(model: nn.Module) -> None:
    """Bring all weights of a spread model here: until it learns, nobody waits for another."""
    for part in _parts(model):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def ready_to_learn(model: nn.Module) -> None:
    """Let go of all weights of a spread model but this process's part."""
    for part in _parts(model):
        part.reshard()
        part.set_reshard_after_forward(part is not model, recurse=False)


def _parts(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "unshard")]
