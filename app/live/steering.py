"""A person at the controls: numbers in place of the policy's, for one chunk or until taken back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.web.checks import check_choice, check_flag, check_number
from engine.dream.draw import Overrides
from engine.records.tasks import Task
from engine.records.types import Normalization

MODES = ("policy", "human")

Table = dict[tuple[int, int], float]  # (step, dimension) -> raw number; what is absent is free


@dataclass(frozen=True, kw_only=True)
class Steering:
    """Who drives the next chunk, in raw units (what strips show and the environment executes).

    Attributes:
        held: numbers that stay until they are taken back; `once` those of the next chunk alone.
    """

    mode: str = "policy"
    held: Table = field(default_factory=dict)
    once: Table = field(default_factory=dict)

    def steered(self, values: Mapping[str, Any], task: Task, chunk_size: int) -> "Steering":
        """The steering after {mode, actions?, hold?, gripper?}; the policy gets everything back.

        Args:
            values: `actions` is [k][a] with null where the policy decides, or a number (null: take
                it back) by name of a dimension, held for every step of a chunk.

        Raises:
            ValueError: what is wrong, in one sentence.
        """
        if check_choice("mode", values["mode"], MODES) == "policy":
            return Steering()
        hold = check_flag("hold", values.get("hold", False))
        changed = replace(self, mode="human")
        if values.get("actions") is not None:
            table = _table(values["actions"], task, chunk_size)
            if hold:
                changed = replace(changed, held=_laid_over(changed.held, table))
            else:
                changed = replace(changed, once=_laid_over({}, table))
        if values.get("gripper") is not None:
            words = {"open": task.action_low, "close": task.action_high}
            grip = values["gripper"]
            number = words[grip] if isinstance(grip, str) and grip in words else grip
            table = _table({"gripper": number}, task, chunk_size)
            changed = replace(changed, held=_laid_over(changed.held, table))
        return changed

    def overrides(
        self, normalization: Normalization, chunk_size: int, action_dim: int
    ) -> Overrides:
        """The numbers of the next chunk, normalised; () where there are none."""
        table = self.held | self.once
        if not table:
            return ()
        raw = np.full((chunk_size, action_dim), np.nan, np.float32)
        for place, number in table.items():
            raw[place] = number
        normalized = normalization.normalize(raw).clip(-1.0, 1.0)
        return tuple(
            tuple(None if np.isnan(number) else number for number in step)
            for step in normalized.tolist()
        )

    def spent(self) -> "Steering":
        """The steering after a chunk."""
        return replace(self, once={})

    def record(self, task: Task) -> dict[str, Any]:
        """{mode, held, once}: raw numbers by dimension, of the chunk's first step."""
        names = task.dimension_names
        tables = {"held": self.held, "once": self.once}
        return {"mode": self.mode} | {
            name: {names[d]: number for (step, d), number in table.items() if step == 0}
            for name, table in tables.items()
        }


def _laid_over(below: Table, above: dict[tuple[int, int], float | None]) -> Table:
    return {place: number for place, number in (below | above).items() if number is not None}


def _table(actions: object, task: Task, chunk_size: int) -> dict[tuple[int, int], float | None]:
    names = task.dimension_names
    return {
        (step, d): None
        if number is None
        else check_number(names[d], number, task.action_low, task.action_high)
        for step, d, number in _entries(actions, names, chunk_size)
    }


def _entries(actions: Any, names: Sequence[str], chunk_size: int) -> Iterator[tuple[int, int, Any]]:
    """(step, dimension, what was given for it)"""
    if isinstance(actions, Mapping):
        unknown = [str(name) for name in actions if name not in names]
        if unknown:
            raise ValueError(
                f"actions have no dimension {', '.join(unknown)}; they have {', '.join(names)}"
            )
        for name, number in actions.items():
            for step in range(chunk_size):
                yield step, names.index(name), number
        return
    rows = list(actions) if isinstance(actions, (list, tuple)) else []
    sizes = [len(row) if isinstance(row, (list, tuple)) else 0 for row in rows]
    if sizes != [len(names)] * chunk_size:
        raise ValueError(
            f"actions must be {chunk_size} steps of {len(names)} numbers, or numbers by dimension"
        )
    for step, row in enumerate(rows):
        for d, number in enumerate(row):
            if number is not None:
                yield step, d, number
