"""How fast the demo imagines, and where the time goes: `pytest -m soak tests/benchmarks -s`.

Numbers are printed as rates and as shares of one run; nothing asserts a time. CPU seconds of one
thread are counted, so that other work on the machine disturbs less.
"""

import os
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
import torch
from torch import Tensor

from engine.data.starts import load_starts
from engine.device import Placement
from engine.dream.draw import Draw
from engine.dream.imagine import group_starts, imagine
from engine.dream.tree import Dreamer
from engine.envs.factory import make_env
from engine.envs.gl import rendering_backend
from engine.loading.models import load_policy, load_state_reward, load_world_model
from engine.memory.speed import planned_speed
from engine.policy.model import OpenVLAPolicy
from engine.records.tasks import get_task
from engine.records.types import DreamContext
from engine.reward.states import StateReward
from engine.seeding import row_generators
from engine.world_model.model import LatentWorldModel

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

DEMO = Path("storage/demo")
STEPS = 1

Models = tuple[OpenVLAPolicy, LatentWorldModel, StateReward]


@pytest.fixture(scope="module")
def models() -> Models:
    torch.set_num_threads(1)
    checkpoints = DEMO / "checkpoints"
    return (
        load_policy(checkpoints / "coffee-push-base"),
        load_world_model(checkpoints / "coffee-push-world"),
        load_state_reward(checkpoints / "coffee-push-judge"),
    )


def _seconds(function: Callable[[], object], repeats: int = 2) -> float:
    function()
    begin = process_time()
    for _ in range(repeats):
        function()
    return (process_time() - begin) / repeats


def test_rates_of_imagination(models: Models) -> None:
    policy, world_model, reward_model = models
    task = get_task("coffee-push")
    starts = load_starts(DEMO / "starts" / "coffee-push.npz")
    frames, rows = group_starts(
        torch.from_numpy(starts.frames[:8]), [int(i) for i in starts.start_ids[:8]], 8
    )
    configs = policy.config, world_model.config, reward_model.config
    planned = planned_speed(*configs, placement=Placement(), denoising_steps=STEPS)
    stream, padded = (
        _stream_rate(models, frames[:1], task.instruction, decoded_at_once=count)
        for count in (world_model.chunk_size, world_model.micro_batch)
    )
    batch = _batch_rate(models, frames, rows, task.instruction)
    chunk = _chunk_seconds(models, frames, rows)
    print(f"\nimagined frames/s: {stream:.0f} in one stream, {batch:.0f} in the 8 x 8 batch")
    print(f"a stream whose chunks are padded to {world_model.micro_batch} frames: {padded:.0f}")
    print(f"planned: {planned.sentence(len(rows), task.horizon)}")
    for part, seconds in chunk.items():
        share = planned.operations[part] / seconds / planned.rate
        print(f"{part}: {1e3 * seconds:.1f} ms a row's chunk, {share:.0%} of the matmul rate")
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    assert min(stream, batch, *chunk.values()) > 0.0


def _chunk_seconds(models: Models, frames: Tensor, rows: list[tuple[int, int]]) -> dict[str, float]:
    """What each part takes of one row's chunk, where all rows are computed together."""
    policy, world_model, reward_model = models
    task, count, size = get_task("coffee-push"), len(rows), world_model.chunk_size
    generators = row_generators(0, "benchmark", rows=rows)
    latents = torch.randn(count, world_model.context_frames, *world_model.latent_shape)
    memory = world_model.begin(latents[:, 0])
    actions = torch.rand(count, size, world_model.action_dim) * 2 - 1
    future = torch.randn(count * size, *world_model.latent_shape)
    seen = torch.cat([latents[:, :1], future.unflatten(0, (count, size))], dim=1)
    parts: dict[str, Callable[[], object]] = {
        "policy": lambda: policy.act(frames, [task.instruction] * count, generators, 1.0),
        "world model": lambda: world_model.predict(latents, actions, generators, STEPS, memory),
        "decoder": lambda: world_model.decode(future),
        "judge": lambda: reward_model.latent_probabilities(seen, actions, task.judge),
    }
    return {name: _seconds(part) / count for name, part in parts.items()}


def _stream_rate(models: Models, start: Tensor, instruction: str, *, decoded_at_once: int) -> float:
    """Frames per second of one row, decoded and judged chunk by chunk for the eye."""
    policy, world_model, reward_model = models
    task = get_task("coffee-push")
    world_model = world_model.with_context(DreamContext(), decoded_at_once)
    dreamer = Dreamer(
        policy, world_model, reward_model, rules=task.judge, threshold=2.0, horizon=task.horizon
    )
    nodes = dreamer.start(start, [(0, 0)], 0)
    draw = Draw(instruction=instruction, seed=0, temperature=1.0, denoising_steps=STEPS)

    def step() -> None:
        nodes[:] = dreamer.grow(nodes, [draw])

    return world_model.chunk_size / _seconds(step, repeats=5)


def _batch_rate(
    models: Models, frames: Tensor, rows: list[tuple[int, int]], instruction: str
) -> float:
    """Frames per second of 64 rows to the horizon, all decoded and judged at stride 1."""
    policy, world_model, reward_model = models
    task = get_task("coffee-push")
    begin = process_time()
    rollouts = imagine(
        world_model,
        policy,
        reward_model,
        frames,
        [instruction] * len(rows),
        rows=rows,
        horizon=task.horizon,
        seed=0,
        temperature=1.0,
        denoising_steps=STEPS,
        rules=task.judge,
        leave_early=False,
    )
    imagined = sum(len(rollout.normalized_actions) for rollout in rollouts)
    return imagined / (process_time() - begin)


def test_rate_of_the_simulator() -> None:
    if rendering_backend() is None:
        pytest.fail("rendering is impossible here; install libosmesa6")
    env = make_env(get_task("coffee-push"))
    env.reset(0)
    render = _seconds(env.render, repeats=20)
    env.close()
    print(f"\nsimulator: {1.0 / render:.0f} frames/s, each rendered at twice the size")
    assert render > 0.0
