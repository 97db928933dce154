"""What frames are told beside their latents: diffusion times, and what variants know."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Diffusion times, and what is computed of each alone: the same for every chunk.

    Attributes:
        times: in [0, 1000]; one for each row, or one for all of them.
        vectors: their embeddings.
        modulation: shift, gain and gate of attention and MLP in temporal blocks.
    """

    times: Float[Tensor, " n"]
    vectors: Float[Tensor, "n d"]
    modulation: Float[Tensor, "n 6 d"]

    def one(self, index: int) -> "Moments":
        """One of the times, for all rows."""
        parts = self.times, self.vectors, self.modulation
        return Moments(*(part[index : index + 1] for part in parts))


@dataclass(frozen=True)
class Conditions:
    """What variants tell the frames beside the chunk's own actions.

    Attributes:
        past_actions: the action that led to each context frame.
        known: 1 where there was such an action, 0 at the start of an episode.
        past_states, states: features of the states of context frames and, foreseen, of the
            chunk's frames; none without a state model.
    """

    past_actions: Float[Tensor, "b c a"]
    known: Float[Tensor, "b c"]
    past_states: Float[Tensor, "b c f"]
    states: Float[Tensor, "b k f"]

    def of(self, rows: slice) -> "Conditions":
        """Those of some rows."""
        parts = self.past_actions, self.known, self.past_states, self.states
        return Conditions(*(part[rows] for part in parts))
