"""What the Train page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.room import EpisodesRoom
from app.models.slots import Slots
from app.models.sources import Sources
from app.runs.errands import Errands
from app.runs.launcher import Launcher
from app.train.training import Training


@dataclass(frozen=True)
class TrainRoom:
    """Runs and their curves, the models they begin from, and publishing what they made."""

    access: Access
    episodes: EpisodesRoom
    training: Training
    slots: Slots
    sources: Sources
    errands: Errands
    runs: Launcher
