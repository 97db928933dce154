"""One dream: settings that fix it, the models that imagine it, the reel that shows it."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from app.media import encode
from app.models import Models
from app.reel import Reel, SeenChunk
from engine.reward.judge import GrowingJudge
from engine.rollout import Imagination, Rollout, check_together, to_trajectory
from engine.tasks import Task
from engine.types import Outcome, Trajectory
from storage.checkpoints import Checkpoint


@dataclass(frozen=True, kw_only=True)
class DreamSettings:
    """What fixes a dream, bit for bit (design.md §5).

    Attributes:
        start: first frame, uint8 [h, w, 3].
        horizon: most actions; a multiple of `chunk_size`, the actions the policy decides at once.
    """

    policy: Checkpoint
    world_model: Checkpoint
    reward_model: Checkpoint
    task: Task
    start: npt.NDArray[np.uint8]
    start_id: int
    instruction: str
    seed: int
    denoising_steps: int
    temperature: float
    horizon: int
    chunk_size: int

    def replay(self) -> dict[str, Any]:
        """The record from which the dream can be imagined again."""
        autoencoder = self.world_model.config.get("autoencoder", {})
        return {
            "policy": self.policy.hash,
            "world_model": self.world_model.hash,
            "reward_model": self.reward_model.hash,
            "start_id": self.start_id,
            "start_sha256": hashlib.sha256(self.start.tobytes()).hexdigest(),
            "member": 0,
            "instruction": self.instruction,
            "seed": self.seed,
            "denoising_steps": self.denoising_steps,
            "temperature": self.temperature,
            "horizon": self.horizon,
            "micro_batches": {
                "autoencoder": autoencoder.get("micro_batch"),
                "reward_model": self.reward_model.config.get("micro_batch"),
            },
            "overrides": [],
        }


@dataclass(frozen=True)
class _Alive:
    """The parts that imagine one epoch."""

    epoch: int
    imagination: Imagination
    judge: GrowingJudge


class Dream:
    """A rollout that a policy imagines chunk by chunk while people watch frame by frame.

    Its methods run on the imagination thread only; `reel` may be used from any thread.
    """

    def __init__(
        self,
        settings: DreamSettings,
        models: Models,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.reel = Reel(
            encode(settings.start),
            horizon=settings.horizon,
            chunk_size=settings.chunk_size,
            threshold=settings.reward_model.config.get("success_threshold"),
            clock=clock,
        )
        self._models = models
        self._alive: _Alive | None = None

    def wake(self) -> None:
        """Load the models and encode the start, so that the first chunk comes sooner.

        Raises:
            ValueError: models that do not fit each other, the start or the task's judge.
        """
        self._awake(self.reel.epoch)

    def advance(self) -> None:
        """Imagine, judge and encode the next chunk; the first time, wake the models.

        Raises:
            ValueError: as `wake`.
        """
        began = time.monotonic()
        epoch = self.reel.epoch
        alive = self._awake(epoch)
        imagination, judge = alive.imagination, alive.judge
        known = imagination.num_frames
        if known > self.settings.horizon:
            return
        chunk = imagination.step()
        judge.look(imagination.rows, imagination.num_frames, imagination.frames)
        ends, probabilities, outcome = judge.verdict(self._row)
        frames = [encode(frame) for frame in imagination.frames(known)[0].cpu().numpy()]
        seen = SeenChunk(
            frames=frames,
            ends=ends.tolist(),
            probabilities=[round(value, 4) for value in probabilities.tolist()],
            actions=self._raw(chunk.actions[0].cpu().numpy()).round(4).tolist(),
            entropy=chunk.entropy.mean().item(),
            outcome=outcome,
            pace=len(frames) / (time.monotonic() - began),
        )
        self.reel.append(epoch, seen)

    def trajectory(self) -> Trajectory:
        """The chunks that viewers have seen at least a frame of, as an episode.

        Its id is a hash of the replay record: the same dream saved twice is one episode.

        Raises:
            ValueError: nothing was imagined yet.
        """
        epoch, chunks = self.reel.seen_chunks
        if chunks == 0 or self._alive is None or self._alive.epoch != epoch:
            raise ValueError("nothing was imagined yet: run the dream before saving it")
        imagination, judge = self._alive.imagination, self._alive.judge
        rollout = _first_chunks(imagination.rollout(0, *judge.verdict(self._row)), chunks)
        replay = self.settings.replay() | {"threshold": self._threshold}
        digest = hashlib.sha256(json.dumps(replay, sort_keys=True).encode()).hexdigest()
        lineage = {name: replay[name] for name in ("policy", "world_model", "reward_model")}
        return to_trajectory(
            rollout,
            self.settings.task,
            self.settings.instruction,
            self._models.get(self.settings.policy).normalization,
            id=f"dream-{digest[:12]}-{len(rollout.normalized_actions)}",
            lineage=lineage | {"source": "dream", "created": time.time()},
            replay=replay,
        )

    @property
    def _row(self) -> tuple[int, int]:
        return (self.settings.start_id, 0)

    @property
    def _threshold(self) -> float:
        threshold: float = self._models.get(self.settings.reward_model).success_threshold
        return threshold

    def _awake(self, epoch: int) -> _Alive:
        if self._alive is not None and self._alive.epoch == epoch:
            return self._alive
        settings = self.settings
        policy = self._models.get(settings.policy)
        world_model = self._models.get(settings.world_model)
        reward_model = self._models.get(settings.reward_model)
        check_together(policy, world_model, reward_model)
        self.reel.set_threshold(self._threshold)
        judge = GrowingJudge(reward_model, settings.task.judge, self._threshold, settings.horizon)
        imagination = Imagination(
            world_model,
            policy,
            torch.from_numpy(settings.start.copy())[None],
            [settings.instruction],
            rows=[self._row],
            seed=settings.seed,
            temperature=settings.temperature,
            denoising_steps=settings.denoising_steps,
            keep_every_frame=True,
        )
        self._alive = _Alive(epoch, imagination, judge)
        return self._alive

    def _raw(self, normalized: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        normalization = self._models.get(self.settings.policy).normalization
        task = self.settings.task
        raw: npt.NDArray[np.float32] = normalization.denormalize(normalized)
        return raw.clip(task.action_low, task.action_high)


def _first_chunks(rollout: Rollout, chunks: int) -> Rollout:
    """The rollout as it was after some of its chunks."""
    chunk_size = len(rollout.normalized_actions) // len(rollout.tokens)
    actions = chunks * chunk_size
    windows = int((rollout.window_ends <= actions + 1).sum())
    found = rollout.outcome
    success = found.success and found.end_step <= actions
    return replace(
        rollout,
        frames=rollout.frames[: actions + 1],
        tokens=rollout.tokens[:chunks],
        normalized_actions=rollout.normalized_actions[:actions],
        overridden=rollout.overridden[:actions],
        log_probs=rollout.log_probs[:chunks],
        entropy=rollout.entropy[:chunks],
        latents=rollout.latents[: actions + 1],
        window_ends=rollout.window_ends[:windows],
        window_probabilities=rollout.window_probabilities[:windows],
        outcome=Outcome(success, found.end_step if success else actions),
    )
