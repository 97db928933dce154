"""Action tokens: bins, ids and back."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.policy.tokens import (
    bin_edges,
    decode_actions,
    decode_values,
    encode_actions,
    encode_values,
    first_action_id,
)


def test_the_lowest_and_the_highest_number_get_the_last_and_the_first_token() -> None:
    assert encode_values(torch.tensor([-1.0, 1.0, -7.0, 7.0])).tolist() == [255, 0, 255, 0]


def test_numbers_exactly_on_an_edge_belong_to_the_bin_above() -> None:
    edges = bin_edges()
    assert encode_values(edges).tolist() == list(range(255, -1, -1))


def test_the_two_first_tokens_decode_to_the_same_value() -> None:
    assert np.round(decode_values(torch.tensor([0, 1, 255])).numpy(), 5).tolist() == [
        0.99608,
        0.99608,
        -0.99608,
    ]


@given(seed=st.integers(0, 2**31), chunk_size=st.integers(1, 9), action_dim=st.integers(1, 8))
def test_a_round_trip_stays_within_half_a_bin(seed: int, chunk_size: int, action_dim: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    actions = torch.rand(2, chunk_size, action_dim, generator=generator) * 2.0 - 1.0
    back = decode_actions(encode_actions(actions), action_dim)
    assert (back - actions).abs().max() <= 1.0 / 255.0 + 1e-6


@given(seed=st.integers(0, 2**31))
def test_every_decoded_token_encodes_to_itself(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 256, (3, 8), generator=generator)
    assert torch.equal(encode_actions(decode_actions(tokens, 4)), tokens)


def test_tokens_are_ordered_step_major() -> None:
    actions = torch.tensor([[[-1.0, 1.0], [1.0, 1.0]]])
    assert encode_actions(actions).tolist() == [[255, 0, 0, 0]]


def test_actions_are_the_last_ids_of_the_vocabulary() -> None:
    assert first_action_id(32000) == 31744
