"""DPO's loss against a plain numpy reference, and pairs worked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.learning import dpo
from engine.seeding import numpy_generator


def test_a_trajectory_adds_up_its_valid_tokens_over_all_its_chunks() -> None:
    log_probs = torch.tensor([[-1.0, -2.0], [-4.0, -8.0], [-16.0, -32.0]])
    mask = torch.tensor([[True, True], [True, False], [True, True]])
    sums = dpo.trajectory_log_probs(log_probs, mask, torch.tensor([1, 1, 0]), 3)
    assert sums.tolist() == [-48.0, -7.0, 0.0]


@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from([0.0, 0.03, 0.1, 1.0]))
def test_loss_and_gradient_equal_a_plain_reference(seed: int, pairs: int, beta: float) -> None:
    random = numpy_generator(seed, "dpo")
    chosen, rejected, ref_chosen, ref_rejected = random.normal(-20.0, 5.0, (4, pairs))
    leaf = torch.tensor(chosen, requires_grad=True)
    margins = dpo.preference_margins(
        leaf.float(),
        torch.tensor(rejected).float(),
        torch.tensor(ref_chosen).float(),
        torch.tensor(ref_rejected).float(),
        beta=beta,
    )
    losses = dpo.preference_losses(margins)
    losses.sum().backward()
    wanted = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    np.testing.assert_allclose(losses.detach(), np.log1p(np.exp(-wanted)), rtol=1e-4, atol=1e-5)
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad, -beta / (1 + np.exp(wanted)), rtol=1e-3, atol=1e-6)


def test_an_unchanged_policy_pays_log_two_and_is_right_half_the_time() -> None:
    same = torch.tensor([-3.0, -5.0])
    margins = dpo.preference_margins(same, same + 1, same, same + 1, beta=0.1)
    assert dpo.preference_losses(margins).tolist() == pytest.approx([np.log(2.0)] * 2)
    assert dpo.preference_accuracy(margins).item() == 0.5


def test_pairs_are_made_within_a_start_and_the_others_are_counted() -> None:
    starts = torch.tensor([7, 7, 7, 8, 8, 9])
    success = torch.tensor([True, False, False, True, True, False])
    pairs, counts = dpo.mixed_pairs(starts, success)
    assert pairs.tolist() == [[0, 1], [0, 2]]
    assert counts == {"mixed_starts": 1, "skipped_starts": 2}


def test_without_a_mixed_start_there_is_no_pair() -> None:
    pairs, counts = dpo.mixed_pairs(torch.tensor([1, 2]), torch.tensor([True, False]))
    assert pairs.shape == (0, 2)
    assert counts == {"mixed_starts": 0, "skipped_starts": 2}
