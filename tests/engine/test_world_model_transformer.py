"""The transformer: the context cache is exact, rows and frames influence only what they may."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.memory.footprint import META, on_meta
from engine.seeding import generator, randn
from engine.world_model import blocks
from engine.world_model.linear import Linear
from engine.world_model.transformer import STDiT, TransformerConfig

SMALL = TransformerConfig(hidden_size=32, depth=2, num_heads=2, in_channels=3, action_dim=5)


def trained(config: TransformerConfig) -> STDiT:
    """A transformer with no weight left at zero, so that nothing is hidden by one."""
    transformer = STDiT(config)
    noise = generator(1, "weights")
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return transformer.eval()


def inputs(config: TransformerConfig, b: int, rows: int, columns: int) -> tuple[Tensor, ...]:
    """(latents [b c t y x], times [b], actions [b k a], mask [b t])."""
    frames = config.context_frames + config.chunk_size
    rows_of = [generator(2, row) for row in range(b)]
    latents = randn((config.in_channels, frames, rows, columns), rows_of)
    actions = randn((config.chunk_size, config.action_dim), rows_of)
    times = 1000 * torch.rand(b, generator=generator(3))
    mask = torch.arange(frames)[None].expand(b, -1) >= config.context_frames
    return latents, times, actions, mask


@pytest.mark.parametrize(
    ("config", "rows", "columns"),
    [
        (SMALL, 8, 8),
        (SMALL.replace(depth=1, predict_sigma=True), 7, 6),
        (SMALL.replace(context_frames=2, chunk_size=3, num_heads=4), 5, 9),
        (SMALL.replace(context_frames=1, chunk_size=1, depth=3), 4, 4),
        (SMALL.replace(hidden_size=48, num_heads=3, patch_size=4, mlp_ratio=2.0), 8, 12),
        (SMALL.replace(round_timestep_to_bf16=True, context_timestep=33.3), 8, 8),
    ],
)
@torch.no_grad()
def test_cached_context_gives_the_full_forward_pass(
    config: TransformerConfig, rows: int, columns: int
) -> None:
    transformer = trained(config)
    latents, times, actions, mask = inputs(config, 3, rows, columns)
    n = config.context_frames
    full = transformer(latents, times, actions, mask, 64, 48)
    cache = transformer.context(latents[:, :, :n], 64, 48)
    moments, embedded = transformer.embed_times(times), transformer.embed_actions(actions)
    fast = transformer.denoise(cache, latents[:, :, n:], moments, embedded)
    assert full.shape[1] == config.out_channels
    torch.testing.assert_close(fast, full[:, : config.in_channels, n:], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_frame_depends_on_no_later_frame_and_on_no_later_action() -> None:
    transformer = trained(SMALL)
    latents, times, actions, mask = inputs(SMALL, 2, 6, 6)
    before = transformer(latents, times, actions, mask, 64, 64)
    latents[:, :, 9:] += 1.0
    actions[:, 5:] -= 1.0
    after = transformer(latents, times, actions, mask, 64, 64)
    torch.testing.assert_close(after[:, :, :9], before[:, :, :9], rtol=0, atol=1e-5)
    assert (after[:, :, 9:] - before[:, :, 9:]).abs().amin(dim=(1, 3, 4)).max() > 1e-3


@torch.no_grad()
def test_context_frames_see_neither_time_nor_actions() -> None:
    transformer = trained(SMALL)
    latents, times, actions, mask = inputs(SMALL, 2, 6, 6)
    moved = latents.clone()
    moved[:, :, :4] += 0.1
    still = transformer(latents, times, actions, mask, 64, 64)
    assert not torch.equal(transformer(moved, times, actions, mask, 64, 64), still)
    cache = transformer.context(latents[:, :, :4], 64, 64)
    again = transformer.context(latents[:, :, :4], 64, 64)
    assert torch.equal(cache.past[-1].keys, again.past[-1].keys)


@torch.no_grad()
def test_a_new_transformer_predicts_no_velocity_and_is_fixed_by_its_seed() -> None:
    latents, times, actions, mask = inputs(SMALL, 1, 4, 4)
    one, same, other = STDiT(SMALL, seed=5), STDiT(SMALL, seed=5), STDiT(SMALL, seed=6)
    assert one(latents, times, actions, mask, 64, 64).abs().max() == 0
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.t_block[1].weight, other.t_block[1].weight)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4 and of 2 \\* num_heads = 10, not 32"):
        TransformerConfig(hidden_size=32, num_heads=5)


@torch.no_grad()
def test_a_laid_layer_is_product_and_gelu_and_rows_do_not_meet() -> None:
    layer, draw = Linear(512, 128), torch.Generator().manual_seed(0)
    x = torch.randn(96, 512, generator=draw)
    usual = F.linear(x, layer.weight, layer.bias)
    for fast, slow in (
        (layer, usual),
        (layer.gelu, F.gelu(usual, approximate="tanh")),
    ):
        torch.testing.assert_close(fast(x), slow, rtol=0, atol=1e-5)
        assert torch.equal(fast(x[:32]), fast(x)[:32])
        assert torch.equal(fast(x[40:41]), fast(x)[40:41])
        with torch.enable_grad():
            assert fast(x).requires_grad


@torch.no_grad()
def test_a_laid_layer_follows_what_is_learnt_loaded_and_put_in_its_place() -> None:
    layer, x = Linear(32, 64), torch.randn(96, 32)
    before, copied = layer(x), copy.deepcopy(layer)
    assert torch.equal(copied(x), before)
    layer.weight.mul_(2.0)
    doubled = layer(x) - layer.bias
    torch.testing.assert_close(doubled, 2 * (before - layer.bias), rtol=0, atol=1e-5)
    layer.weight.data = copied.weight.data
    assert torch.equal(layer(x), before)
    layer.weight = nn.Parameter(torch.zeros(64, 32))
    assert torch.equal(layer(x), layer.bias.expand(96, -1))
    layer.load_state_dict(copied.state_dict())
    assert torch.equal(layer(x), before)


def test_turning_pairs_is_multiplying_complex_numbers_bit_for_bit() -> None:
    pairs, angles = torch.randn(2, 5, 3, 4, 8, 2), torch.randn(5, 1, 1, 8)
    turn = torch.polar(torch.ones_like(angles), angles)
    complex_ones = torch.view_as_real(torch.view_as_complex(pairs) * turn)
    assert torch.equal(blocks.turn_pairs(pairs, torch.view_as_real(turn)), complex_ones)


class Seen(TorchDispatchMode):
    """Remembers the dtypes that come out of operations, and whether a mask was made."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()
        self.masks = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.dtypes |= {found.dtype for found in tree_leaves(result) if isinstance(found, Tensor)}
        self.masks += "tril" in str(func)
        return result


