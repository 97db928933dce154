"""What a dream shows the world model of its past: a choice of the dream, not of the weights."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DreamContext:
    """The context of WMPO, or a variant of it.

    Attributes:
        anchored: the oldest context latent is the start's, as in a model trained with an anchor.
        noise: diffusion time in [0, 1000] that context latents are noised to; 0 leaves them clean.
    """

    anchored: bool = False
    noise: float = 0.0

    def changes(self) -> dict[str, Any]:
        """The values that are not the usual ones, plain; none for the usual context."""
        usual = asdict(DreamContext())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}
