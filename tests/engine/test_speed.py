"""The planned speed: operations by hand, what a batch takes, what a person is told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.device import Placement
from engine.memory.planner import sizes_of
from engine.memory.speed import Speed, matmul_rate, planned_speed
from engine.policy.config import tiny_policy_config
from engine.reward.classifier import RewardConfig
from engine.world_model.model import WorldModelConfig

CHECKPOINTS = Path("storage/demo/checkpoints")
DEMO = ("coffee-push-base", "coffee-push-world", "coffee-push-judge")
SPEED = Speed(
    device="the CPU",
    rate=100e9,
    operations={"policy": 0.5e9, "world model": 3e9, "decoder": 4e9, "judge": 1e9},
    shares={"policy": 0.5, "world model": 0.6, "decoder": 1.0, "judge": 0.5},
    chunk_size=8,
)


def test_frames_and_iterations_follow_from_rate_and_operations() -> None:
    # A chunk: 10 + 50 + 40 + 20 ms; learning from it: three passes of the policy, 30 ms.
    assert SPEED.frames_per_second == pytest.approx(8 / 0.120)
    assert SPEED.seconds_a_frame == pytest.approx(0.150 / 8)
    assert replace(SPEED, workers=2).frames_per_second == pytest.approx(16 / 0.120)
    assert SPEED.sentence(128, 48) == (
        "about 67 imagined frames/s on the CPU, an iteration of 128 dreams at most 1.9 min: "
        "planned from 100 GFLOP/s of matrix products"
    )


def test_operations_are_those_of_the_matrices() -> None:
    world = WorldModelConfig()
    speeds = [
        planned_speed(
            tiny_policy_config(),
            world,
            RewardConfig(),
            placement=Placement(),
            denoising_steps=steps,
        )
        for steps in (4, 5)
    ]
    four, five = (speed.operations["world model"] for speed in speeds)
    sizes = world.transformer
    tokens = sizes.chunk_size * (world.latent_shape[1] // sizes.patch_size) ** 2
    # Of each of 2 x depth blocks: queries, keys and values 3, their projection 1, the MLP 8.
    weights = 2 * sizes.depth * 12 * sizes.hidden_size**2
    assert 2.0 * tokens * weights < five - four < 1.2 * 2.0 * tokens * weights
    assert speeds[0].operations["policy"] == speeds[1].operations["policy"] > 0
    assert speeds[0].rate == matmul_rate("cpu", "float32") == speeds[1].rate  # measured once


def test_a_deterministic_world_model_takes_one_step() -> None:
    sizes = sizes_of([json.loads((CHECKPOINTS / n / "config.json").read_text()) for n in DEMO])
    policy, world, reward = sizes

    def chunk(config: WorldModelConfig, steps: int) -> float:
        speed = planned_speed(policy, config, reward, placement=Placement(), denoising_steps=steps)
        return speed.operations["world model"]

    noisy = world.replace(deterministic=False)
    assert chunk(world, 30) == chunk(noisy, 1) < chunk(noisy, 4)


def test_a_judge_of_latents_has_one_frame_of_a_chunk_decoded() -> None:
    policy, world, judge = sizes_of(
        [json.loads((CHECKPOINTS / n / "config.json").read_text()) for n in DEMO]
    )
    how = {"placement": Placement(), "denoising_steps": 1}
    seen = planned_speed(policy, world, RewardConfig(), **how).operations["decoder"]
    unseen = planned_speed(policy, world, judge, **how).operations["decoder"]
    assert unseen > 0 and seen == pytest.approx(world.transformer.chunk_size * unseen)


def test_roles_are_asked_for_in_their_order() -> None:
    configs = [json.loads((CHECKPOINTS / n / "config.json").read_text()) for n in DEMO]
    with pytest.raises(ValueError, match="in this order"):
        sizes_of(configs[::-1])
