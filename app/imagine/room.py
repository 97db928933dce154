"""What the Imagine page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.room import EpisodesRoom
from app.imagine.imagining import Imagining
from app.imagine.starts import Starts
from app.live.simulator import Simulator
from app.models.slots import Slots


@dataclass(frozen=True)
class ImagineRoom:
    """Live dreams, the starts they begin from, and the models that imagine them."""

    access: Access
    episodes: EpisodesRoom
    dreams: Imagining
    starts: Starts
    slots: Slots
    simulator: Simulator
