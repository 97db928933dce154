"""Milliseconds of the world model's parts and their share of this machine's matrix-product rate.

Run with `pytest -m soak -s tests/benchmarks/test_world_model.py`. CPU time of one thread is
counted, so other work on the machine disturbs little; nothing asserts a time.
"""

from collections.abc import Callable
from time import process_time

import pytest
import torch
import torch.nn.functional as F

from engine.world_model.flow import training_loss
from engine.world_model.transformer import STDiT, TransformerConfig

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

CONFIG = TransformerConfig(input_sq_size=128)
SIDE, IMAGE = 8, 64
TOKENS = (SIDE // CONFIG.patch_size) ** 2


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Least CPU time of several calls, after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        begin = process_time()
        function()
        times.append(process_time() - begin)
    return min(times)


def matmul_rate(rows: int) -> float:
    """Operations a second of the MLP's first matrix product at this many rows."""
    width, hidden = CONFIG.hidden_size, int(CONFIG.hidden_size * CONFIG.mlp_ratio)
    x, weight = torch.randn(rows, width), torch.randn(hidden, width)
    return 2.0 * rows * width * hidden / seconds(lambda: F.linear(x, weight), 20)


def block_operations(frames: int) -> float:
    """Operations of the linear layers of all blocks for this many frames."""
    width = CONFIG.hidden_size
    return 2.0 * frames * TOKENS * (4 + 2 * CONFIG.mlp_ratio) * width**2 * 2 * CONFIG.depth


@pytest.mark.parametrize("rows", [1, 8, 64])
@torch.no_grad()
def test_report_context_and_denoising_step(rows: int) -> None:
    transformer = STDiT(CONFIG).eval()
    n, k, channels = CONFIG.context_frames, CONFIG.chunk_size, CONFIG.in_channels
    context = torch.randn(rows, channels, n, SIDE, SIDE)
    noisy = torch.randn(rows, channels, k, SIDE, SIDE)
    actions, times = torch.randn(rows, k, CONFIG.action_dim), torch.full((rows,), 500.0)
    cache = transformer.context(context, IMAGE, IMAGE)
    embedded, moments = transformer.embed_actions(actions), transformer.embed_times(times[:1])
    mask = (torch.arange(n + k) >= n)[None].expand(rows, -1)
    clip = torch.cat([context, noisy], dim=2)

    repeats = max(2, 32 // rows)
    prepared = seconds(lambda: transformer.context(context, IMAGE, IMAGE), repeats)
    step = seconds(lambda: transformer.denoise(cache, noisy, moments, embedded), repeats)
    whole = seconds(lambda: transformer(clip, times, actions, mask, IMAGE, IMAGE), repeats)
    share = block_operations(rows * k) / step / matmul_rate(rows * k * TOKENS)
    print(
        f"\n{rows} rows: context {1e3 * prepared:.1f} ms, denoising step {1e3 * step:.1f} ms "
        f"({share:.0%} of the matmul rate); without the cache a step takes {whole / step:.2f} x"
    )
    assert share > 0.0


def test_report_training_step() -> None:
    rows = 16
    transformer = STDiT(CONFIG)
    frames = CONFIG.context_frames + CONFIG.chunk_size
    latents = torch.randn(rows, CONFIG.in_channels, frames, SIDE, SIDE)
    noise, times = torch.randn_like(latents), 1000.0 * torch.rand(rows)
    actions = torch.randn(rows, CONFIG.chunk_size, CONFIG.action_dim)

    def step() -> None:
        transformer.zero_grad()
        training_loss(transformer, latents, actions, noise, times, IMAGE, IMAGE).mean().backward()

    taken = seconds(step, 3)
    share = 3.0 * block_operations(rows * frames) / taken / matmul_rate(rows * frames * TOKENS)
    print(f"\ntraining step of {rows} clips: {1e3 * taken:.0f} ms ({share:.0%} of the matmul rate)")
    assert share > 0.0
