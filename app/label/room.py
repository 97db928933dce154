"""What the Label page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.room import EpisodesRoom
from app.label.queues import Queues


@dataclass(frozen=True)
class LabelRoom:
    """Queues of clips, and the episodes they are about."""

    access: Access
    episodes: EpisodesRoom
    queues: Queues
