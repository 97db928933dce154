"""Activations: the same bits at every place."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.policy.activations import gelu, silu


def numbers(count: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(count)) * 3.0


@settings(max_examples=10)
@given(length=st.integers(1, 200), before=st.integers(0, 100))
def test_a_number_has_the_same_bits_at_every_place(length: int, before: int) -> None:
    values = numbers(length)
    shifted = torch.cat([torch.zeros(before), values])
    assert torch.equal(silu(shifted)[before:], silu(values))
    assert torch.equal(gelu(shifted)[before:], gelu(values))


@pytest.mark.parametrize("shape", [(0, 5), (2, 3, 7), (4, 8)])
def test_they_are_torchs_functions(shape: tuple[int, ...]) -> None:
    values = numbers(64)[: torch.Size(shape).numel()].reshape(shape)
    torch.testing.assert_close(silu(values), F.silu(values))
    torch.testing.assert_close(gelu(values), F.gelu(values))


def test_gradients_pass() -> None:
    values = numbers(5).requires_grad_()
    silu(values).sum().backward()
    expected = numbers(5).requires_grad_()
    F.silu(expected).sum().backward()
    torch.testing.assert_close(values.grad, expected.grad)
