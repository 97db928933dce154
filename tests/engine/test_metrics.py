"""Frame metrics."""

import numpy as np
import pytest

from engine.seeding import numpy_generator
from engine.statistics.metrics import (
    PERFECT_DB,
    divergence_onset,
    frechet_distance,
    psnr,
    repeat_first,
    ssim,
    verdict_onset,
)


def _frames(*shape: int) -> np.ndarray:
    return numpy_generator(0, "frames").integers(0, 256, (*shape, 16, 16, 3), dtype=np.uint8)


def test_psnr_of_a_constant_error() -> None:
    black = np.zeros((2, 8, 8, 3), np.uint8)
    grey = np.full((2, 8, 8, 3), 51, np.uint8)
    # An error of a fifth of the range: 20 log10(5).
    assert psnr(black, grey).tolist() == pytest.approx([13.9794, 13.9794], abs=1e-4)


def test_equal_frames_have_a_finite_psnr() -> None:
    assert psnr(_frames(1), _frames(1)).tolist() == [PERFECT_DB]


def test_ssim_of_equal_frames_is_one() -> None:
    assert ssim(_frames(2, 3), _frames(2, 3)) == pytest.approx(np.ones((2, 3)))


def test_ssim_falls_with_noise() -> None:
    clean = _frames(1)
    noise = numpy_generator(0, "noise").integers(-60, 60, clean.shape)
    noisy = np.clip(clean.astype(int) + noise, 0, 255).astype(np.uint8)
    assert ssim(clean, noisy)[0] < 0.95


def test_ssim_of_tiny_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 11 x 11 pixels, not 8 x 8"):
        ssim(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))


def test_the_baseline_repeats_the_start() -> None:
    frames = _frames(4)
    repeated = repeat_first(frames)
    assert repeated.shape == frames.shape
    assert (repeated == frames[0]).all()


@pytest.mark.parametrize(
    ("quality", "baseline", "onset"),
    [
        ([100, 19, 19, 19, 19], [100, 15, 15, 15, 15], 1),  # below the floor
        ([100, 28, 24, 24, 24, 24], [100, 27, 25, 25, 25, 25], 2),  # worse than standing still
        ([100, 33, 33, 33, 33], [100, 45, 45, 45, 45], None),  # all that an autoencoder can do
        ([100, 19, 25, 19, 19, 25], [100, 15, 15, 15, 15, 15], None),  # never four in a row
        ([100, 25, 25, 19, 19], [100, 15, 15, 15, 15], 3),  # to the end
        ([100], [100], None),
    ],
)
def test_a_dream_parts_from_reality_where_it_stays_worse_than_standing_still(
    quality: list[float], baseline: list[float], onset: int | None
) -> None:
    assert divergence_onset(np.array(quality, float), np.array(baseline, float)) == onset


@pytest.mark.parametrize(
    ("imagined", "real", "onset"),
    [
        ([0.1, 0.1, 0.5, 0.9, 0.9, 0.9], [0.1] * 6, 2),  # the dream pushes the mug alone
        ([0.1] * 6, [0.1, 0.1, 0.1, 0.4, 0.9, 0.9], 3),  # or reality does, to the end
        ([0.1, 0.9, 0.1, 0.9, 0.1, 0.1], [0.1] * 6, None),  # never four in a row
        ([0.3] * 6, [0.1] * 6, None),  # a judge in doubt
        ([0.1, 0.9], [0.1, 0.1, 0.1, 0.1], 1),  # the dream ended there
    ],
)
def test_a_judge_sees_a_dream_and_its_twin_apart_where_its_verdicts_stay_apart(
    imagined: list[float], real: list[float], onset: int | None
) -> None:
    assert verdict_onset(np.array(imagined), np.array(real)) == onset


def test_the_frechet_distance_of_gaussians_known_in_closed_form() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3))
    assert frechet_distance(rows, rows) == pytest.approx(0.0, abs=1e-9)
    # Shifted by (1, 2, 2) and stretched by 2: |shift|^2 + tr(C) (1 - 2)^2 for the same sample.
    centred = rows - rows.mean(axis=0)
    other = 2.0 * centred + np.array([1.0, 2.0, 2.0])
    expected = 9.0 + np.trace(np.cov(centred, rowvar=False))
    assert frechet_distance(centred, other) == pytest.approx(expected)
    assert frechet_distance(rows[:1], rows) is None
