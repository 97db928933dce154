"""Checkpoints from elsewhere, as the screen wants them: planned, fetched, followed, published."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from app.runs.errands import ErrandRecord, Errands, Progress
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.downloads.downloads import Download
from storage.downloads.hub import login
from storage.downloads.official import PARTS
from storage.downloads.plans import size_words
from storage.downloads.sources import LONGEST, Rules
from storage.upkeep.publishing import preview, push


@dataclass(frozen=True, kw_only=True)
class PlanDownload(Config):
    """Checkpoints elsewhere."""

    source: str = knob(help="a repository, a web address or folder:NAME", high=LONGEST)
    task: str | None = knob(None, "of the release", high=100)
    parts: tuple[str, ...] | None = knob(None, "of the release", choices=tuple(PARTS))


@dataclass(frozen=True, kw_only=True)
class DownloadKey(Config):
    """A planned download."""

    key: str = knob(help="as its plan says it")


@dataclass(frozen=True, kw_only=True)
class Publication(Config):
    """A checkpoint to publish."""

    checkpoint: str = knob(help="its id", high=300)


@dataclass(frozen=True, kw_only=True)
class Publish(Config):
    """A checkpoint, and where it goes."""

    checkpoint: str = knob(help="its id", high=300)
    target: str = knob(help="OWNER/REPOSITORY of the Hub, a folder or a bucket", high=LONGEST)


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

    def plan(self, question: PlanDownload) -> dict[str, Any]:
        """What would be fetched, and whether it fits on the disk.

        {key, source, revision, task, files, bytes, needed, fits, text}
        """
        downloads = self._cabinet.downloads
        plan = downloads.plan(
            question.source.strip(), task=question.task or "", parts=question.parts or ()
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

    def start(self, question: DownloadKey) -> dict[str, Any]:
        """Begin a planned download, or go on with one; what `all` says of it."""
        return _record(self._cabinet.downloads.start(question.key))

    def all(self) -> list[dict[str, Any]]:
        """Every download, the one that changed last first: {key, state, done, bytes, rate, …}."""
        return [_record(download) for download in self._cabinet.downloads.all()]

    def cancel(self, question: DownloadKey) -> dict[str, Any]:
        """Ask a download to end; what it fetched is kept for the next start."""
        return _record(self._cabinet.downloads.cancel(question.key))

    def publication(self, question: Publication) -> dict[str, Any]:
        """{files, bytes, card: Markdown, login}: what `publish` would write, and
        whether the Hub knows who we are."""
        checkpoint = self._cabinet.checkpoints.get(question.checkpoint)
        found = preview(checkpoint.directory)
        return dataclasses.asdict(found) | {"login": login() is not None}

    def publish(self, question: Publish) -> ErrandRecord:
        """The errand that publishes a checkpoint; its result is {place, text}."""
        checkpoint = self._cabinet.checkpoints.get(question.checkpoint)
        target = question.target.strip()
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
