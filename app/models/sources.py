"""Checkpoints from elsewhere, as the screen wants them: planned, fetched, followed, published."""

import dataclasses
from typing import Any

from app.runs.errands import Errands, Progress
from app.web.checks import check_names, check_text
from storage.cabinet import Cabinet
from storage.downloads.downloads import Download
from storage.downloads.hub import login
from storage.downloads.official import PARTS
from storage.downloads.plans import size_words
from storage.downloads.sources import LONGEST, Rules
from storage.upkeep.publishing import preview, push


class Sources:
    """What a studio does with sources.

    Args:
        errands: publish what takes a while.
        rules: where foreign checkpoints may come from.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        errands: Errands,
        *,
        rules: Rules,
    ) -> None:
        self._cabinet, self._errands = cabinet, errands
        self._rules = rules

    def plan(self, query: object) -> dict[str, Any]:
        """{source, task?, parts?} -> what would be fetched, and whether it fits on the disk.

        {key, source, revision, task, files, bytes, needed, fits, text}
        """
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
        return _record(self._cabinet.downloads.start(str(key)))

    def all(self) -> list[dict[str, Any]]:
        """Every download, the one that changed last first: {key, state, done, bytes, rate, …}."""
        return [_record(download) for download in self._cabinet.downloads.all()]

    def cancel(self, key: str) -> dict[str, Any]:
        """Ask a download to end; what it fetched is kept for the next start."""
        return _record(self._cabinet.downloads.cancel(str(key)))

    def publication(self, query: object) -> dict[str, Any]:
        """{checkpoint} -> {files, bytes, card: Markdown, login}: what `publish` would write, and
        whether the Hub knows who we are."""
        values = check_names(query, allowed=("checkpoint",), required=("checkpoint",))
        checkpoint = self._cabinet.checkpoints.get(str(values["checkpoint"]))
        found = preview(checkpoint.directory)
        return dataclasses.asdict(found) | {"login": login() is not None}

    def publish(self, query: object) -> dict[str, Any]:
        """{checkpoint, target} -> the errand that publishes it; its result is {place, text}.

        The target is OWNER/REPOSITORY of the Hub, an absolute folder of this machine, or a bucket.
        """
        names = ("checkpoint", "target")
        values = check_names(query, allowed=names, required=names)
        checkpoint = self._cabinet.checkpoints.get(str(values["checkpoint"]))
        target = check_text("target", values["target"], LONGEST).strip()
        if not target:
            raise ValueError("say where to: a Hub repository, a folder or a bucket")

        def work(progress: Progress) -> dict[str, Any]:
            place = push(
                checkpoint.directory, target, rules=self._rules, token=login(), progress=progress
            )
            return {"place": place, "text": f"Published: {place}"}

        title = f"publishing {checkpoint.id}"
        return self._errands.start("publish", title, work, unit="bytes")


def _record(download: Download) -> dict[str, Any]:
    seconds = download.seconds_left
    return dataclasses.asdict(download) | {
        "rate": round(download.rate),
        "seconds_left": None if seconds is None else round(seconds),
    }
