"""What the Start page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.gallery import Gallery
from app.imagine.starts import Starts
from app.live.simulator import Simulator
from app.models.slots import Slots
from app.runs.launcher import Launcher


@dataclass(frozen=True)
class StartRoom:
    """What is here and what happened lately."""

    access: Access
    starts: Starts
    slots: Slots
    gallery: Gallery
    runs: Launcher
    simulator: Simulator
