"""A damaged database is put aside, and what was made anew in its place is remembered."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.documents import Document
from storage.workspace import Workspace

logger = logging.getLogger(__name__)

REPORT = "rebuilt.json"
DAYS = 7.0  # for which a rebuilt database is spoken of
_LOST = (
    "lost are who holds which clip of a queue, and what a reward model other than its own said of "
    "an episode (judge again on Reward)"
)


@dataclass(frozen=True)
class Quarantine:
    """The shelf of one damaged database."""

    directory: Path

    def report(self, reason: str, counts: Mapping[str, int]) -> None:
        """Keep what came back from the files, for whoever opens the studio next."""
        values: dict[str, Any] = {"reason": reason, "at": time.time(), "counts": dict(counts)}
        Document(self.directory / REPORT).change(lambda report: report.update(values))


def put_aside(workspace: Workspace) -> Quarantine:
    """Move the files of the database, none of which may be open, to a shelf of their own."""
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 0
    while (shelf := workspace.quarantine / (f"{stamp}-{number}" if number else stamp)).exists():
        number += 1
    shelf.mkdir(parents=True)
    for path in workspace.root.glob(f"{workspace.database.name}*"):
        path.rename(shelf / path.name)
    return Quarantine(shelf)


def rebuilt_sentences(workspace: Workspace, *, now: float | None = None) -> list[str]:
    """What was rebuilt in the last days, and what was lost: a sentence each, the newest first."""
    now = time.time() if now is None else now
    found: list[tuple[float, str]] = []
    for path in workspace.quarantine.glob(f"*/{REPORT}"):
        try:
            report = Document(path).read()
            at, counts = float(report["at"]), dict(report["counts"])
        except (OSError, LookupError, TypeError, ValueError) as error:
            logger.warning("%s cannot be read: %s", path, error)
            continue
        if now - at < DAYS * 86_400:
            found.append((at, _sentence(at, counts, path.parent)))
    return [sentence for _, sentence in sorted(found, reverse=True)]


def _sentence(at: float, counts: Mapping[str, Any], shelf: Path) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    back = ", ".join(f"{count} {name}" for name, count in counts.items())
    return (
        f"The database was damaged. It was rebuilt from the files beside it on {when}: {back} are "
        f"here; {_LOST}. The damaged files lie in quarantine/{shelf.name}."
    )
