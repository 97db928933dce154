"""LPIPS is measured by whatever backbone is there, and is absent without one."""

import numpy as np
import torch

from engine.statistics.perceptual import load_backbone, lpips_distance


def mean_difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one - other).abs().mean(dim=(1, 2, 3), keepdim=True)


def test_a_backbone_sees_frames_in_the_range_it_was_made_for() -> None:
    black, white = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
    assert lpips_distance(black, white, mean_difference).tolist() == [2.0, 2.0]
    assert lpips_distance(white, white, mean_difference).tolist() == [0.0, 0.0]


def test_without_the_packages_there_is_no_backbone() -> None:
    assert load_backbone() is None
