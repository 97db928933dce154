"""Which training of the released policy fits how many cards, and what that is reckoned from."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from engine.device import DeviceMemory, Placement
from engine.learning.economy import Economy
from engine.memory.cards import CardPlan, beside_bytes, plan_cards
from engine.memory.footprint import META, on_meta, peak_of_training
from engine.policy.adapters import add_adapters
from engine.policy.config import paper_policy_config, tiny_policy_config
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig
from engine.world_model.model import WorldModelConfig

GIB = 1 << 30
PAPER = (paper_policy_config(), WorldModelConfig.paper(), RewardConfig.paper())
NUMBERS = 7_541_237_184  # of the released policy
BF16 = Placement(device="cuda", dtype="bfloat16")


def found(cards: int, gibibytes: int) -> CardPlan:
    free = gibibytes * GIB - GIB // 2
    device = DeviceMemory(kind="cuda", name="a card", total=gibibytes * GIB, free=free)
    return plan_cards(PAPER, cards=cards, device=device, rows=512, horizon=256, slice_rows=32)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_more_and_larger_cards_train_more_of_the_released_policy() -> None:
    plans = {
        (cards, size): found(cards, size) for cards in (1, 2, 4, 8) for size in (24, 48, 80, 141)
    }
    trained = {
        key: None if plan.economy is None else plan.economy.lora_rank or "all"
        for key, plan in plans.items()
    }
    assert {
        size: [trained[cards, size] for cards in (1, 2, 4, 8)] for size in (24, 48, 80, 141)
    } == {
        24: [None] * 4,
        48: [32, 32, "all", "all"],
        80: [32, "all", "all", "all"],
        141: ["all"] * 4,
    }
    for (cards, size), plan in plans.items():
        assert max(plan.acting, plan.learning) <= plan.device.free
        assert plan.economy is None or plan.economy.spread == (cards > 1)
        assert 0 <= plan.rows <= 512 // cards
        if plan.economy and trained.get((cards // 2, size)) == trained[cards, size]:
            assert plan.rows >= min(plans[cards // 2, size].rows, 512 // cards)
    assert "even adapters need" in plans[1, 24].sentence


def test_what_training_keeps_beside_a_policy_that_acts() -> None:
    policy = PAPER[0]
    whole = beside_bytes(policy, Economy(), BF16, 1)
    assert whole == pytest.approx(NUMBERS * (4 + 4 + 8 + 2 - 2), rel=1e-3)
    spread = beside_bytes(policy, Economy(spread=True), BF16, 4)
    assert spread == pytest.approx(NUMBERS * (4 + 8) / 4, rel=1e-3)
    adapters = beside_bytes(policy, Economy(lora_rank=32), BF16, 1)
    assert adapters < 0.02 * NUMBERS * 16


def test_adapters_are_counted_as_they_are() -> None:
    config, ones = tiny_policy_config(), (1.0,) * tiny_policy_config().action_dim
    statistics = Normalization(q01=tuple(-one for one in ones), q99=ones, mask=(True,) * len(ones))
    policy = OpenVLAPolicy(config, normalization=statistics, tokenizer=demo_tokenizer())
    add_adapters(policy, rank=4, alpha=4.0)
    numbers = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert beside_bytes(config, Economy(lora_rank=4), Placement(), 1) == numbers * 16


def test_a_forward_pass_keeps_what_its_gradient_needs_unless_it_is_computed_again() -> None:
    """Of eight layers: a linear map keeps its input and tanh its output, which is the next's."""
    row = 4 * 256  # bytes
    network = on_meta(
        lambda: nn.Sequential(*(nn.Sequential(nn.Linear(256, 256), nn.Tanh()) for _ in range(8))),
        torch.float32,
    )
    given = torch.empty(1, 256, device=META)
    kept = peak_of_training(network, lambda: network(given))
    assert kept == 9 * row  # eight outputs of tanh, and one of a map on its way
    for layer in network:
        layer.forward = partial(
            checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False
        )
    assert peak_of_training(network, lambda: network(given)) <= kept
