"""How fast the demo imagines, and where the time goes: `pytest -m soak tests/benchmarks -s`.

Numbers are printed as rates and as shares of one run; nothing asserts a time.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
import torch
from torch import Tensor

from engine.data.starts import load_starts
from engine.dream.draw import Draw
from engine.dream.imagine import group_starts, imagine
from engine.dream.tree import Dreamer
from engine.envs.factory import make_env
from engine.envs.gl import rendering_backend
from engine.loading.models import load_policy, load_reward_model, load_world_model
from engine.policy.model import OpenVLAPolicy
from engine.records.tasks import get_task
from engine.reward.classifier import VideoReward
from engine.seeding import row_generators
from engine.world_model.model import LatentWorldModel

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

DEMO = Path("storage/demo")
STEPS = 4

Models = tuple[OpenVLAPolicy, LatentWorldModel, VideoReward]


@pytest.fixture(scope="module")
def models() -> Models:
    torch.set_num_threads(1)
    checkpoints = DEMO / "checkpoints"
    return (
        load_policy(checkpoints / "coffee-push-base"),
        load_world_model(checkpoints / "coffee-push-world"),
        load_reward_model(checkpoints / "coffee-push-reward"),
    )


def _seconds(function: Callable[[], object], repeats: int = 2) -> float:
    function()
    begin = perf_counter()
    for _ in range(repeats):
        function()
    return (perf_counter() - begin) / repeats


def _matmul_rate() -> float:
    """Floating-point operations per second of a matrix product that fits the caches."""
    a, b = torch.randn(1024, 512), torch.randn(512, 512)
    return 2 * 1024 * 512 * 512 / _seconds(lambda: a @ b, repeats=20)


def _world_model_operations(model: LatentWorldModel, rows: int) -> float:
    """Multiply-adds of the transformer's matrices for one chunk of `rows` rows, times two."""
    config = model.config.transformer
    named = model.transformer.named_parameters()
    weights = sum(p.numel() for name, p in named if "blocks." in name and p.ndim == 2)
    tokens = (model.latent_shape[1] // config.patch_size) ** 2
    frames = config.context_frames + STEPS * config.chunk_size
    return 2.0 * weights * tokens * frames * rows


def test_rates_of_imagination(models: Models) -> None:
    policy, world_model, reward_model = models
    task = get_task("coffee-push")
    starts = load_starts(DEMO / "starts.npz")
    frames, rows = group_starts(
        torch.from_numpy(starts.frames[:8]), [int(i) for i in starts.start_ids[:8]], 8
    )
    rate = _matmul_rate()
    stream = _stream_rate(models, frames[:1], task.instruction)
    batch = _batch_rate(models, frames, rows, task.instruction)
    generators = row_generators(0, "benchmark", rows=rows)
    latents = torch.randn(64, world_model.context_frames, *world_model.latent_shape)
    actions = torch.rand(64, world_model.chunk_size, world_model.action_dim) * 2 - 1
    video = frames[:4, None].expand(4, task.horizon + 1, -1, -1, -1)
    many = torch.randn(64, *world_model.latent_shape)
    act = _seconds(lambda: policy.act(frames, [task.instruction] * 64, generators, 1.0))
    predict = _seconds(lambda: world_model.predict(latents, actions, generators, STEPS))
    decode = _seconds(lambda: world_model.decode(many))
    judge = _seconds(lambda: reward_model.probabilities(video, task.judge))
    share = _world_model_operations(world_model, 64) / predict / rate
    windows = 4 * (task.horizon + 2 - task.judge.first_end)
    print(f"\nimagined frames/s: {stream:.0f} in one stream, {batch:.0f} in the 8 x 8 batch")
    print(f"policy {act / 64 * 1e3:.2f} ms a row · world model {predict / 64 * 1e3:.2f} ms a chunk")
    print(
        f"decode {decode / 64 * 1e3:.2f} ms a frame · judge {judge / windows * 1e3:.2f} ms a window"
    )
    print(f"world model at {share:.0%} of the matmul rate, {rate / 1e9:.0f} GFLOP/s on one thread")
    assert min(stream, batch, share) > 0.0


def _stream_rate(models: Models, start: Tensor, instruction: str) -> float:
    """Frames per second of one row, decoded and judged chunk by chunk for the eye."""
    policy, world_model, reward_model = models
    task = get_task("coffee-push")
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
    begin = perf_counter()
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
    return imagined / (perf_counter() - begin)


def test_rate_of_the_simulator() -> None:
    if rendering_backend() is None:
        pytest.fail("rendering is impossible here; install libosmesa6")
    env = make_env(get_task("coffee-push"))
    env.reset(0)
    render = _seconds(env.render, repeats=20)
    env.close()
    print(f"\nsimulator: {1.0 / render:.0f} frames/s, each rendered at twice the size")
    assert render > 0.0
