"""Frames on their way to the two vision trunks."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.policy.config import PolicyConfig, TrunkConfig, paper_policy_config
from engine.policy.processor import (
    centre_crop,
    jpeg_round_trip,
    lanczos_resize,
    normalize_twice,
    pixel_values,
)

VECTORS = Path(__file__).parent.parent / "golden" / "image_pipeline_a.safetensors"


def plain(size: int = 16) -> PolicyConfig:
    trunk = TrunkConfig(image_size=size)
    return PolicyConfig(dino=trunk, siglip=trunk)


def noise(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, size, size, 3), generator=generator, dtype=torch.uint8)


def test_a_jpeg_round_trip_is_tensorflows_bit_for_bit() -> None:
    tensors = load_file(VECTORS)
    assert torch.equal(jpeg_round_trip(tensors["frame"][None])[0], tensors["after_jpeg"])


def test_the_whole_pipeline_is_the_official_one_within_a_grey_level() -> None:
    tensors = load_file(VECTORS)
    resized = lanczos_resize(jpeg_round_trip(tensors["frame"][None]), 224)
    difference = (centre_crop(resized, 224)[0].int() - tensors["center_cropped_224"].int()).abs()
    assert difference.max() <= 1
    assert difference.float().mean() < 1e-3


def test_the_official_pipeline_keeps_its_precision_under_autocast() -> None:
    config = paper_policy_config()
    expected = pixel_values(noise(64), config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pixel_values(noise(64), config), expected)


def test_a_jpeg_round_trip_loses_colour_detail() -> None:
    assert not torch.equal(jpeg_round_trip(noise(16)), noise(16))


@pytest.mark.parametrize("size", [8, 24, 40])
def test_a_flat_image_stays_flat_at_every_size(size: int) -> None:
    flat = torch.full((1, 24, 32, 3), 77, dtype=torch.uint8)
    assert torch.equal(lanczos_resize(flat, size), flat.new_full((1, size, size, 3), 77))
    assert torch.equal(centre_crop(flat, size), flat.new_full((1, size, size, 3), 77))


def test_resizing_to_the_same_size_changes_nothing() -> None:
    assert torch.equal(lanczos_resize(noise(24), 24), noise(24))


def test_the_crop_shows_the_centre_and_not_the_border() -> None:
    framed = torch.zeros(1, 101, 101, 3, dtype=torch.uint8)
    framed[:, :2] = framed[:, -2:] = framed[:, :, :2] = framed[:, :, -2:] = 255
    framed[:, 50, 50] = 200
    cropped = centre_crop(framed, 101)
    assert cropped[:, 0].max() == 0
    assert cropped[0, 50, 50].tolist() == [200, 200, 200]


def test_the_plain_pipeline_only_normalises_twice() -> None:
    values = pixel_values(noise(16), plain())
    assert values.shape == (2, 6, 16, 16)
    unit = noise(16).movedim(-1, 1) / 255.0
    torch.testing.assert_close(values[:, 3:], unit * 2.0 - 1.0)
    torch.testing.assert_close(values[:, 0], (unit[:, 0] - 0.484375) / 0.228515625)


def test_the_official_pipeline_applies_every_stage_in_order() -> None:
    config = paper_policy_config()
    values = pixel_values(noise(64), config)
    expected = centre_crop(lanczos_resize(jpeg_round_trip(noise(64)), 224), 224)
    assert torch.equal(values, normalize_twice(expected, config))


def test_the_simulator_pipeline_crops_the_raw_frame() -> None:
    config = paper_policy_config().replace(image_pipeline="official-simulator")
    expected = normalize_twice(centre_crop(noise(64), 224), config)
    assert torch.equal(pixel_values(noise(64), config), expected)


def test_images_do_not_meet_in_a_batch() -> None:
    config = paper_policy_config()
    assert torch.equal(pixel_values(noise(48), config)[1:], pixel_values(noise(48)[1:], config))
