"""Checkpoints from elsewhere, as the screen wants them: planned, fetched, followed, published."""

import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from app.models.catalogue import summary
from app.runs.errands import Errands, Progress
from app.web.checks import check_names, check_text
from storage.cabinet import Cabinet
from storage.downloads.downloads import Download
from storage.downloads.hub import login
from storage.downloads.official import PARTS
from storage.downloads.plans import size_words
from storage.downloads.sources import LONGEST, Rules
from storage.upkeep.publishing import preview, pull, push

CLOSED = "a public studio fetches and publishes nothing: choose from the catalogue"


def gate(folder: Path) -> None:
    """Let a checkpoint of our format through all steps of the gate, the trial in the sandbox too.

    Raises:
        ValueError: it is refused, with the reason.
    """
    verdict = import_module("engine.loading.trial").check_model(folder)  # all of torch
    if not verdict.accepted:
        raise ValueError(verdict.sentence)


class Sources:
    """What a studio does with sources; a public one refuses all of it.

    Args:
        errands: publish what takes a while.
        rules: where foreign checkpoints may come from.
        check: the gate for folders in our format; raises a `ValueError` on one that is refused.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        errands: Errands,
        *,
        rules: Rules,
        public: bool,
        check: Callable[[Path], None] = gate,
    ) -> None:
        self._cabinet, self._errands = cabinet, errands
        self._rules, self._public, self._check = rules, public, check

    def register_folder(self, name: str, directory: str) -> str:
        """Make a local folder a source of checkpoints; its text, `folder:NAME`."""
        self._refuse_in_public()
        return self._cabinet.downloads.register_folder(str(name), Path(str(directory)))

    def plan(self, query: object) -> dict[str, Any]:
        """{source, task?, parts?} -> what would be fetched, and whether it fits on the disk.

        {key, source, revision, task, files, bytes, needed, fits, text}
        """
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
        return _record(self._cabinet.downloads.start(str(key)))

    def all(self) -> list[dict[str, Any]]:
        """Every download, the one that changed last first: {key, state, done, bytes, rate, …}."""
        self._refuse_in_public()
        return [_record(download) for download in self._cabinet.downloads.all()]

    def cancel(self, key: str) -> dict[str, Any]:
        """Ask a download to end; what it fetched is kept for the next start."""
        self._refuse_in_public()
        return _record(self._cabinet.downloads.cancel(str(key)))

    def publication(self, query: object) -> dict[str, Any]:
        """{checkpoint} -> {files, bytes, card: Markdown, login}: what `publish` would write, and
        whether the Hub knows who we are."""
        self._refuse_in_public()
        values = check_names(query, allowed=("checkpoint",), required=("checkpoint",))
        checkpoint = self._cabinet.checkpoints.get(str(values["checkpoint"]))
        found = preview(checkpoint.directory)
        return dataclasses.asdict(found) | {"login": login() is not None}

    def publish(self, query: object) -> dict[str, Any]:
        """{checkpoint, target} -> the errand that publishes it; its result is {place, text}.

        The target is OWNER/REPOSITORY of the Hub, an absolute folder of this machine, or a bucket.
        """
        self._refuse_in_public()
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

    def pull(self, source: str, name: str) -> dict[str, Any]:
        """Fetch a checkpoint of our format, let it through the gate, and add it as `hub/NAME`.

        Waits for all of that; its record.
        """
        self._refuse_in_public()
        found = pull(
            check_text("source", source, LONGEST).strip(),
            check_text("name", name, 64).strip(),
            downloads=self._cabinet.downloads,
            catalogue=self._cabinet.checkpoints,
            check=self._check,
        )
        return summary(found)

    def _refuse_in_public(self) -> None:
        if self._public:
            raise ValueError(CLOSED)


def _record(download: Download) -> dict[str, Any]:
    seconds = download.seconds_left
    return dataclasses.asdict(download) | {
        "rate": round(download.rate),
        "seconds_left": None if seconds is None else round(seconds),
    }
