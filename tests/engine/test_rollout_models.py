"""Imagined rollouts with the real model classes: a row keeps its bits in any batch."""

import pytest
import torch

from engine.dream.fit import check_together
from engine.dream.imagine import imagine
from engine.dream.rollout import Rollout, Row
from engine.policy.config import LanguageConfig, PolicyConfig, TrunkConfig, tiny_policy_config
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.records.tasks import get_task
from engine.records.types import JudgeRules, Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.seeding import generator
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig

ROWS = [(300_000 + start, member) for start in range(2) for member in range(4)]
Models = tuple[LatentWorldModel, OpenVLAPolicy, VideoReward]
RULES = JudgeRules(window=4, first_end=4)
NAMES = (
    "frames tokens normalized_actions log_probs entropy latents window_ends window_probabilities"
)


def _stirred(model: torch.nn.Module) -> torch.nn.Module:
    """No weight at zero, so that every part matters."""
    noise = generator(1, "weights")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


def _models(world: WorldModelConfig, policy: PolicyConfig, reward: RewardConfig) -> Models:
    action_dim = policy.action_dim
    statistics = Normalization(
        q01=(-1.0,) * action_dim, q99=(1.0,) * action_dim, mask=(True,) * action_dim
    )
    vla = OpenVLAPolicy(policy, normalization=statistics, tokenizer=demo_tokenizer())
    return _stirred(LatentWorldModel(world)), _stirred(vla), _stirred(VideoReward(reward))


@pytest.fixture(scope="module")
def tiny() -> Models:
    torch.manual_seed(0)
    trunk = TrunkConfig(width=32, depth=2, num_heads=2, mlp_dim=64, image_size=32, stem="conv")
    return _models(
        WorldModelConfig(
            transformer=TransformerConfig(
                hidden_size=32,
                depth=1,
                num_heads=2,
                in_channels=3,
                action_dim=2,
                context_frames=2,
                chunk_size=4,
                input_sq_size=64,
            ),
            autoencoder=AutoencoderConfig(
                patch=1, block_channels=(4, 8, 8), latent_channels=3, norm_groups=2, micro_batch=4
            ),
            image_size=32,
        ),
        PolicyConfig(
            dino=trunk.replace(prefix_tokens=5, layer_scale=True),
            siglip=trunk,
            language=LanguageConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2),
            chunk_size=4,
            action_dim=2,
        ),
        RewardConfig.tiny().replace(image_size=32, num_frames=4, success_threshold=1.0),
    )


@pytest.fixture(scope="module")
def together(tiny: Models) -> list[Rollout]:
    return _imagine(tiny, ROWS, RULES, 8)


def _imagine(models: Models, rows: list[Row], rules: JudgeRules, horizon: int) -> list[Rollout]:
    world_model, policy, reward = models
    side = world_model.config.image_size
    starts = torch.stack(
        [
            torch.randint(
                0, 256, (side, side, 3), dtype=torch.uint8, generator=generator(start, "start")
            )
            for start, _ in rows
        ]
    )
    return imagine(
        world_model,
        policy,
        reward,
        starts,
        ["push the mug" if member % 2 else "push the mug under the machine" for _, member in rows],
        rows=rows,
        horizon=horizon,
        seed=5,
        temperature=1.6,
        denoising_steps=2,
        rules=rules,
        leave_early=True,
    )


def _differences(one: Rollout, other: Rollout) -> list[str]:
    return [n for n in NAMES.split() if not torch.equal(getattr(one, n), getattr(other, n))]


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[5:6], ROWS[:3], ROWS[3:]])
def test_a_row_is_the_same_in_any_batch(
    tiny: Models, together: list[Rollout], rows: list[Row]
) -> None:
    apart = _imagine(tiny, rows, RULES, 8)
    expected = together[ROWS.index(rows[0]) :][: len(rows)]
    differences = [_differences(*pair) for pair in zip(expected, apart, strict=True)]
    assert differences == [[]] * len(rows)


def test_rows_of_one_start_go_different_ways(tiny: Models) -> None:
    one, other = _imagine(tiny, ROWS[:3:2], RULES, 4)
    assert "frames" in _differences(one, other)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("rows", [ROWS[5:6], ROWS[3:]])
def test_a_row_of_the_demo_sizes_is_the_same_in_any_batch(rows: list[Row]) -> None:
    torch.manual_seed(0)
    models = _models(
        WorldModelConfig(transformer=TransformerConfig(action_dim=4)),
        tiny_policy_config(),
        RewardConfig(success_threshold=1.0),
    )
    task = get_task("coffee-push")
    check_together(models[1], models[0], models[2], task)
    expected = _imagine(models, ROWS, task.judge, 16)[ROWS.index(rows[0]) :][: len(rows)]
    apart = _imagine(models, rows, task.judge, 16)
    differences = [_differences(*pair) for pair in zip(expected, apart, strict=True)]
    assert differences == [[]] * len(rows)
