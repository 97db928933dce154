"""Warm-up, KL limit and distance from the base, with a policy worked by hand."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.jobs.optimise.exploitability import copy_weights, exploitability, kl_from
from engine.jobs.optimise.optimise_plan import JobConfig
from engine.jobs.optimise.real_checks import checked_episodes
from engine.jobs.optimise.update import PolicyUpdate
from engine.learning.grpo import token_kl
from engine.records.types import Outcome


class CoinPolicy(nn.Module):
    """Every token is heads (1) with probability sigmoid(w), whatever is seen."""

    action_dim = 1

    def __init__(self, w: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def log_probs(
        self, images: Tensor, instructions: Any, tokens: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        heads = nn.functional.logsigmoid(self.w)
        tails = nn.functional.logsigmoid(-self.w)
        chosen = torch.where(tokens == 1, heads, tails)
        return chosen, torch.zeros_like(chosen)


@dataclass(frozen=True)
class Toss:
    """One chunk of one token; the old log-probability is that of a fair coin."""

    heads: bool
    start_id: int = 0
    member: int = 0
    outcome: Outcome = field(default_factory=lambda: Outcome(True, 1))
    policy_frames: Tensor = field(default_factory=lambda: torch.zeros(1, 2, 2, 3).byte())
    log_probs: Tensor = field(default_factory=lambda: torch.full((1, 1), math.log(0.5)))
    entropy: Tensor = field(default_factory=lambda: torch.zeros(1))

    @property
    def tokens(self) -> Tensor:
        return torch.tensor([[int(self.heads)]])


def _update(policy: CoinPolicy, **changes: Any) -> PolicyUpdate:
    settings: dict[str, Any] = {
        "instruction": "toss",
        "temperature": 1.0,
        "clip_low": 0.2,
        "clip_high": 10.0,
        "gradient_clip": 100.0,
        "learning_rate": 0.1,
        "warmup_updates": 0,
        "kl_limit": 0.0,
        "mini_batches": 4,
        "slice_rows": 8,
        "seed": 0,
        "give_way": lambda: None,
    }
    return PolicyUpdate(policy=policy, **{**settings, **changes})


def _apply(update: PolicyUpdate, iteration: int = 0) -> dict[str, float]:
    """Four tosses of heads, each praised; plain gradient steps of known size."""
    optimizer = torch.optim.SGD(update.policy.parameters(), lr=123.0)
    return update.apply(optimizer, [Toss(True)] * 4, torch.ones(4), iteration)


def test_the_learning_rate_rises_by_equal_steps_over_all_iterations() -> None:
    update = _update(CoinPolicy(), warmup_updates=8)
    rates = [update.rate_of(step) for step in (0, 3, 7, 8, 100)]
    assert rates == pytest.approx([0.1 / 8, 0.1 / 2, 0.1, 0.1, 0.1])
    assert _update(CoinPolicy()).rate_of(0) == 0.1


def test_the_first_step_has_the_warmed_up_rate_and_later_iterations_go_on_from_it() -> None:
    """The gradient of a fair coin's heads, ratio 1, is -(1 - 1/2); the rate is 0.1 k / 8."""
    for iteration, rate in ((0, 0.1 / 8), (1, 0.1 * 5 / 8), (3, 0.1)):
        policy = CoinPolicy()
        _apply(_update(policy, warmup_updates=8, mini_batches=4, kl_limit=1e-9), iteration)
        assert policy.w.item() == pytest.approx(0.5 * rate, rel=1e-5)


def test_the_divergence_of_a_token_is_worked_by_hand_and_never_negative() -> None:
    """A fair coin against one with heads 3/4: r = 3/2 for heads, 1/2 for tails."""
    new, old = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    heads, tails = token_kl(new, old)[0].tolist()
    assert heads == pytest.approx(0.5 - math.log(1.5))
    assert tails == pytest.approx(-0.5 + math.log(2.0))
    exact = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert (heads + tails) / 2 == pytest.approx(exact)


def test_an_iteration_stops_updating_at_the_limit_and_says_so() -> None:
    """With steps of rate 1 the second mini-batch is at w = 0.5, KL 0.023 from the fair coin."""
    heads = 1.0 / (1.0 + math.exp(-0.5))
    far = heads / 0.5 - 1.0 - math.log(heads / 0.5)
    free = CoinPolicy()
    metrics = _apply(_update(free, learning_rate=1.0))
    assert (metrics["grpo/updates"], metrics["grpo/kl_stop"]) == (4.0, 0.0)
    stopped = CoinPolicy()
    metrics = _apply(_update(stopped, learning_rate=1.0, kl_limit=far / 2))
    assert (metrics["grpo/updates"], metrics["grpo/kl_stop"]) == (1.0, 1.0)
    assert metrics["grpo/kl"] == pytest.approx(far / 2, rel=1e-4)  # the mean of 0 and `far`
    assert stopped.w.item() == pytest.approx(0.5)
    assert free.w.item() > 1.0
    metrics = _apply(_update(CoinPolicy(), learning_rate=1.0, kl_limit=far * 1.01))
    assert metrics["grpo/updates"] == 2.0


def test_the_distance_from_the_base_is_that_of_what_was_done_and_leaves_the_policy() -> None:
    """The fair coin acted; the base has heads 3/4; half the tosses were heads."""
    base = copy_weights(CoinPolicy(math.log(3.0)))
    policy = CoinPolicy()
    found = kl_from(base, _update(policy), [Toss(True), Toss(False)])
    exact = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert found == pytest.approx(exact, abs=1e-6)
    assert policy.w.item() == 0.0


def test_the_gap_is_dreamt_minus_real_where_both_are_known() -> None:
    known = {"rollout/success_rate": 0.75, "real/success_rate": 0.5}
    assert exploitability(known) == {"real/gap": 0.25}
    assert exploitability({"rollout/success_rate": 0.75}) == {}


def test_real_checks_are_counted_from_the_base_to_the_last_policy() -> None:
    """Every 2 of 5 iterations: before the 1st, the 3rd, the 5th, and after the 5th."""
    config = JobConfig(real_every=2, real_episodes=10, iterations=5)
    assert [checked_episodes(config, done) for done in range(1, 6)] == [10, 10, 20, 20, 40]
    assert checked_episodes(JobConfig(iterations=5), 5) == 0
