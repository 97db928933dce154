"""Pixels on their way into a model and out of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.images import to_model, to_pixels


def test_every_pixel_value_returns_as_it_was() -> None:
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    assert torch.equal(to_pixels(to_model(values)), values)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(1, 9), st.integers(1, 9))
def test_frames_of_any_shape_return_as_they_were(seed: int, b: int, h: int, w: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (b, 2, h, w, 3), generator=draw, dtype=torch.uint8)
    assert to_model(frames).shape == (b, 2, 3, h, w)
    assert torch.equal(to_pixels(to_model(frames)), frames)


def test_black_grey_and_white_have_their_places_in_the_models_range() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 3)
    assert to_model(pixels).flatten().tolist() == pytest.approx([-1.0, -0.6, 1.0])


def test_channels_come_first_inside_a_model() -> None:
    frames = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    frames[..., 1] = 255
    assert to_model(frames)[0].mean(dim=(1, 2)).tolist() == [-1.0, 1.0, -1.0]


def test_what_lies_beyond_the_range_is_clipped() -> None:
    frames = torch.tensor([-7.0, -1.01, 1.01, 7.0]).reshape(1, 1, 2, 2)
    assert to_pixels(frames).flatten().tolist() == [0, 0, 255, 255]


def test_a_value_between_two_pixels_is_truncated() -> None:
    # (x / 2 + 1 / 2) * 255 = 100.9 is 100 (method.md §1.6)
    frames = torch.full((1, 1, 1), 100.9 / 255 * 2 - 1)
    assert to_pixels(frames).item() == 100


def test_frames_for_a_model_lie_channel_by_channel_in_memory() -> None:
    # A view with channels last gives other bits in a convolution than the same frames copied.
    assert to_model(torch.zeros(2, 4, 4, 3, dtype=torch.uint8)).is_contiguous()
