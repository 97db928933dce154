"""What fixes a dream, bit for bit, and the record from which it can be imagined again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.dream.draw import Draw
from engine.dream.replay import USUAL, Origin, replay_record
from engine.records.tasks import Task
from engine.records.types import DreamContext
from storage.checkpoints.catalogue import Checkpoint


@dataclass(frozen=True, kw_only=True)
class DreamSettings:
    """What fixes a dream, bit for bit (design.md §5).

    Attributes:
        start: first frame, uint8 [h, w, 3].
        horizon: most actions; a multiple of `chunk_size`, the actions the policy decides at once.
        member: with the start id, what keys the dream's randomness.
        origin: the episode and frame that the start was taken from, where it was.
        threshold: probability that counts as success; None: the reward model's own.
        context: what the world model is shown of the past; a run's variant, imagined again.
        micro_batch: frames that the world model's convolutions take at once, at most; 0: as many
            as its checkpoint says.
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
    member: int = 0
    origin: Origin | None = None
    threshold: float | None = None
    context: DreamContext = USUAL
    micro_batch: int = 0

    @property
    def draw(self) -> Draw:
        """What every chunk is drawn with until somebody changes something."""
        return Draw(
            instruction=self.instruction,
            seed=self.seed,
            temperature=self.temperature,
            denoising_steps=self.denoising_steps,
        )

    def replay(
        self, draws: Sequence[Draw], threshold: float, micro_batches: Mapping[str, int]
    ) -> dict[str, Any]:
        """The record from which a path of the dream can be imagined again."""
        return replay_record(
            hashes={
                "policy": self.policy.hash,
                "world_model": self.world_model.hash,
                "reward_model": self.reward_model.hash,
            },
            task=self.task.name,
            start=self.start,
            row=(self.start_id, self.member),
            base=self.draw,
            draws=draws,
            horizon=self.horizon,
            threshold=threshold,
            micro_batches=micro_batches,
            origin=self.origin,
            context=self.context,
        )
