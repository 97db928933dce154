"""What the Fidelity page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.fidelity.comparison import Fidelity
from app.player.clips import Clips


@dataclass(frozen=True)
class FidelityRoom:
    """Dreams compared with reality, and their videos."""

    access: Access
    fidelity: Fidelity
    clips: Clips
