"""What keeps a studio's data safe: space, backups, proof that files and database agree, sync."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.access import Access
from app.data.exchange import amounts, import_report
from app.runs.errands import ErrandRecord, Errands, Progress
from app.runs.handover import Handover, stamp
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.downloads.hub import login
from storage.downloads.plans import size_words
from storage.downloads.sources import LONGEST, Rules
from storage.upkeep.backup import Backup, back_up, examine, restore
from storage.upkeep.rebuild import compare
from storage.upkeep.shelves import Shelf, open_shelf
from storage.upkeep.space import Usage, clean_up, free_bytes, leftovers, usage, weigh
from storage.workspace import VARIABLE

ENDING = ".wmpo-backup.tar"
_BACKUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.wmpo-backup\.tar")


@dataclass(frozen=True, kw_only=True)
class CleanUp(Config):
    """Leftovers to delete."""

    kinds: tuple[str, ...] = knob(help="their kinds")


@dataclass(frozen=True, kw_only=True)
class BackUp(Config):
    """A backup to write."""

    checkpoints: bool = knob(True, "with the checkpoints")


@dataclass(frozen=True, kw_only=True)
class BackupName(Config):
    """A backup that is here."""

    backup: str = knob(help="the name of its file")


@dataclass(frozen=True, kw_only=True)
class TakeBackup(Config):
    """An uploaded backup to keep."""

    upload: str = knob(help="its id")
    name: str | None = knob(None, "of the file")


@dataclass(frozen=True, kw_only=True)
class Restore(Config):
    """A data directory to make of a backup."""

    backup: str = knob(help="the name of its file")
    folder: str = knob(help="an absolute path, empty or new", high=1_000)


@dataclass(frozen=True, kw_only=True)
class Sync(Config):
    """A place to which events are written."""

    target: str = knob(help="a folder, s3://, gs:// or OWNER/DATASET of the Hub", high=LONGEST)


@dataclass(frozen=True, kw_only=True)
class RestoreParts(Config):
    """A place from which events are taken in."""

    target: str = knob(help="as for sync", high=LONGEST)
    dry_run: bool = knob(True, "report only")


class Keeping:
    """The data directory as a whole; a visitor of a Space sees sizes and no more."""

    def __init__(
        self,
        cabinet: Cabinet,
        errands: Errands,
        handover: Handover,
        *,
        demo: Path,
        rules: Rules,
        access: Access,
    ) -> None:
        self._cabinet, self._errands, self._handover = cabinet, errands, handover
        self._demo, self._rules, self._access = demo, rules, access
        self._space = cabinet.workspace

    def space(self) -> dict[str, Any]:
        """{kinds: [{kind, files, bytes}], free, leftovers: [{kind, why, count, bytes}], place?}."""
        found = [*usage(self._space), uploads(os.environ)]
        record: dict[str, Any] = {
            "kinds": [
                {"kind": one.kind, "files": one.files, "bytes": one.bytes}
                for one in found
                if one.files
            ],
            "free": free_bytes(self._space),
            "leftovers": [],
        }
        if self._access.refusal("data.clean_up"):
            return record
        rest = leftovers(self._space, self._cabinet.database)
        record["leftovers"] = [
            {"kind": one.kind, "why": one.why, "count": len(one.paths), "bytes": one.bytes}
            for one in rest
        ]
        return record | {"place": str(self._space.root)}

    def clean_up(self, question: CleanUp) -> dict[str, Any]:
        """{freed: bytes, text, space}: delete leftovers of some kinds."""
        freed = clean_up(self._space, self._cabinet.database, list(question.kinds))
        return {"freed": freed, "text": f"{size_words(freed)} freed", "space": self.space()}

    def backups(self) -> list[dict[str, Any]]:
        """[{name, bytes, at}], the newest first; none in public."""
        if self._access.refusal("data.back_up") or not self._space.backups.is_dir():
            return []
        paths = [path for path in self._space.backups.iterdir() if _BACKUP.fullmatch(path.name)]
        found = [
            {"name": p.name, "bytes": p.stat().st_size, "at": p.stat().st_mtime} for p in paths
        ]
        return sorted(found, key=lambda record: record["at"], reverse=True)

    def back_up(self, question: BackUp) -> ErrandRecord:
        """An errand that writes a backup; its result is {name, bytes, text}."""
        whole = question.checkpoints
        self._space.backups.mkdir(exist_ok=True)
        name = f"{stamp()}{ENDING}"

        def work(progress: Progress) -> dict[str, Any]:
            made = back_up(
                self._cabinet, self._space.backups / name, checkpoints=whole, progress=progress
            )
            text = f"{made.files:,} files, {size_words(made.bytes)}"
            return {"name": name, "bytes": made.bytes, "text": text}

        return self._errands.start("backup", name, work, unit="bytes")

    def check_backup(self, question: BackupName) -> ErrandRecord:
        """An errand that reads a backup and checks every hash; result {text}."""
        path = self.backup_path(question.backup)

        def work(progress: Progress) -> dict[str, Any]:
            found = examine(path, progress=progress)
            return {"text": f"whole and unchanged: {_holds(found)}"}

        return self._errands.start("check", path.name, work, unit="bytes")

    def take_backup(self, question: TakeBackup) -> ErrandRecord:
        """An errand that checks an uploaded backup and keeps it; result {name}."""
        path = self._handover.uploaded(question.upload)
        self._space.backups.mkdir(exist_ok=True)
        target = self._space.backups / f"{stamp()}-uploaded{ENDING}"

        def work(progress: Progress) -> dict[str, Any]:
            found = examine(path, progress=progress)
            path.replace(target)
            self._handover.drop(question.upload)
            return {"name": target.name, "text": f"whole and unchanged: {_holds(found)}"}

        return self._errands.start("check", target.name, work, unit="bytes")

    def restore(self, question: Restore) -> ErrandRecord:
        """An errand that makes a data directory of a backup; result {text}.

        The folder must be empty or new. This studio goes on with its own data.
        """
        path = self.backup_path(question.backup)
        folder = self._empty_place(question.folder.strip())

        def work(progress: Progress) -> dict[str, Any]:
            found = restore(path, folder, progress=progress)
            text = (
                f"{_holds(found)} lie in {folder}. Start the studio with {VARIABLE}={folder} to "
                "open them; this one goes on with its own data."
            )
            return {"text": text, "folder": str(folder)}

        return self._errands.start("restore", path.name, work, unit="bytes")

    def remove_backup(self, question: BackupName) -> dict[str, Any]:
        """{backups}: those that stay when one is deleted."""
        self.backup_path(question.backup).unlink()
        return {"backups": self.backups()}

    def verify(self) -> ErrandRecord:
        """An errand: {equal, kinds: [{kind, database, files, equal, differences}], text}."""

        def work(progress: Progress) -> dict[str, Any]:
            found = compare(self._cabinet, demo=self._demo, progress=progress)
            equal = all(one.equal for one in found)
            kinds = [
                {
                    **{name: getattr(one, name) for name in ("kind", "database", "files", "equal")},
                    "differences": list(one.differences),
                }
                for one in found
            ]
            text = (
                "Rebuilt from its files, the database is equal."
                if equal
                else ("The database differs from what its files say.")
            )
            return {"equal": equal, "kinds": kinds, "text": text}

        return self._errands.start("verify", "database against files", work, unit="runs")

    def sync_status(self) -> dict[str, Any]:
        """{target, at, logs: {labels or preferences: {synced, events}}}: where their parts go, and
        how many of the events are there."""
        if self._access.refusal("data.sync"):
            return {"target": "", "at": None, "logs": {}}
        from storage.upkeep.event_parts import remembered

        known = remembered(self._space.sync)
        synced = known.get("synced", {})
        logs = {
            log.kind.nouns: {"synced": synced.get(log.kind.nouns, 0), "events": log.size}
            for log in self._cabinet.logs
        }
        return {"target": known.get("target", ""), "at": known.get("at"), "logs": logs}

    def sync(self, question: Sync) -> ErrandRecord:
        """An errand that writes the events that are not there yet; result {text}."""
        from storage.upkeep import event_parts as parts

        target = _place(question.target)

        def work(progress: Progress) -> dict[str, Any]:
            shelf = self._shelf(target)
            found = {log.kind: parts.push(shelf, log) for log in self._cabinet.logs}
            synced = {kind.nouns: one.synced for kind, one in found.items()}
            parts.remember(self._space.sync, target, synced)
            there = amounts({kind.noun: one.synced for kind, one in found.items()})
            made = amounts({"part": sum(one.parts for one in found.values())})
            return {"text": f"there: {there}, in {made}" if made else "nothing was judged yet"}

        return self._errands.start("sync", target, work)

    def restore_parts(self, question: RestoreParts) -> ErrandRecord:
        """An errand that takes in the labels and preferences that are there.

        Its result is {added, known, problems, more, dry_run, text}; with a problem, or as a dry
        run, nothing is stored.
        """
        from storage.upkeep import event_parts as parts

        target, dry_run = _place(question.target), question.dry_run

        def work(progress: Progress) -> dict[str, Any]:
            shelf = self._shelf(target)
            logs = self._cabinet.logs
            found = parts.pull(shelf, logs, dry_run=dry_run)
            reports = [found[log.kind.nouns] for log in logs]
            added = {log.kind.noun: found[log.kind.nouns].added for log in logs}
            return {"added": sum(added.values())} | import_report(
                added,
                sum(report.known for report in reports),
                [problem for report in reports for problem in report.problems],
                dry_run=dry_run,
            )

        return self._errands.start("sync", target, work)

    def backup_path(self, name: str) -> Path:
        """The file of a backup.

        Raises:
            LookupError: there is none of this name.
        """
        path = self._space.backups / name
        if not _BACKUP.fullmatch(name) or not path.is_file():
            raise LookupError(f"there is no backup {name[:100]}")
        return path

    def _shelf(self, target: str) -> Shelf:
        return open_shelf(target, rules=self._rules, token=login())

    def _empty_place(self, folder: str) -> Path:
        path = Path(folder).expanduser()
        if not path.is_absolute():
            raise ValueError(f"the folder must be an absolute path, not {folder!r:.80}")
        path = Path(os.path.normpath(path))
        checkout = Path(__file__).resolve().parents[2]
        for taken in (self._space.root, checkout):
            if path == taken or taken in path.parents:
                raise ValueError(f"{path} lies inside {taken}: choose a place outside it")
        return path


def _place(target: str) -> str:
    if not target.strip():
        raise ValueError("say where: a folder, s3://, gs:// or OWNER/DATASET of the Hub")
    return target.strip()


def _holds(found: Backup) -> str:
    return (
        f"{found.labels:,} label events, {found.episodes:,} episodes, {found.files:,} files "
        f"({size_words(found.bytes)})"
    )


def uploads(environ: Mapping[str, str]) -> Usage:
    """What browsers sent to this studio and nobody stored yet; it goes when the studio does."""
    folder = environ.get("GRADIO_TEMP_DIR")
    return Usage("uploads", *(weigh(Path(folder)) if folder else (0, 0)))
