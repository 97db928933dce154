"""What the Start page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.episodes.gallery import Gallery
from app.imagine.starts import Starts
from app.live.simulator import Simulator
from app.models.slots import Slots
from app.runs.launcher import Launcher
from app.start.first_dream import FirstDream
from storage.runs.curves import Curves

RECORDED = "recorded-wmpo"  # the run that ships, to watch
_SUCCESS = {
    "imagined": ("rollout/success_rate",),
    "real": ("real/success_rate", "real/final_success_rate"),
}


@dataclass(frozen=True)
class StartRoom:
    """What is here and what happened lately."""

    access: Access
    starts: Starts
    slots: Slots
    gallery: Gallery
    runs: Launcher
    simulator: Simulator
    curves: Curves
    first: FirstDream | None

    def success_of(self, run_id: str) -> dict[str, list[tuple[float, float]]]:
        """(iteration, success) of a run, imagined and real; empty where there is no such run."""
        series = self.curves.of(run_id).series
        found = {
            kind: [(x, y) for name in names for x, y, _ in series.get(name, [])]
            for kind, names in _SUCCESS.items()
        }
        return {kind: points for kind, points in found.items() if points}
