"""How fast a device imagines: operations counted from configs, a matmul rate measured on it.

Modules are traced on the meta device, as for memory; multiplications and additions of matrix
products, convolutions and attention are counted. What the rest of a part takes shows in the share
of the matmul rate that the part reaches.
"""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.device import Placement, device_memory, precision
from engine.memory.components import (
    DREAM_FRAMES,
    PROMPT_TOKENS,
    JudgeConfig,
    WorldConfig,
    meta_model,
)
from engine.memory.footprint import META
from engine.policy.config import PolicyConfig
from engine.reward.states import StateRewardConfig
from engine.served.checkpoint import ServedConfig
from engine.world_model.model import WorldModelConfig

# Shares of the matmul rate. On a CPU as measured with the demo's models in a batch
# (tests/benchmarks/test_imagination.py prints them). Nothing was run on CUDA: 0.4 is what such
# models are said to reach there.
SHARES = {
    "cpu": {"policy": 0.6, "world model": 0.6, "decoder": 0.95, "judge": 0.6},
    "cuda": {"policy": 0.4, "world model": 0.4, "decoder": 0.4, "judge": 0.4},
}
TRAINED = 3  # forward and backward, in forward passes
ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What imagining takes on a device.

    Attributes:
        device: its name, for a person.
        rate: operations a second of matrix products in the placement's precision.
        operations: of one chunk of one row, by part.
        shares: of the rate that each part reaches.
        chunk_size: frames of a chunk.
        workers: processes that imagine side by side, each at this rate.
        on_cpu: whether they are processes of cores rather than of a GPU.
    """

    device: str
    rate: float
    operations: Mapping[str, float]
    shares: Mapping[str, float]
    chunk_size: int
    workers: int = 1
    on_cpu: bool = True

    def seconds(self, part: str) -> float:
        """Of one chunk of one row in one process."""
        return self.operations[part] / (self.shares[part] * self.rate)

    @property
    def frames_per_second(self) -> float:
        """Imagined frames, acted, decoded where they are looked at, and judged, in a batch."""
        chunk = sum(self.seconds(part) for part in self.operations)
        return self.workers * self.chunk_size / chunk

    @property
    def seconds_a_frame(self) -> float:
        """Of a GRPO iteration: imagined, and learnt from as if every group were kept."""
        learning = TRAINED * self.seconds("policy") / self.chunk_size
        return 1.0 / self.frames_per_second + learning

    def iteration_seconds(self, rows: int, horizon: int) -> float:
        """The most a GRPO iteration takes: no dream ends early, and every group is kept."""
        return rows * horizon * self.seconds_a_frame

    def sentence(self, rows: int, horizon: int) -> str:
        """For a person, before a run starts."""
        seconds = self.iteration_seconds(rows, horizon)
        took = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
        return (
            f"about {self.frames_per_second:.0f} imagined frames/s on {self.device}, an iteration "
            f"of {rows} dreams at most {took}: planned from {self.rate / 1e9:.0f} GFLOP/s of "
            "matrix products"
        )


def planned_speed(
    policy: PolicyConfig,
    world_model: WorldConfig,
    reward_model: JudgeConfig,
    *,
    placement: Placement,
    denoising_steps: int,
    workers: int = 1,
) -> Speed:
    """The speed that a batch of rows should have on the device found.

    Raises:
        ValueError: the world model is served elsewhere.
    """
    if isinstance(world_model, ServedConfig):
        raise ValueError("how fast a served world model dreams is seen when it does")
    device = placement.where
    sizes = world_model.transformer
    steps = 1 if world_model.deterministic else denoising_steps
    context, step = _predict_operations(world_model)
    # A judge of latents needs none decoded but what the policy acts on.
    shown = 1 if isinstance(reward_model, StateRewardConfig) else sizes.chunk_size
    return Speed(
        device=device_memory(device).name,
        rate=matmul_rate(placement.device, placement.dtype),
        operations={
            "policy": _act_operations(policy),
            "world model": context + steps * step,
            "decoder": shown * _decode_operations(world_model),
            "judge": _judge_operations(reward_model, sizes.chunk_size),
        },
        shares=SHARES.get(device.type, SHARES["cpu"]),
        chunk_size=sizes.chunk_size,
        workers=min(workers, os.cpu_count() or 1),
        on_cpu=device.type == "cpu",
    )


@functools.lru_cache(maxsize=16)
def matmul_rate(device: str, dtype: str) -> float:
    """Operations a second of a matrix product; measured once in a process, in under a second."""
    where = torch.device(device)
    rows, inner, columns = (8192, 8192, 8192) if where.type == "cuda" else (1024, 512, 512)
    a = torch.ones(rows, inner, dtype=precision(dtype), device=where)
    b = torch.ones(inner, columns, dtype=precision(dtype), device=where)

    def taken() -> float:
        begin = perf_counter()
        for _ in range(ROUNDS):
            product = a @ b
        product[0, 0].item()  # a GPU has finished only when its result is here
        return (perf_counter() - begin) / ROUNDS

    taken()
    return 2.0 * rows * inner * columns / min(taken() for _ in range(ROUNDS))


def _operations(run: Callable[[], object]) -> float:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        run()
    return float(counter.get_total_flops())


@functools.lru_cache(maxsize=16)
def _act_operations(config: PolicyConfig) -> float:
    policy: Any = meta_model(config, "float32")
    pixels = torch.empty(1, 6, config.image_size, config.image_size, device=META)
    ids = torch.zeros(1, PROMPT_TOKENS, dtype=torch.int64, device=META)
    return _operations(lambda: policy(pixels, ids))


@functools.lru_cache(maxsize=16)
def _predict_operations(config: WorldModelConfig) -> tuple[float, float]:
    """(of the context, of each denoising step)."""
    sizes, (z, y, x) = config.transformer, config.latent_shape
    transformer: Any = meta_model(sizes, "float32")
    context = torch.empty(1, z, sizes.context_frames, y, x, device=META)
    noise = torch.empty(1, z, sizes.chunk_size, y, x, device=META)
    actions = torch.empty(1, sizes.chunk_size, sizes.action_dim, device=META)
    side, times = config.image_size, torch.empty(1, device=META)
    with torch.no_grad():
        cache = transformer.context(context, side, side)
        embedded = transformer.embed_actions(actions)
        moments = transformer.embed_times(times)
    return (
        _operations(lambda: transformer.context(context, side, side)),
        _operations(lambda: transformer.denoise(cache, noise, moments, embedded)),
    )


@functools.lru_cache(maxsize=16)
def _decode_operations(config: WorldModelConfig) -> float:
    autoencoder = meta_model(config.autoencoder, "float32")
    latent = torch.empty(1, *config.latent_shape, device=META)
    return _operations(lambda: autoencoder.reconstruct(latent))


@functools.lru_cache(maxsize=16)
def _judge_operations(config: JudgeConfig, chunk_size: int) -> float:
    """The windows that end in one chunk; of a judge of states, a dream read once."""
    judge: Any = meta_model(config, "float32")
    if isinstance(config, StateRewardConfig):
        latents = torch.empty(1, DREAM_FRAMES, *config.sizes.latent_shape, device=META)
        return _operations(lambda: judge.read(latents))
    count, side = chunk_size + config.num_frames - 1, config.image_size
    frames = torch.empty(1, count, side, side, 3, dtype=torch.uint8, device=META)
    ends = torch.arange(config.num_frames, count + 1)
    return _operations(lambda: judge.window_logits(frames, ends))
