"""What lies on the disk, by kind, and what of it may go: never anything a person made."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.database import Database
from storage.workspace import Workspace

HOUR = 3600.0
# Begun and never finished; whatever made one that is older than this has ended.
HALVES = (".partial-", ".removed-")
HALF_HOURS, EXPORT_HOURS = 1.0, 24.0


@dataclass(frozen=True)
class Usage:
    """Files of one kind and their bytes."""

    kind: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Leftover:
    """What may go: why, and the paths."""

    kind: str
    why: str
    paths: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """What it would free."""
        return sum(weigh(path)[1] for path in self.paths)


def usage(workspace: Workspace) -> list[Usage]:
    """Every kind of thing in the data directory; a file counts once."""
    kinds = {
        "label log": workspace.label_twin,
        "preference log": workspace.preference_twin,
        "episodes": workspace.episodes,
        "runs": workspace.runs,
        "checkpoints": workspace.checkpoints,
        "downloads": workspace.downloads,
        "films": workspace.thumbnails,
        "starts": workspace.starts,
        "exports": workspace.exports,
        "backups": workspace.backups,
        "quarantine": workspace.quarantine,
    }
    database = list(workspace.root.glob(f"{workspace.database.name}*"))
    found = [Usage("database", len(database), sum(path.stat().st_size for path in database))]
    found += [Usage(kind, *weigh(path)) for kind, path in kinds.items()]
    known = {*kinds.values(), *database}
    rest = [weigh(path) for path in workspace.root.iterdir() if path not in known]
    return [*found, Usage("other", sum(n for n, _ in rest), sum(size for _, size in rest))]


def free_bytes(workspace: Workspace) -> int:
    """What is left on the disk."""
    return shutil.disk_usage(workspace.root).free


def leftovers(
    workspace: Workspace, database: Database, *, now: float | None = None
) -> list[Leftover]:
    """What may go without anybody missing it; kinds of which there is nothing are left out."""
    now = time.time() if now is None else now
    rooms = (workspace.episodes, workspace.checkpoints, workspace.downloads, workspace.exports)
    halves = [
        path
        for room in rooms
        for path in _members(room)
        if path.name.startswith(HALVES) and _age(path, now) > HALF_HOURS * HOUR
    ]
    exports = [
        path
        for path in _members(workspace.exports)
        if not path.name.startswith(".") and _age(path, now) > EXPORT_HOURS * HOUR
    ]
    known = {row["id"] for row in database.read("select id from episodes")}
    films = [
        path
        for path in _members(workspace.thumbnails)
        if path.name.removesuffix(".webp") not in known and _age(path, now) > HALF_HOURS * HOUR
    ]
    found = (
        Leftover("halves", "begun and never finished", tuple(halves)),
        Leftover("exports", "files that were handed out more than a day ago", tuple(exports)),
        Leftover("films", "films of episodes that are not here any more", tuple(films)),
    )
    return [leftover for leftover in found if leftover.paths]


def clean_up(workspace: Workspace, database: Database, kinds: list[str]) -> int:
    """Delete leftovers of those kinds, as they are now; the bytes that were freed."""
    freed = 0
    for leftover in leftovers(workspace, database):
        if leftover.kind in kinds:
            freed += leftover.bytes
            for path in leftover.paths:
                remove(path)
    return freed


def remove(path: Path) -> None:
    """Delete a file or a directory; one that is gone is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _members(room: Path) -> Iterator[Path]:
    return iter(sorted(room.iterdir())) if room.is_dir() else iter(())


def _age(path: Path, now: float) -> float:
    return now - path.lstat().st_mtime


def weigh(path: Path) -> tuple[int, int]:
    """(files, bytes) of a file or of everything below a directory; links are not followed."""
    if not path.is_dir():
        return (1, path.lstat().st_size) if path.exists() else (0, 0)
    files = size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(directory, name)).st_size
                files += 1
            except FileNotFoundError:
                continue  # a run at work deletes its old checkpoints meanwhile
    return files, size
