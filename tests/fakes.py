"""One fake per protocol, each predictable by hand."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.device import Placement
from engine.protocols import ActionChunk
from engine.records.manifest import whole_directory
from engine.records.tasks import Task, get_task
from engine.records.types import DreamContext, JudgeRules, Normalization, Trajectory
from engine.reward.judge import window_ends
from engine.seeding import rand, randn


class AddingWorldModel:
    """Latents are frames; an action adds its mean to every pixel of the frame before it.

    `noise` scales one normal number a chunk, drawn from the row's generator, added as well. It
    remembers how many chunks went before, and `trend` is added once for each of them.
    """

    def __init__(
        self,
        *,
        context_frames: int = 3,
        chunk_size: int = 2,
        action_dim: int = 2,
        side: int = 4,
        noise: float = 0.0,
        anchored: bool = False,
        trend: float = 0.0,
    ) -> None:
        self.trend = trend
        self.context_frames = context_frames
        self.anchored = anchored
        self.chunk_size = chunk_size
        self.action_dim = action_dim
        self.latent_shape = (3, side, side)
        self.noise = noise
        self.micro_batch = 16
        self._decoded: list[int] = []  # shared with those of other contexts

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "AddingWorldModel":
        other = copy(self)
        other.anchored = context.anchored
        other.micro_batch = micro_batch or self.micro_batch
        return other

    @property
    def decoded_frames(self) -> int:
        return sum(self._decoded)

    def encode(self, frames: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return frames + self.noise * randn((1, 1, 1), generators)

    def begin(self, latents: Tensor) -> Tensor:
        return latents.new_zeros(len(latents), 1)

    def remember(self, memory: Tensor, actions: Tensor) -> Tensor:
        return memory + 1.0

    def predict(
        self,
        latents: Tensor,
        actions: Tensor,
        generators: Sequence[torch.Generator],
        denoising_steps: int,
        memory: Tensor | None = None,
    ) -> Tensor:
        steps = actions.mean(dim=2) + self.noise * randn((1,), generators)
        if memory is not None:
            steps = steps + self.trend * memory
        return latents[:, -1:] + steps.cumsum(dim=1)[:, :, None, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        self._decoded.append(len(latents))
        return latents.clone()


class ConstantPolicy:
    """Always the same number, with log-probability -1 and entropy 2.

    `spread` scales uniform noise from the row's generator added to every number.
    """

    def __init__(
        self,
        value: float = 0.125,
        *,
        chunk_size: int = 2,
        action_dim: int = 2,
        spread: float = 0.0,
    ) -> None:
        self.value = value
        self.chunk_size = chunk_size
        self.action_dim = action_dim
        self.spread = spread
        self.normalization = Normalization(
            q01=(-2.0,) * action_dim, q99=(2.0,) * action_dim, mask=(True,) * action_dim
        )

    def act(
        self,
        images: Tensor,
        instructions: Sequence[str],
        generators: Sequence[torch.Generator],
        temperature: float,
    ) -> ActionChunk:
        shape = (self.chunk_size, self.action_dim)
        actions = self.value + self.spread * temperature * (rand(shape, generators) - 0.5)
        tokens = ((actions + 1.0) * 128.0).long().clamp(0, 255).flatten(1)
        log_probs, entropy = self.log_probs(images, instructions, tokens, temperature)
        return ActionChunk(tokens, actions, log_probs, entropy)

    def log_probs(
        self, images: Tensor, instructions: Sequence[str], tokens: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        return torch.full(tokens.shape, -1.0), torch.full(tokens.shape, 2.0)


class BrightnessReward:
    """The probability of a window is its mean brightness, 0 for black and 1 for white."""

    def __init__(self, *, window: int = 2, success_threshold: float = 0.5) -> None:
        self.window = window
        self.micro_batch = 8
        self.success_threshold = success_threshold
        self.judged_windows = 0

    def probabilities(self, frames: Tensor, rules: JudgeRules) -> tuple[Tensor, Tensor]:
        ends = torch.from_numpy(window_ends(frames.shape[1], rules))
        brightness = frames.double().mean(dim=(2, 3, 4)) / 255.0
        windows = [brightness[:, end - self.window : end].mean(dim=1) for end in ends.tolist()]
        self.judged_windows += len(windows) * len(frames)
        empty = torch.zeros(len(frames), 0)
        return ends, torch.stack(windows, dim=1).float() if windows else empty


class CountingEnv:
    """The frame shows how many steps were made; the task is achieved in step `succeed_at`."""

    def __init__(self, task: Task | None = None, *, succeed_at: int = 5) -> None:
        self.task = task or get_task("coffee-push")
        self.action_dim = self.task.action_dim
        self.succeed_at = succeed_at
        self.start_id = -1
        self.steps = 0

    def reset(self, start_id: int) -> None:
        self.start_id = start_id
        self.steps = 0

    def step(self, action: np.ndarray) -> bool:
        self.steps += 1
        return self.steps == self.succeed_at

    def render(self) -> np.ndarray:
        side = self.task.image_size
        return np.full((side, side, 3), self.steps, dtype=np.uint8)

    def close(self) -> None:
        """Nothing is held."""


class MemoryRun:
    """Keeps what a job says in lists; checkpoints go to a given directory."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.episodes: list[Trajectory] = []
        self.stored: dict[str, Trajectory] = {}
        self.alarms: list[str] = []
        self.phases: list[str] = []
        self.done = (0, 0)
        self.ledger: dict[int, bool] = {}
        self.saved: list[Path] = []
        self.kept: dict[str, dict[str, Any]] = {}
        self.placement = Placement()
        self.stop_requested = False
        self.pause_requested = False

    def log(self, step: int, metrics: Mapping[str, float | int]) -> None:
        self.metrics.append((step, metrics))

    def progress(self, done: int, total: int) -> None:
        self.done = (done, total)

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def alarm(self, message: str) -> None:
        self.alarms.append(message)

    def record(self, episode: Trajectory) -> None:
        if episode.id not in self.episode_ids():
            self.episodes.append(episode)
            if not episode.imagined:
                self.ledger[episode.start_id] = episode.outcome.success

    def workroom(self) -> Path:
        if self.directory is None:
            raise ValueError("this MemoryRun has no directory for work")
        return self.directory

    def store(self, episode: Trajectory) -> None:
        self.stored[episode.id] = episode

    def publish(self, episode_id: str) -> None:
        self.record(self.stored[episode_id])

    def episode_ids(self) -> dict[str, bool]:
        return {episode.id: episode.outcome.success for episode in self.episodes}

    def real_outcomes(self) -> dict[int, bool]:
        return dict(self.ledger)

    def count_real(
        self, *, task: str, start_id: int, use: str, policy: str | None, success: bool
    ) -> None:
        self.ledger[start_id] = success

    def write_document(self, name: str, values: Mapping[str, Any]) -> None:
        self.kept[name] = dict(values)

    def documents(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        return {name: self.kept[name] for name in sorted(self.kept) if name.startswith(prefix)}

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        if self.directory is None:
            raise ValueError("this MemoryRun has no directory for checkpoints")
        target = self.directory / f"step-{step:06d}"
        with whole_directory(target) as partial:
            yield partial
        self.saved.append(target)

    def latest_checkpoint(self) -> Path | None:
        return self.saved[-1] if self.saved else None

    def give_way(self) -> None:
        """Nobody else wants the device."""
