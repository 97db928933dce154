"""What the Episodes page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.exports import Exports
from app.episodes.gallery import Gallery
from app.judging.strokes import Judging
from app.live.twins import Twins
from app.player.clips import Clips


@dataclass(frozen=True)
class EpisodesRoom:
    """Every stored episode: found, watched, exported, played again in reality, and judged."""

    access: Access
    gallery: Gallery
    clips: Clips
    exports: Exports
    twins: Twins
    judging: Judging
