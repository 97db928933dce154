"""Which training of a policy fits how many cards of a size: whole or by adapters, spread or not."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.device import DeviceMemory, Placement
from engine.learning.economy import Economy
from engine.memory.components import PROMPT_TOKENS, JudgeConfig, build_model, weights_of
from engine.memory.footprint import META, count_parameters, on_meta, peak_of_training, weight_bytes
from engine.memory.planner import CUDA_CONTEXT, MARGIN, plan, size, training_bytes
from engine.policy.adapters import add_adapters, compute_again, layers
from engine.policy.config import PolicyConfig
from engine.world_model.model import WorldModelConfig

MASTER, MOMENTS, GRADIENTS = 4, 8, 4  # bytes a trained number: float32, AdamW's two, its gradient
USUAL_RANK = 32  # of adapters, as OpenVLA-OFT trains them
HALF = 2

Models = tuple[PolicyConfig, WorldModelConfig, JudgeConfig]


@dataclass(frozen=True, kw_only=True)
class CardPlan:
    """GRPO in imagination on some cards of a kind, each with its share of the rows.

    Attributes:
        economy: how the policy is trained; None where nothing fits.
        rows: rollouts that advance together on a card.
        slice_rows: chunks that go through the policy at once while it learns.
        acting, learning: bytes on each card while it imagines and while it learns.
    """

    cards: int
    device: DeviceMemory
    economy: Economy | None
    rows: int
    slice_rows: int
    acting: int
    learning: int
    sentence: str


def plan_cards(
    models: Models, *, cards: int, device: DeviceMemory, rows: int, horizon: int, slice_rows: int
) -> CardPlan:
    """The mildest training that fits: all weights before adapters, then as many rows as can be.

    Args:
        rows: of an iteration, over all cards.
        slice_rows: as many chunks at once as the job asks for; fewer where they do not fit.
    """
    share = -(-rows // cards)
    least = 0
    for economy, at_once in _savings(cards, slice_rows):
        learning = learning_bytes(models, economy, cards, at_once)
        one = acting_bytes(models, economy, cards, device, 1, horizon)
        least = min(least or max(one, learning), max(one, learning))
        if max(one, learning) > device.free:
            continue
        count = share
        while (
            acting := acting_bytes(models, economy, cards, device, count, horizon)
        ) > device.free:
            count = -(-count // 2)
        words = _words(economy, cards, count, at_once)
        return CardPlan(
            cards=cards,
            device=device,
            economy=economy,
            rows=count,
            slice_rows=at_once,
            acting=acting,
            learning=learning,
            sentence=f"Fits: {words}; {size(acting)} while it imagines, {size(learning)} while it "
            f"learns, of {size(device.free)} free on {device.name}.",
        )
    return CardPlan(
        cards=cards,
        device=device,
        economy=None,
        rows=0,
        slice_rows=0,
        acting=0,
        learning=0,
        sentence=f"Does not fit: even adapters need {size(least)} on each card, "
        f"{size(device.free)} are free on {device.name}.",
    )


def beside_bytes(
    policy: PolicyConfig, economy: Economy, placement: Placement, learners: int
) -> int:
    """What training keeps on a device while the policy acts, beside its weights as placed."""
    if economy.bfloat16:
        placement = replace(placement, dtype="bfloat16")
    if not economy.lora_rank and not (economy.spread and learners > 1):
        return training_bytes(policy, placement)
    parts = learners if economy.spread else 1
    total, _, _ = weights_of(policy, placement)
    if not economy.lora_rank:
        return total * (MASTER + MOMENTS) // parts
    trained = _adapter_numbers(policy, economy.lora_rank)
    held = trained * (MASTER + MOMENTS + GRADIENTS) // parts
    return held + (total * placement.precision.itemsize // parts if parts > 1 else 0)


def acting_bytes(
    models: Models,
    economy: Economy,
    cards: int,
    device: DeviceMemory,
    rows: int,
    horizon: int,
) -> int:
    """On each card while it imagines."""
    placement = Placement(device=device.kind, dtype="bfloat16")
    found = plan(*models, device=device, placement=placement, rows=rows, horizon=horizon)
    return found.total + beside_bytes(models[0], economy, placement, cards)


def learning_bytes(models: Models, economy: Economy, cards: int, slice_rows: int) -> int:
    """On each card while the policy learns; world model and judge stay where they are."""
    placement = Placement(device="cuda", dtype="bfloat16")
    total, resident, _ = weights_of(models[0], placement)
    others = sum(weights_of(config, placement)[1] for config in models[1:])
    parts = cards if economy.spread else 1
    if economy.lora_rank:
        trained = _adapter_numbers(models[0], economy.lora_rank)
        held = resident // parts + trained * (MASTER + MOMENTS + GRADIENTS) // parts
    else:
        held = total * (MASTER + MOMENTS + GRADIENTS) // parts
        held += 0 if parts > 1 else resident  # the copy that autocast keeps
    if parts > 1:
        held += _visiting_bytes(models[0])
    kept = slice_rows * _kept_bytes(models[0], economy.lora_rank, economy.recompute)
    return others + held + int((1 + MARGIN) * kept) + CUDA_CONTEXT


def _savings(cards: int, slice_rows: int) -> Iterator[tuple[Economy, int]]:
    """What to give up, in this order: activations, chunks at once, training all weights.

    On several cards each has a part of what is trained from the first: what they tell each other
    costs less than the rows that would not fit.
    """
    for rank in (0, USUAL_RANK):
        base = Economy(lora_rank=rank, bfloat16=True, spread=cards > 1)
        yield base, slice_rows
        for halvings in range(slice_rows.bit_length()):
            yield base.replace(recompute=True), slice_rows >> halvings


def _words(economy: Economy, cards: int, rows: int, slice_rows: int) -> str:
    what = f"adapters of rank {economy.lora_rank}" if economy.lora_rank else "all weights"
    words = [f"{what} in bfloat16 beside float32"]
    if economy.spread:
        words.append(f"spread over {cards} cards")
    if economy.recompute:
        words.append("activations computed again")
    words.append(f"{rows} row{'s' * (rows > 1)} at once on each card")
    words.append(f"{slice_rows} chunk{'s' * (slice_rows > 1)} learnt at once")
    return ", ".join(words)


@functools.lru_cache(maxsize=16)
def _learner(config: PolicyConfig, rank: int) -> Any:
    """The policy on the meta device with gradients asked for, with adapters or without."""
    policy = on_meta(lambda: build_model(config), torch.bfloat16)
    if rank:
        add_adapters(policy, rank=rank, alpha=float(rank))
        for parameter in policy.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)  # as autocast has them multiplied
    return policy


@functools.lru_cache(maxsize=16)
def _adapter_numbers(config: PolicyConfig, rank: int) -> int:
    policy = _learner(config, rank)
    return sum(p.numel() for p in policy.parameters() if p.requires_grad)


@functools.lru_cache(maxsize=16)
def _visiting_bytes(config: PolicyConfig) -> int:
    """Of a spread policy: what belongs to no layer, and two layers that visit at once."""
    policy = _learner(config, 0)
    parts = layers(policy)
    inside = sum(count_parameters(part) for part in parts)
    largest = max(weight_bytes(part) for part in parts)
    return (count_parameters(policy) - inside) * HALF + 2 * largest


@functools.lru_cache(maxsize=16)
def _kept_bytes(config: PolicyConfig, rank: int, recompute: bool) -> int:
    """Activations of one chunk from its forward pass to its gradient."""
    policy = _learner(config, rank)
    side = config.image_size
    pixels = torch.empty(1, 6, side, side, dtype=torch.bfloat16, device=META)
    ids = torch.zeros(1, PROMPT_TOKENS, dtype=torch.int64, device=META)
    parts = layers(policy)
    kept = peak_of_training(policy, lambda: policy(pixels, ids))
    if not recompute:
        return kept
    plain = [part.forward for part in parts]
    compute_again(parts)
    inputs = peak_of_training(policy, lambda: policy(pixels, ids))
    for part, forward in zip(parts, plain, strict=True):
        part.forward = forward
    return inputs + kept // config.language.num_hidden_layers  # one layer in full
