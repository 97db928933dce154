"""Advantages, group filter, token mask, loss and the accumulated gradient of GRPO."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.learning.grpo import (
    accumulate_gradient,
    approx_kl,
    clip_fraction,
    group_advantages,
    group_fates,
    informative,
    masked_mean,
    spread,
    success_returns,
    token_losses,
    token_mask,
    token_weights,
)
from engine.parity.items import load_vectors

GOLDEN = Path(__file__).parents[1] / "golden" / "grpo_a"
CLIP = {"clip_low": 0.2, "clip_high": 0.28}


def test_advantages_are_standardised_with_the_unbiased_deviation() -> None:
    advantages = group_advantages(torch.tensor([5.0, 0.0, 0.0]), ["a", "a", "a"])
    assert advantages.tolist() == pytest.approx([2 / 3**0.5, -1 / 3**0.5, -1 / 3**0.5], abs=1e-5)


def test_groups_are_found_by_key_not_by_position() -> None:
    mixed = group_advantages(torch.tensor([5.0, 5.0, 0.0, 5.0]), [1, 2, 1, 2])
    assert mixed.tolist() == pytest.approx([0.5**0.5, 0.0, -(0.5**0.5), 0.0], abs=1e-5)


def test_a_group_of_one_keeps_its_return() -> None:
    assert group_advantages(torch.tensor([5.0]), ["a"]).item() == pytest.approx(5.0, abs=1e-4)


def test_every_row_needs_a_group_key() -> None:
    with pytest.raises(ValueError, match="2 rows need 2 group keys, not 1"):
        group_advantages(torch.zeros(2), ["a"])


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.integers(-9, 9))
def test_advantages_sum_to_zero_and_ignore_a_constant(success: list[bool], shift: int) -> None:
    returns = success_returns(torch.tensor(success))
    advantages = group_advantages(returns, ["a"] * len(success))
    assert abs(advantages.sum().item()) < 1e-4
    shifted = group_advantages(returns + shift, ["a"] * len(success))
    torch.testing.assert_close(advantages, shifted, atol=1e-4, rtol=0.0)


def test_groups_of_only_failures_or_successes_are_dropped_with_the_reason() -> None:
    success = torch.tensor([False, False, True, False, True, True])
    groups = ["a", "a", "b", "b", "c", "c"]
    assert group_fates(success, groups) == {
        "a": "too_few_successes",
        "b": "kept",
        "c": "too_many_successes",
    }
    assert informative(success, groups).tolist() == [False, False, True, True, False, False]


def test_tokens_after_the_end_step_do_not_count() -> None:
    mask = token_mask(torch.tensor([0, 1, 3]), num_tokens=6, action_dim=2)
    assert mask.sum(dim=1).tolist() == [0, 2, 6]
    assert mask[1].tolist() == [True, True, False, False, False, False]


def test_the_advantage_is_spread_over_valid_tokens_only() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    assert spread(torch.tensor([2.0, -1.0]), mask).tolist() == [[2.0, 0.0], [-1.0, -1.0]]


def test_equal_log_probs_are_not_clipped_and_lose_minus_the_advantage() -> None:
    log_probs, advantages = torch.full((1, 3), -2.0), torch.tensor([[1.0, 1.0, -2.0]])
    mask = torch.tensor([[True, True, False]])
    losses = token_losses(log_probs, log_probs, advantages, **CLIP)
    assert masked_mean(losses, mask).item() == -1.0
    assert clip_fraction(log_probs, log_probs, advantages, mask, **CLIP).item() == 0.0


def test_a_good_token_gains_nothing_above_the_upper_clip() -> None:
    losses = token_losses(
        torch.log(torch.tensor([[2.0]])), torch.zeros(1, 1), torch.ones(1, 1), **CLIP
    )
    assert losses.item() == pytest.approx(-1.28)


def test_a_bad_token_gains_nothing_below_the_lower_clip() -> None:
    losses = token_losses(
        torch.log(torch.tensor([[0.5]])), torch.zeros(1, 1), -torch.ones(1, 1), **CLIP
    )
    assert losses.item() == pytest.approx(0.8)


def test_a_bad_token_made_likelier_is_not_clipped() -> None:
    losses = token_losses(
        torch.log(torch.tensor([[2.0]])), torch.zeros(1, 1), -torch.ones(1, 1), **CLIP
    )
    assert losses.item() == pytest.approx(2.0)


def test_masked_tokens_change_nothing() -> None:
    mask = torch.tensor([[True, False]])
    quiet, loud = torch.tensor([[0.1, 0.0]]), torch.tensor([[0.1, 9.0]])
    assert approx_kl(quiet, torch.zeros(1, 2), mask) == approx_kl(loud, torch.zeros(1, 2), mask)


def test_the_mean_over_no_token_is_zero() -> None:
    assert masked_mean(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool)).item() == 0.0


def test_a_trajectory_weighs_the_same_whatever_its_length() -> None:
    weights = token_weights(torch.tensor([[True, False, False], [True, True, True]]))
    assert weights.sum(dim=1).tolist() == pytest.approx([0.5, 0.5])


def test_a_trajectory_without_valid_tokens_weighs_nothing() -> None:
    weights = token_weights(torch.tensor([[False, False], [True, True]]))
    assert weights.tolist() == [[0.0, 0.0], [0.25, 0.25]]


def _toy_gradient(slice_rows: int) -> tuple[torch.Tensor, dict[str, float]]:
    weight = torch.linspace(-1.0, 1.0, 12).reshape(4, 3).clone().requires_grad_()
    mask = torch.tensor(
        [[True, True, True], [True, True, False], [False] * 3, [True, False, False]]
    )
    advantages = torch.tensor([1.0, -0.5, 1.0, 2.0])
    metrics = accumulate_gradient(
        lambda rows: (weight[rows] * 0.1, torch.ones(len(rows), 3)),
        torch.zeros(4, 3),
        spread(advantages, mask),
        token_weights(mask),
        slice_rows=slice_rows,
        **CLIP,
    )
    assert weight.grad is not None
    return weight.grad, metrics


def test_slices_of_any_size_give_one_gradient() -> None:
    whole, metrics = _toy_gradient(slice_rows=4)
    sliced, sliced_metrics = _toy_gradient(slice_rows=1)
    torch.testing.assert_close(whole, sliced, atol=1e-8, rtol=0.0)
    assert metrics == pytest.approx(sliced_metrics)
    assert (whole[2] == 0.0).all()
    assert metrics["grpo/entropy"] == pytest.approx(1.0)


def test_the_loss_and_its_gradient_equal_the_official_ones() -> None:
    scalars, tensors = load_vectors(GOLDEN)
    clip = {"clip_low": scalars["clip_low"], "clip_high": scalars["clip_high"]}
    log_probs = tensors["loss.log_prob"].requires_grad_()
    mask = tensors["loss.mask"].bool()
    losses = token_losses(
        log_probs, tensors["loss.old_log_prob"], tensors["loss.advantages"], **clip
    )
    loss = masked_mean(losses, mask)
    loss.backward()
    torch.testing.assert_close(loss.detach(), tensors["loss.pg_loss"], atol=1e-6, rtol=0.0)
    torch.testing.assert_close(log_probs.grad, tensors["loss.grad_log_prob"], atol=1e-8, rtol=0.0)


def test_advantages_and_filter_equal_the_official_ones() -> None:
    scalars, tensors = load_vectors(GOLDEN)
    success = tensors["complete"].bool()
    low, high = scalars["filter_bounds"]
    kept = informative(success, scalars["uid"], low=low, high=high)
    advantages = group_advantages(success_returns(success), scalars["uid"])
    assert torch.nonzero(kept)[:, 0].tolist() == tensors["filter.kept_index"].tolist()
    torch.testing.assert_close(advantages, tensors["advantage.per_traj"], atol=1e-6, rtol=0.0)