def test_a_denoising_step_elsewhere_has_no_complex_number_and_makes_no_mask() -> None:
    transformer = on_meta(lambda: STDiT(SMALL), torch.float32)
    latents, times, actions, _ = (part.to(META) for part in inputs(SMALL, 2, 8, 8))
    cache = transformer.context(latents[:, :, :4], 64, 64)
    moments, embedded = transformer.embed_times(times), transformer.embed_actions(actions)
    with Seen() as seen:
        transformer.denoise(cache, latents[:, :, 4:], moments, embedded)
    assert seen.dtypes == {torch.float32}
    assert seen.masks == 0


@pytest.mark.parametrize("keys", [12, 16, blocks.FEW_KEYS + 4])
def test_attention_of_a_cpu_is_torchs_own_whatever_the_number_of_keys(keys: int) -> None:
    q, k, v = (torch.randn(6, 2, count, 8) for count in (8, keys, keys))
    looks = torch.ones(8, keys, dtype=torch.bool).tril(keys - 8)
    added = torch.zeros(8, keys).masked_fill(~looks, -torch.inf)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=looks)
    torch.testing.assert_close(blocks._attend(q, k, v, added), expected, rtol=0, atol=1e-6)
    unseen = blocks._attend(q, k.index_fill(2, torch.tensor([keys - 1]), 1e4), v, added)
    assert torch.equal(unseen[:, :, :-1], blocks._attend(q, k, v, added)[:, :, :-1])


def test_a_dream_writes_over_nothing_that_was_given_and_learns_what_it_dreams() -> None:
    transformer = trained(SMALL)
    latents, times, actions, _ = inputs(SMALL, 2, 8, 8)

    def velocity() -> Tensor:
        cache = transformer.context(latents[:, :, :4], 64, 64)
        moments, embedded = transformer.embed_times(times), transformer.embed_actions(actions)
        given = [latents, moments.vectors, moments.modulation, embedded, cache.places.turn]
        given += [part for past in cache.past for part in (past.keys, past.values)]
        before = [part.detach().clone() for part in given]
        first = transformer.denoise(cache, latents[:, :, 4:], moments, embedded)
        again = transformer.denoise(cache, latents[:, :, 4:], moments, embedded)
        assert torch.equal(first, again)
        assert all(torch.equal(old, now) for old, now in zip(before, given, strict=True))
        return first

    with torch.no_grad():
        dreamt = velocity()
    learnt = velocity()
    torch.testing.assert_close(dreamt, learnt.detach(), rtol=0, atol=1e-5)
    learnt.square().mean().backward()
    assert all(parameter.grad is not None for parameter in transformer.temporal_blocks.parameters())
