"""The Data page's use cases: exchange, audit, keeping, and the files they hand over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.access import Access
from app.data.auditing import Auditing
from app.data.exchange import Exchange
from app.data.keeping import Keeping
from app.data.recordings import Recordings
from app.episodes.exports import Exports
from app.episodes.gallery import Gallery
from app.runs.errands import Errands
from app.runs.handover import Handover
from app.runs.launcher import Launcher
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.downloads.sources import Rules


@dataclass(frozen=True, kw_only=True)
class PartOf(Config):
    """The next part of a file to take away."""

    offset: int = knob(help="where it begins", low=0, high=2**50)
    errand: str | None = knob(None, "that made the file")
    backup: str | None = knob(None, "that is the file")


class Data:
    """Data in and out of a studio, and what keeps it.

    What a user can get wrong raises a `ValueError` or a `LookupError` of one sentence. What takes
    longer than a moment is an errand: its record comes at once, `errands.follow` says how far it
    is.

    Attributes:
        exchange: export and import of what a studio wrote.
        recordings: what was recorded elsewhere, looked at and taken in.
        audit: the label log, undo by actor, the reward model's verdicts beside people's.
        keeping: space, backup and restore, verification, sync.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        exports: Exports,
        gallery: Gallery,
        errands: Errands,
        runs: Launcher,
        *,
        demo: Path,
        rules: Rules,
        access: Access,
    ) -> None:
        self.access, self.gallery, self.errands = access, gallery, errands
        self._exports_room = cabinet.workspace.exports
        self.handover = Handover(self._exports_room, hours=access.limits.export_hours)
        self.exchange = Exchange(cabinet, exports, gallery, errands, self.handover, access=access)
        self.recordings = Recordings(cabinet, runs, errands, self.handover)
        self.audit = Auditing(cabinet, gallery, guest=access.guest)
        self.keeping = Keeping(
            cabinet, errands, self.handover, demo=demo, rules=rules, access=access
        )

    def part(self, question: PartOf) -> dict[str, Any]:
        """{data: base64, next, total} of a backup, or of what an errand made."""
        if question.backup:
            self.access.check("data.take_backup")
            return self.handover.part(self.keeping.backup_path(question.backup), question.offset)
        errand = self.errands.get(question.errand or "")
        if errand["kind"] != "export" or errand["state"] != "done":
            raise ValueError("this errand made no file")
        return self.handover.part(self._exports_room / errand["result"]["file"], question.offset)
