"""What the Models page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.models.adopting import Adopting
from app.models.slots import Slots
from app.models.sources import Sources
from app.runs.launcher import Launcher


@dataclass(frozen=True)
class ModelsRoom:
    """Three slots, and where checkpoints come from."""

    access: Access
    slots: Slots
    sources: Sources
    adopting: Adopting
    runs: Launcher
