"""What a world model with variants remembers of its dream beside latents: one row of numbers.

It is a function of the start and of the actions since: part of the state of a dream, kept with
its latents. Models without variants remember nothing, a row of no numbers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class MemorySizes:
    """Context frames, numbers that move and that stay in a state, numbers in an action."""

    context_frames: int
    moving: int
    fixed: int
    action_dim: int

    @property
    def numbers(self) -> int:
        """Numbers in a row."""
        each = self.moving + self.action_dim + 1
        return self.context_frames * each + self.fixed


@dataclass(frozen=True)
class Memory:
    """The memory of b rows.

    Attributes:
        states: of the context frames, as they were read or foreseen.
        fixed: what stays over the episode.
        actions: the normalised action that led to each context frame.
        known: 1 where there was one, 0 at the start.
    """

    states: Float[Tensor, "b c m"]
    fixed: Float[Tensor, "b g"]
    actions: Float[Tensor, "b c a"]
    known: Float[Tensor, "b c"]

    def pack(self) -> Float[Tensor, "b n"]:
        """As rows that can be stacked, cut and stored."""
        parts = [self.states.flatten(1), self.fixed, self.actions.flatten(1), self.known]
        return torch.cat(parts, dim=1)

    @classmethod
    def unpack(cls, rows: Float[Tensor, "b n"], sizes: MemorySizes) -> "Memory":
        """The inverse of `pack`.

        Raises:
            ValueError: rows of another world model.
        """
        if rows.shape[1] != sizes.numbers:
            raise ValueError(
                f"the world model remembers {sizes.numbers} numbers of a dream, not {rows.shape[1]}"
            )
        count = sizes.context_frames
        lengths = [count * sizes.moving, sizes.fixed, count * sizes.action_dim, count]
        states, fixed, actions, known = rows.split(lengths, dim=1)
        return cls(
            states=states.unflatten(1, (count, sizes.moving)),
            fixed=fixed,
            actions=actions.unflatten(1, (count, sizes.action_dim)),
            known=known,
        )

    def later(self, states: Float[Tensor, "b k m"], actions: Float[Tensor, "b k a"]) -> "Memory":
        """The memory after a chunk."""
        count = self.states.shape[1]
        known = torch.cat([self.known, torch.ones_like(actions[..., 0])], dim=1)
        return Memory(
            states=torch.cat([self.states, states], dim=1)[:, -count:],
            fixed=self.fixed,
            actions=torch.cat([self.actions, actions], dim=1)[:, -count:],
            known=known[:, -count:],
        )
