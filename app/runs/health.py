"""Health: whether the database answers and the disk takes what is said."""

from typing import Any

from storage.cabinet import Cabinet
from storage.damage import disk_trouble


class Health:
    """What a balancer and whoever opens a page should know; guests hear only of the disk."""

    def __init__(self, cabinet: Cabinet, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._guest = guest

    def look(self) -> dict[str, Any]:
        """{ok, episodes, troubles}, asked of the database and of the disk themselves, each time."""
        episodes, silent = self._cabinet.ask()
        troubles = [sentence for sentence in (silent, self._disk()) if sentence]
        return {"ok": not troubles, "episodes": episodes, "troubles": troubles}

    def troubles(self) -> list[str]:
        """Sentences for the top of every page."""
        disk, others = self._disk(), [] if self._guest else self._cabinet.troubles()
        return [*([disk] if disk else []), *others]

    def _disk(self) -> str:
        return disk_trouble(self._cabinet.workspace.root)
