"""Numbers in [-1, 1] to action tokens and back: 256 bins (method.md §2.2).

A *token* is an action-column index in [0, 256): vocabulary id minus (vocabulary - 256), where the
vocabulary is counted without padding. Low numbers have high tokens: token 255 is -0.996.
Token j of a chunk belongs to step j // a and dimension j % a.
"""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor

NUM_BINS = 256


def bin_edges() -> Float[Tensor, "256"]:
    """The 256 edges on [-1, 1], as numpy's float64 linspace rounds them."""
    return torch.from_numpy(np.linspace(-1.0, 1.0, NUM_BINS))


def bin_centres() -> Float[Tensor, "255"]:
    """The 255 values that tokens decode to, float64, ascending."""
    edges = bin_edges()
    return (edges[:-1] + edges[1:]) / 2.0


def encode_values(values: Float[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """The token of each number; numbers outside [-1, 1] are clipped."""
    clipped = values.double().clamp(-1.0, 1.0).contiguous()
    edges = bin_edges().to(values.device)
    num_edges_below = torch.bucketize(clipped, edges, right=True)
    return NUM_BINS - num_edges_below


def decode_values(tokens: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The bin centre of each token, float64; tokens 0 and 1 both decode to the highest one."""
    return bin_centres().to(tokens.device)[(NUM_BINS - 1 - tokens).clamp(0, NUM_BINS - 2)]


def encode_actions(actions: Float[Tensor, "b k a"]) -> Int64[Tensor, "b l"]:
    """Chunks of normalised actions to their tokens, step major."""
    return rearrange(encode_values(actions), "b k a -> b (k a)")


def decode_actions(tokens: Int64[Tensor, "b l"], action_dim: int) -> Float[Tensor, "b k a"]:
    """Tokens to normalised actions in [-1, 1], float32."""
    return rearrange(decode_values(tokens).float(), "b (k a) -> b k a", a=action_dim)


def first_action_id(vocabulary: int) -> int:
    """The vocabulary id of token 0; `vocabulary` counts the ids without padding."""
    return vocabulary - NUM_BINS
