"""What the Evaluate page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.evaluate.evaluation import Evaluation
from app.player.clips import Clips


@dataclass(frozen=True)
class EvaluateRoom:
    """Policies compared in the simulator, and their videos."""

    access: Access
    evaluation: Evaluation
    clips: Clips
