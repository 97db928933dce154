"""Elementwise functions whose bits do not depend on a number's place in its tensor.

A vectorised CPU kernel takes full vectors and then the remainder one by one, in other code that
rounds differently. Which numbers are the remainder changes with the batch (design.md §5), unless
their count is a multiple of the kernel's step; so it is made one.
"""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

KERNEL_STEP = 32


def silu(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x times its sigmoid."""
    return _in_whole_steps(F.silu, values)


def gelu(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The exact (erf) GELU."""
    return _in_whole_steps(F.gelu, values)


class SiLU(nn.Module):
    """`silu` as a module, for transformers' Llama."""

    def forward(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return silu(values)


def _in_whole_steps(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    missing = -values.numel() % KERNEL_STEP
    if not missing:
        return function(values)
    padded = function(F.pad(values.flatten(), (0, missing)))
    return padded[: values.numel()].reshape(values.shape)
