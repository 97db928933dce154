"""The vision trunks and their stems."""

import pytest
import torch
import torch.nn.functional as F

from engine.policy.config import TrunkConfig
from engine.policy.vision import ConvStem, PatchEmbed, StrideTwo, VisionTrunk


def tiny(**changes: object) -> TrunkConfig:
    config = TrunkConfig(width=16, depth=3, num_heads=2, mlp_dim=24, patch_size=8, image_size=32)
    return config.replace(**changes)


def pixels(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_patch_embedding_is_its_convolution() -> None:
    embed = PatchEmbed(tiny())
    expected = embed.proj(pixels()).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embed(pixels()), expected, atol=1e-5, rtol=0)


def test_a_stem_layer_is_a_strided_convolution_norm_and_gelu() -> None:
    torch.manual_seed(0)
    layer = StrideTwo(3, 8)
    convolved = F.conv2d(
        pixels(), layer.linear.weight.reshape(8, 3, 3, 3), layer.linear.bias, stride=2, padding=1
    )
    expected = F.gelu(F.layer_norm(convolved.movedim(1, -1), (8,), eps=1e-6)).movedim(-1, 1)
    torch.testing.assert_close(layer(pixels()), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("patch_size", [2, 4, 8, 16])
def test_both_stems_yield_the_same_grid(patch_size: int) -> None:
    config = tiny(patch_size=patch_size)
    conv, patch = ConvStem(config)(pixels()), PatchEmbed(config)(pixels())
    assert conv.shape == patch.shape == (2, config.num_patches, 16)


def test_a_conv_stem_keeps_positions() -> None:
    stem, image = ConvStem(tiny()), pixels()
    changed = image.clone()
    changed[:, :, 24:, :8] += 1.0
    moved = (stem(changed) - stem(image)).abs().amax(dim=(0, 2))
    assert moved[12] > 1e-3
    assert moved[[0, 1, 2, 3, 7, 11, 15]].max() < 1e-6


def test_the_last_block_is_not_run() -> None:
    torch.manual_seed(0)
    trunk = VisionTrunk(tiny(keep_unused=True))
    before = trunk(pixels())
    with torch.no_grad():
        trunk.blocks[2].mlp.fc2.bias += 1.0
    assert torch.equal(trunk(pixels()), before)


def test_a_small_trunk_carries_no_dead_weights() -> None:
    trunk = VisionTrunk(tiny())
    trunk(pixels()).sum().backward()
    assert all(parameter.grad is not None for parameter in trunk.parameters())


@pytest.mark.parametrize("prefix_tokens", [0, 1, 5])
def test_prefix_tokens_take_part_and_are_dropped(prefix_tokens: int) -> None:
    trunk = VisionTrunk(tiny(prefix_tokens=prefix_tokens, layer_scale=True))
    assert trunk(pixels()).shape == (2, 16, 16)
    names = set(dict(trunk.named_parameters()))
    assert ("cls_token" in names, "reg_token" in names) == (prefix_tokens > 0, prefix_tokens > 1)


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_features_of_an_image_do_not_depend_on_its_batch(stem: str) -> None:
    trunk = VisionTrunk(tiny(stem=stem)).eval()
    with torch.no_grad():
        assert torch.equal(trunk(pixels(8))[3:4], trunk(pixels(8)[3:4]))


def test_a_conv_stem_refuses_patches_that_are_no_power_of_two() -> None:
    with pytest.raises(ValueError, match="conv stem needs patch_size"):
        tiny(stem="conv", patch_size=14, image_size=28)


def test_patches_that_do_not_divide_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match="must divide"):
        tiny(patch_size=7)
