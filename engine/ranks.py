"""Processes that learn one model together: who this one is, and what they tell each other.

Each runs the same job on its share of every batch; sums over all of them are what one process
would have found, up to the order of summation. Of one process all this is nothing.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Bool, Int64
from torch import Tensor, nn


def ranks() -> int:
    """How many processes learn together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is."""
    return dist.get_rank() if dist.is_initialized() else 0


def leads() -> bool:
    """Whether this one speaks for all: it alone logs, stores and plays."""
    return rank() == 0


def deal(rows: Int64[Tensor, " m"]) -> tuple[Int64[Tensor, " n"], Bool[Tensor, " n"]]:
    """(this process's share of some rows, which of them count): each gets equally many.

    Where they cannot be, a row is dealt again and does not count.
    """
    short = -len(rows) % ranks()
    counts = torch.arange(len(rows) + short) < len(rows)
    dealt = torch.cat([rows, rows[:1].expand(short)]) if short else rows
    return dealt[rank() :: ranks()], counts[rank() :: ranks()]


def summed(values: Tensor) -> Tensor:
    """The sum over all processes; the tensor itself may change."""
    if ranks() > 1:
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Gradients become the sums over all processes; spread ones (FSDP2) are that already."""
    if ranks() == 1:
        return
    found = [p.grad for p in parameters if p.grad is not None and not is_spread(p)]
    if not found:
        return
    flat = summed(torch.cat([gradient.reshape(-1) for gradient in found]))
    for gradient, part in zip(found, flat.split([g.numel() for g in found]), strict=True):
        gradient.copy_(part.view_as(gradient))


def agreed(word: bool) -> bool:
    """What the leading process says."""
    if ranks() == 1:
        return word
    told = [word]
    dist.broadcast_object_list(told)
    return told[0]


def pooled(own: Any) -> list[Any]:
    """What each process has, in their order."""
    found = [own] * ranks()
    if ranks() > 1:
        dist.all_gather_object(found, own)
    return found


def is_spread(tensor: Tensor) -> bool:
    """Whether each process has a part of it only."""
    return hasattr(tensor, "full_tensor")


def gathered(tensor: Tensor) -> Tensor:
    """All of a tensor where it lies; of a spread one, every process has to ask."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on the CPU; of a spread one, every process has to ask."""
    return gathered(tensor).cpu().contiguous()


def like(full: Tensor, own: Tensor) -> Tensor:
    """A whole tensor as `own` lies: the part of this process, where it is spread."""
    if not is_spread(own):
        return full
    spread: Any = own
    placed = full.to(device=spread.to_local().device, dtype=own.dtype)
    distribute = import_module("torch.distributed.tensor").distribute_tensor  # rarely needed
    # Every process has the same tensor: each takes its part, and nothing is sent.
    part: Tensor = distribute(placed, spread.device_mesh, spread.placements, src_data_rank=None)
    return part


def norm_clipped(parameters: list[nn.Parameter], largest: float) -> Tensor:
    """The norm of all gradients together, spread or not, which are clipped to the largest."""
    norm = nn.utils.clip_grad_norm_(parameters, largest)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm
