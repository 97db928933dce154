"""What the Trials page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.runs.handover import Handover
from app.trials.trials import Trials


@dataclass(frozen=True)
class TrialsRoom:
    """Sheets of real trials."""

    access: Access
    trials: Trials
    handover: Handover
