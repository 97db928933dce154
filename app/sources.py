"""Checkpoints from elsewhere, as the screen wants them: planned, fetched, followed, published."""

import dataclasses
from pathlib import Path
from typing import Any

from app.checks import check_names, check_text
from storage.cabinet import Cabinet
from storage.downloads import Download
from storage.hub import login
from storage.official import PARTS
from storage.plans import size_words
from storage.publishing import push
from storage.sources import LONGEST, Rules

CLOSED = "a public studio fetches and publishes nothing: choose from the catalogue"


class Sources:
    """What a studio does with sources; a public one refuses all of it.

    Args:
        rules: where foreign checkpoints may come from.
    """

    def __init__(self, cabinet: Cabinet, *, rules: Rules, public: bool) -> None:
        self._cabinet, self._rules, self._public = cabinet, rules, public

    def register_folder(self, name: str, directory: str) -> str:
        """Make a local folder a source; its text, `folder:NAME`."""
        self._refuse_in_public()
        return self._cabinet.downloads.register_folder(name, Path(directory))

    def plan(self, query: object) -> dict[str, Any]:
        """{source, task, parts} -> what would be fetched, and whether it fits on the disk."""
        self._refuse_in_public()
        values = check_names(query, allowed=("source", "task", "parts"), required=("source",))
        parts = values.get("parts") or []
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"parts must be a list of names among {', '.join(PARTS)}")
        downloads = self._cabinet.downloads
        plan = downloads.plan(
            check_text("source", values["source"], LONGEST).strip(),
            task=check_text("task", values.get("task") or "", 100),
            parts=parts,
        )
        needed, shortage = downloads.needed_bytes(plan), downloads.shortage(plan)
        return {
            "key": plan.key,
            "source": plan.source,
            "revision": plan.revision,
            "task": plan.task,
            "files": [
                {"path": file.path, "bytes": file.bytes, "part": file.part} for file in plan.files
            ],
            "bytes": plan.bytes,
            "needed": needed,
            "fits": not shortage,
            "text": shortage
            or f"{len(plan.files)} files, {size_words(plan.bytes)}; {size_words(needed)} to fetch",
        }

    def start(self, key: str) -> dict[str, Any]:
        """Begin a planned download, or go on with one; what `all` says of it."""
        self._refuse_in_public()
        return _record(self._cabinet.downloads.start(key))

    def all(self) -> list[dict[str, Any]]:
        """Every download, the one that changed last first."""
        self._refuse_in_public()
        return [_record(download) for download in self._cabinet.downloads.all()]

    def cancel(self, key: str) -> dict[str, Any]:
        """Ask a download to end; what it fetched is kept."""
        self._refuse_in_public()
        return _record(self._cabinet.downloads.cancel(key))

    def push(self, checkpoint_id: str, target: str) -> str:
        """Publish a checkpoint of the catalogue; where it can be pulled from."""
        self._refuse_in_public()
        checkpoint = self._cabinet.checkpoints.get(checkpoint_id)
        place = check_text("target", target, LONGEST).strip()
        return push(checkpoint.directory, place, rules=self._rules, token=login())

    def _refuse_in_public(self) -> None:
        if self._public:
            raise ValueError(CLOSED)


def _record(download: Download) -> dict[str, Any]:
    seconds = download.seconds_left
    return dataclasses.asdict(download) | {
        "rate": round(download.rate),
        "seconds_left": None if seconds is None else round(seconds),
    }
