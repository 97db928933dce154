"""Rectified flow: noising, times, loss and sampler."""

import pytest
import torch

from engine.seeding import generator
from engine.world_model.flow import (
    add_noise,
    integrate,
    sample,
    sample_timesteps,
    sampling_timesteps,
    timestep_transform,
    training_loss,
    velocity_loss,
)
from tests.engine.test_world_model_transformer import SMALL, inputs, trained


def test_the_true_velocity_leads_from_noise_to_data_in_any_number_of_steps() -> None:
    data = torch.randn(2, 3, 4, 5, 5, generator=generator(0))
    noise = torch.randn(data.shape, generator=generator(1))
    for steps in (1, 7, 30):
        times = sampling_timesteps(steps, 96, 64, 12)
        reached = integrate(lambda x, now: data - noise, noise, times)
        torch.testing.assert_close(reached, data)


def test_noise_levels_run_from_data_to_noise() -> None:
    data, noise = torch.zeros(3, 2), torch.ones(3, 2)
    levels = add_noise(data, noise, torch.tensor([0.0, 250.0, 1000.0]))
    assert levels[:, 0].tolist() == [0.0, 0.25, 1.0]


def test_transform_is_the_identity_at_half_the_reference_size() -> None:
    times = torch.linspace(0, 1000, 11)
    torch.testing.assert_close(timestep_transform(times, 256, 256, 12), times)
    torch.testing.assert_close(timestep_transform(times, 64, 64, 12, reference_size=128), times)
    assert (timestep_transform(times, 64, 64, 12)[1:-1] < times[1:-1]).all()


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (48, 80), (72, 40), (512, 512)])
def test_sampling_times_never_leave_the_range(size: tuple[int, int]) -> None:
    for steps in (1, 5, 30, 100):
        times = sampling_timesteps(steps, *size, 12)
        assert len(times) == steps + 1
        assert times[0] <= 1000.0
        assert times[-1] == 0.0
        assert (times.diff() < 0).all()


def test_no_denoising_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        sampling_timesteps(0, 64, 64, 12)


def test_training_times_follow_their_generators_and_fill_the_range() -> None:
    rows = [generator(4, "times", row) for row in range(3)]
    times = sample_timesteps(rows)
    assert torch.equal(times[1:2], sample_timesteps([generator(4, "times", 1)]))
    many = sample_timesteps([generator(5)] * 1 + [generator(6, row) for row in range(400)])
    assert 0 < many.min() < 120
    assert 880 < many.max() < 1000


def test_loss_is_zero_for_the_true_velocity_and_the_mean_square_otherwise() -> None:
    data = torch.randn(2, 3, 4, 5, 5, generator=generator(0))
    noise = torch.randn(data.shape, generator=generator(1))
    assert velocity_loss(data - noise, data, noise).tolist() == [0.0, 0.0]
    torch.testing.assert_close(
        velocity_loss(data - noise + 0.5, data, noise), torch.tensor([0.25, 0.25])
    )


@torch.no_grad()
def test_training_loss_is_that_of_the_whole_network_on_noised_context() -> None:
    transformer = trained(SMALL)
    latents, times, actions, mask = inputs(SMALL, 2, 6, 6)
    noise = torch.randn(latents.shape, generator=generator(9))
    noisy = add_noise(latents, noise, times)
    noisy[:, :, :4] = add_noise(latents, noise, torch.tensor([15.0, 15.0]))[:, :, :4]
    velocity = transformer(noisy, times, actions, mask, 64, 64)[:, :, 4:]
    by_hand = (velocity - (latents - noise)[:, :, 4:]).square().sum((1, 2, 3, 4))
    torch.testing.assert_close(
        training_loss(transformer, latents, actions, noise, times, 64, 64),
        by_hand / (8 * 3 * 6 * 6),
    )


@torch.no_grad()
def test_without_context_noise_the_context_is_clean_as_in_a_rollout() -> None:
    transformer = trained(SMALL)
    latents, times, actions, mask = inputs(SMALL, 2, 6, 6)
    noise = torch.randn(latents.shape, generator=generator(9))
    noisy = add_noise(latents, noise, times)
    noisy[:, :, :4] = latents[:, :, :4]
    velocity = transformer(noisy, times, actions, mask, 64, 64)[:, :, 4:]
    torch.testing.assert_close(
        training_loss(transformer, latents, actions, noise, times, 64, 64, noisy_context=False),
        (velocity - (latents - noise)[:, :, 4:]).square().mean((1, 2, 3, 4)),
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_batch_can_be_learnt_by_heart() -> None:
    transformer = trained(SMALL)
    latents, times, actions, _ = inputs(SMALL, 4, 4, 4)
    noise = torch.randn(latents.shape, generator=generator(9))
    optimizer = torch.optim.AdamW(transformer.parameters(), lr=3e-3)
    losses = []
    for _ in range(150):
        loss = training_loss(transformer, latents, actions, noise, times, 64, 64).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@torch.no_grad()
def test_a_sampled_row_is_the_same_alone_and_in_a_batch() -> None:
    transformer = trained(SMALL)
    latents, _, actions, _ = inputs(SMALL, 8, 8, 8)
    context, noise = latents[:, :, :4], latents[:, :, 4:]
    together = sample(transformer, context, noise, actions, 3, 64, 64)
    for rows in (slice(0, 1), slice(2, 4), slice(5, 8)):
        alone = sample(transformer, context[rows], noise[rows], actions[rows], 3, 64, 64)
        assert torch.equal(alone, together[rows])
