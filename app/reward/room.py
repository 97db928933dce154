"""What the Reward page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.room import EpisodesRoom
from app.models.slots import Slots
from app.reward.retraining import Retraining
from app.reward.thresholds import ThresholdLab
from app.runs.launcher import Launcher


@dataclass(frozen=True)
class RewardRoom:
    """Thresholds, retraining, and the episodes they judge."""

    access: Access
    episodes: EpisodesRoom
    thresholds: ThresholdLab
    retraining: Retraining
    slots: Slots
    runs: Launcher
