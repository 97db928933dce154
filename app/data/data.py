"""The Data page's use cases: exchange, audit, keeping, and the errands behind them."""

from pathlib import Path
from typing import Any

from app.data.auditing import Auditing
from app.data.exchange import Exchange
from app.data.keeping import Keeping
from app.episodes.exports import Exports
from app.episodes.gallery import Gallery
from app.runs.errands import Errands
from app.runs.handover import Handover
from app.web.checks import check_names
from storage.cabinet import Cabinet
from storage.downloads.sources import Rules

MOST_FOLLOWED = 20


class Data:
    """Data in and out of a studio, and what keeps it.

    What a user can get wrong raises a `ValueError` or a `LookupError` of one sentence. What takes
    longer than a moment is an errand: its record comes at once, `follow` says how far it is.

    Attributes:
        exchange: export and import.
        audit: the label log, undo by actor, the reward model's verdicts beside people's.
        keeping: space, backup and restore, verification, sync.
        errands: what is under way, also for others.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        exports: Exports,
        gallery: Gallery,
        *,
        demo: Path,
        rules: Rules,
        public: bool,
    ) -> None:
        self._public = public
        self.errands = Errands()
        self._exports_room = cabinet.workspace.exports
        self.handover = Handover(self._exports_room, hours=1.0 if public else 24.0)
        self.exchange = Exchange(
            cabinet, exports, gallery, self.errands, self.handover, public=public
        )
        self.audit = Auditing(cabinet, gallery, public=public)
        self.keeping = Keeping(
            cabinet, self.errands, self.handover, demo=demo, rules=rules, public=public
        )

    def close(self) -> None:
        """Call off what is under way."""
        self.errands.close()

    def follow(self, query: object) -> list[dict[str, Any]]:
        """{ids?} -> the errands of those ids that are known; at home, without ids, all of them.

        On a public studio an id is what its visitor alone knows.
        """
        ids = check_names(query, allowed=("ids",)).get("ids")
        if ids is None:
            return [] if self._public else self.errands.all()
        if not isinstance(ids, list) or len(ids) > MOST_FOLLOWED:
            raise ValueError(f"ids must be a list of at most {MOST_FOLLOWED} names")
        return [errand for errand in self.errands.all() if errand["id"] in ids]

    def cancel(self, query: object) -> dict[str, Any]:
        """{id} -> the errand, which was asked to stop."""
        values = check_names(query, allowed=("id",), required=("id",))
        return self.errands.cancel(str(values["id"]))

    def part(self, query: object) -> dict[str, Any]:
        """{errand or backup, offset} -> {data: base64, next, total} of what it made."""
        values = check_names(query, allowed=("errand", "backup", "offset"), required=("offset",))
        if values.get("backup"):
            if self._public:
                raise LookupError("there is no such backup")
            return self.handover.part(self.keeping.backup_path(values["backup"]), values["offset"])
        errand = self.errands.get(str(values.get("errand")))
        if errand["kind"] != "export" or errand["state"] != "done":
            raise ValueError("this errand made no file")
        return self.handover.part(self._exports_room / errand["result"]["file"], values["offset"])

    def take_part(self, query: object) -> dict[str, Any]:
        """The next part of a file that is taken in; see `Handover.take`."""
        if self._public:
            raise ValueError("a public studio takes no files")
        return self.handover.take(query)
