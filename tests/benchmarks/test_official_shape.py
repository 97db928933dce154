"""Context cache and lazy decode against the straightforward form, at the released shapes.

Run with `pytest -m soak -s tests/benchmarks/test_official_shape.py`. Frames of 256 pixels, 256
tokens a frame, 4 + 8 frames and 30 steps as released; few channels, so that a CPU does it. Both
forms alternate in one run and CPU time is counted; nothing asserts a time.
"""

from time import process_time

import pytest
import torch
from torch import Tensor

from engine.seeding import generator
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.flow import integrate, sample, sampling_timesteps
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

CONFIG = WorldModelConfig(
    transformer=TransformerConfig(
        hidden_size=64,
        depth=2,
        num_heads=4,
        in_channels=4,
        action_dim=7,
        predict_sigma=True,
        round_timestep_to_bf16=True,
    ),
    autoencoder=AutoencoderConfig(
        patch=1, block_channels=(8, 16, 16, 16), latent_channels=4, norm_groups=4, micro_batch=1
    ),
    image_size=256,
)
STEPS, ROUNDS, SIDE = 30, 2, 256


def straightforward(
    model: LatentWorldModel, context: Tensor, noise: Tensor, actions: Tensor
) -> tuple[Tensor, Tensor]:
    """(future latents, its frames): all 12 frames at every step, all 8 frames decoded."""
    n, k = context.shape[2], noise.shape[2]
    mask = (torch.arange(n + k) >= n)[None]

    def velocity(x: Tensor, now: Tensor) -> Tensor:
        whole = torch.cat([context, x], dim=2)
        return model.transformer(whole, now, actions, mask, SIDE, SIDE)[:, :4, n:]

    times = sampling_timesteps(STEPS, SIDE, SIDE, n + k)
    future = integrate(velocity, noise, times)
    return future, model.decode(future[0].transpose(0, 1))


def fast(
    model: LatentWorldModel, context: Tensor, noise: Tensor, actions: Tensor
) -> tuple[Tensor, Tensor]:
    """(future latents, the frame the policy looks at): history once, one frame decoded."""
    future = sample(model.transformer, context, noise, actions, STEPS, SIDE, SIDE)
    return future, model.decode(future[0, :, -1:].transpose(0, 1))


@torch.no_grad()
def test_report_context_cache_and_lazy_decode() -> None:
    model = LatentWorldModel(CONFIG).eval()
    draws = generator(0, "benchmark")
    for parameter in model.transformer.parameters():  # no layer left at zero
        parameter += 0.02 * torch.randn(parameter.shape, generator=draws)
    context = torch.randn(1, 4, 4, 32, 32, generator=draws)
    noise = torch.randn(1, 4, 8, 32, 32, generator=draws)
    actions = torch.rand(1, 8, 7, generator=draws) * 2 - 1

    spent = {straightforward: 0.0, fast: 0.0}
    results = {}
    for _ in range(ROUNDS):
        for form in spent:
            begin = process_time()
            results[form] = form(model, context, noise, actions)
            spent[form] += (process_time() - begin) / ROUNDS
    (slow_latents, slow_frames), (fast_latents, fast_frames) = (
        results[straightforward],
        results[fast],
    )
    apart = (slow_latents - fast_latents).abs().max().item()
    begin = process_time()
    model.decode(slow_latents[0].transpose(0, 1))
    decode = process_time() - begin
    print(
        f"\na chunk at 30 steps: straightforward {spent[straightforward]:.2f} s, context cache and "
        f"lazy decode {spent[fast]:.2f} s: {spent[straightforward] / spent[fast]:.2f} x "
        f"(decoding all 8 frames is {decode:.2f} s of it); latents at most {apart:.1e} apart"
    )
    torch.testing.assert_close(fast_latents, slow_latents, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(fast_frames, slow_frames[-1:], rtol=0, atol=1e-4)
