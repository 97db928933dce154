"""A policy that is trained as an `Economy` says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch.distributed as dist

from engine.device import Placement
from engine.learning.economy import Economy
from engine.learning.spreading import spread
from engine.policy.adapters import add_adapters, compute_again, layers
from engine.policy.model import OpenVLAPolicy
from engine.ranks import rank, ranks
from engine.seeding import initialisation

Load = Callable[[Placement, bool], OpenVLAPolicy]  # (where and how, whether all of it is trained)


def make_learner(load: Load, economy: Economy, placement: Placement, *, seed: int) -> OpenVLAPolicy:
    """The policy that `load` gives, ready to be trained.

    Args:
        seed: of the adapters' first weights, which change nothing yet.

    Raises:
        ValueError: peft is needed and not installed.
    """
    if economy.bfloat16:
        placement = replace(placement, dtype="bfloat16")
    if not economy.spread or ranks() == 1:
        return _prepared(load, economy, placement, placement, seed)
    with _in_turn():  # all of it lies in main memory until it is spread
        policy = _prepared(load, economy, replace(placement, device="cpu"), placement, seed)
    spread(policy, layers(policy), placement)
    return policy


def _prepared(
    load: Load, economy: Economy, first: Placement, placement: Placement, seed: int
) -> OpenVLAPolicy:
    policy = load(first, not economy.lora_rank)
    policy.mixed = placement.mixed
    if economy.lora_rank:
        with initialisation(seed, "adapters"):
            alpha = economy.lora_alpha or float(economy.lora_rank)
            add_adapters(policy, rank=economy.lora_rank, alpha=alpha)
    if economy.recompute:
        compute_again(layers(policy))
    return policy


@contextmanager
def _in_turn() -> Iterator[None]:
    """One process after the other."""
    for _ in range(rank()):
        dist.barrier()
    yield
    for _ in range(ranks() - rank()):
        dist.barrier()
