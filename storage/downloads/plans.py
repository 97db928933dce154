"""What a download would fetch, known before it starts: files, bytes, and whether they fit."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.records.texts import check_fields
from storage.downloads.listings import Listing, RemoteFile, listing
from storage.downloads.official import DEFAULT_PARTS, TASKS, has_official_layout, part_path, select
from storage.downloads.sources import Source

# Kept free beside a download: logs, labels and the database must go on (reliability.md §2.3).
RESERVE_BYTES = 2_000_000_000
MAX_BYTES = 400_000_000_000


@dataclass(frozen=True, kw_only=True)
class DownloadPlan:
    """The files of a source, or of one task in it, at one revision.

    Attributes:
        key: names the download and its directory; another revision has another key.
        source: the source with its revision pinned.
        task: task of the official layout, or empty for the whole source.
        directory: of a registered folder: where the files are already; empty elsewhere.
    """

    key: str
    source: str
    revision: str
    task: str
    files: tuple[RemoteFile, ...]
    directory: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all files together."""
        return sum(file.bytes for file in self.files)


def make_plan(
    source: Source, found: Listing, *, task: str, parts: Sequence[str], directory: str = ""
) -> DownloadPlan:
    """The plan for a whole source, or for what one task needs of the official layout.

    Raises:
        ValueError: a task is missing or does not belong here, or the files are too many bytes.
    """
    official = has_official_layout(found.files)
    if official and not task:
        raise ValueError(
            f"{source} holds the models of several tasks: choose one of {', '.join(TASKS)}"
        )
    if task and not official:
        raise ValueError(f"{source} does not have the layout of the released checkpoints: no task")
    files = select(found.files, task, parts or DEFAULT_PARTS) if task else found.files
    pinned = dataclasses.replace(source, revision=found.revision) if source.revision else source
    wanted = [str(pinned), found.revision, task, [dataclasses.astuple(file) for file in files]]
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:12]
    words = re.sub(r"[^A-Za-z0-9._]+", "-", f"{source.place.rpartition('://')[2]} {task}")
    plan = DownloadPlan(
        key=f"{words.strip('-.')[:60]}-{digest}",
        source=str(pinned),
        revision=found.revision,
        task=task,
        files=files,
        directory=directory,
    )
    if plan.bytes > MAX_BYTES:
        raise ValueError(f"{pinned} is {size_words(plan.bytes)}: more than a download may be")
    return plan


def parts_of(plan: DownloadPlan) -> dict[str, str]:
    """Of a plan for a task: the path of each part's folder or file, by part."""
    return {
        file.part: part_path(file.path, plan.task, file.part) for file in plan.files if file.part
    }


def space_sentence(needed: int, free: int, reserve: int) -> str:
    """Empty if bytes to be fetched fit on the disk, else what is needed and what is free."""
    if needed + reserve <= free:
        return ""
    return (
        f"{size_words(needed)} would be fetched, but of {size_words(free)} free on the disk "
        f"{size_words(reserve)} are kept in reserve: {size_words(needed + reserve - free)} short"
    )


def size_words(size: int) -> str:
    """Bytes in words, such as "4.9 GB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def plan_record(plan: DownloadPlan) -> dict[str, Any]:
    """The plan as plain JSON values."""
    return dataclasses.asdict(plan)


def read_plan(path: Path) -> DownloadPlan:
    """The plan that a download's directory was begun with, checked as if it were foreign.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        values: Mapping[str, Any] = json.loads(path.read_text())
        check_fields(DownloadPlan, values)
        files = [RemoteFile(**file) for file in values["files"]]
        checked = listing(values["revision"], files).files
        return DownloadPlan(**{**values, "files": checked})
    except (OSError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not the plan of a download: {error}") from error
