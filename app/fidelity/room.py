"""What the Fidelity page is handed."""

from dataclasses import dataclass

from app.access import Access
from app.fidelity.comparison import Fidelity


@dataclass(frozen=True)
class FidelityRoom:
    """Dreams compared with reality, and their videos."""

    access: Access
    fidelity: Fidelity
