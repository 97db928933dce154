"""The replay record: all that it takes to imagine an episode again, bit for bit (design.md §5)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.dream.draw import Draw
from engine.dream.rollout import Rollout, Row
from engine.records.tasks import Task
from engine.records.types import DreamContext

FIELDS = ("instruction", "seed", "temperature", "denoising_steps")
USUAL = DreamContext()


@dataclass(frozen=True)
class Origin:
    """The stored episode and the index of the frame in it that a dream starts from."""

    episode: str
    frame: int


def replay_record(
    *,
    hashes: Mapping[str, str | None],
    task: str,
    start: npt.NDArray[np.uint8],
    row: Row,
    base: Draw,
    draws: Sequence[Draw],
    horizon: int,
    threshold: float,
    micro_batches: Mapping[str, Any],
    origin: Origin | None = None,
    context: DreamContext = USUAL,
) -> dict[str, Any]:
    """The record as plain JSON values.

    Args:
        hashes: checkpoint hash by role; None for weights that no checkpoint keeps.
        base: what chunks were drawn with until something was changed.
        draws: what each chunk was drawn with; only its differences from `base` are written.
        micro_batches: sizes that convolutions ran in, by model.
        context: named only where it is not the usual one.
    """
    start_id, member = row
    varied = context.changes()
    return {
        **hashes,
        "task": task,
        "start_id": start_id,
        "member": member,
        "start_sha256": start_hash(start),
        "origin": None if origin is None else asdict(origin),
        **{name: value for name, value in asdict(base).items() if name in FIELDS},
        "horizon": horizon,
        "threshold": threshold,
        "micro_batches": dict(micro_batches),
        "draws": [draw.changes(base) for draw in draws],
        **({"context": varied} if varied else {}),
    }


def rollout_record(
    rollout: Rollout,
    *,
    hashes: Mapping[str, str | None],
    task: Task,
    seed: int,
    temperature: float,
    denoising_steps: int,
    horizon: int,
    threshold: float,
    micro_batches: Mapping[str, Any],
    origin: Origin | None = None,
    context: DreamContext = USUAL,
) -> dict[str, Any]:
    """`replay_record` of an episode of `imagine`: one draw for all its chunks."""
    draw = Draw(
        instruction=task.instruction,
        seed=seed,
        temperature=temperature,
        denoising_steps=denoising_steps,
    )
    return replay_record(
        hashes=hashes,
        task=task.name,
        start=rollout.frames[0].numpy(),
        row=(rollout.start_id, rollout.member),
        base=draw,
        draws=[draw] * len(rollout.tokens),
        horizon=horizon,
        threshold=threshold,
        micro_batches=micro_batches,
        origin=origin,
        context=context,
    )


def start_hash(start: npt.NDArray[np.uint8]) -> str:
    """Identity of a start frame: the SHA-256 of its pixels."""
    return hashlib.sha256(np.ascontiguousarray(start).tobytes()).hexdigest()
