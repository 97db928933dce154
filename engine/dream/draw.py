"""A draw: all that decides a chunk of a dream besides its prefix and the models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Overrides = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """All that decides a chunk besides its prefix and the models.

    Attributes:
        temperature: of the policy's sampling; 0 takes the arg-max.
        policy_noise, world_noise: which variation of the policy's and of the world model's noise;
            0 is the noise of an unbranched dream.
        overrides: normalised actions [k][a] in [-1, 1] in place of the policy's, None where the
            policy decides; () changes nothing.
    """

    instruction: str
    seed: int
    temperature: float
    denoising_steps: int
    policy_noise: int = 0
    world_noise: int = 0
    overrides: Overrides = ()

    def __post_init__(self) -> None:
        if self.denoising_steps < 1 or self.temperature < 0.0:
            raise ValueError(
                f"denoising steps {self.denoising_steps} must be at least 1 and temperature "
                f"{self.temperature} at least 0"
            )

    def changes(self, base: "Draw") -> dict[str, Any]:
        """The fields in which this draw differs from another, as plain JSON values."""
        ours, theirs = asdict(self), asdict(base)
        changed = {name: value for name, value in ours.items() if value != theirs[name]}
        if "overrides" in changed:
            changed["overrides"] = [list(step) for step in self.overrides]
        return changed

    def changed(self, changes: Mapping[str, Any]) -> "Draw":
        """The inverse of `changes`.

        Raises:
            ValueError: a field that no draw has.
        """
        unknown = set(changes) - {field.name for field in fields(Draw)}
        if unknown:
            raise ValueError(f"a draw has no {', '.join(sorted(unknown))}")
        steps = changes.get("overrides", self.overrides)
        return replace(self, **dict(changes) | {"overrides": tuple(map(tuple, steps))})


def execute(
    draws: Sequence[Draw], proposed: Float[Tensor, "b k a"]
) -> tuple[Float[Tensor, "b k a"], Bool[Tensor, "b k a"]]:
    """(actions with a person's numbers in place, which ones those are), one draw a row.

    Raises:
        ValueError: overrides of another shape than a chunk's actions.
    """
    numbers = torch.full_like(proposed, torch.nan)
    for row, draw in zip(numbers, draws, strict=True):
        if not draw.overrides:
            continue
        steps = torch.tensor([[torch.nan if v is None else v for v in s] for s in draw.overrides])
        if steps.shape != row.shape:
            raise ValueError(
                f"overrides must be {list(row.shape)} numbers, not {list(steps.shape)}"
            )
        row.copy_(steps)
    overridden = ~numbers.isnan()
    return torch.where(overridden, numbers.clamp(-1.0, 1.0), proposed), overridden
