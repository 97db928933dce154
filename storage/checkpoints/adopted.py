"""Checkpoints that came from elsewhere, kept in our format: whole or absent, bit for bit."""

import json
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from engine.records.durable import move_durably, write_json_durably
from engine.records.manifest import MANIFEST, checkpoint_hash, verify_manifest
from engine.records.texts import check_unicode
from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row
from storage.downloads.sources import check_path

logger = logging.getLogger(__name__)

SOURCE = "source.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PARTIAL, _REMOVED = ".partial-", ".removed-"


def checked_name(name: str) -> str:
    """A name that can stand for a checkpoint.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a checkpoint name: letters, digits, '.', '-', '_'")
    return name


def manifest_names(directory: Path) -> list[str]:
    """The files that a checkpoint's manifest names, checked as foreign paths.

    Raises:
        ValueError: a path could leave the directory.
    """
    entries = json.loads((directory / MANIFEST).read_text())["files"]
    return [check_path(str(entry["name"])) for entry in entries]


def origin(directory: Path) -> tuple[str, str]:
    """(source, revision) that a checkpoint was adopted from; empty for one of our own."""
    path = directory / SOURCE
    record = json.loads(path.read_text()) if path.is_file() else {}
    if not isinstance(record, dict):
        raise ValueError(f"{SOURCE} holds no object")
    check_unicode(record)
    return str(record.get("source", "")), str(record.get("revision", ""))


class AdoptedCheckpoints:
    """The checkpoints under one directory, and a row for each; rows are rebuilt from the files."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database, self._root = database, root
        root.mkdir(parents=True, exist_ok=True)
        self._recover()

    def places(self) -> Iterator[tuple[str, Path]]:
        """(name, directory) of each, by name."""
        for row in self._database.read("select name from adopted_checkpoints order by name"):
            yield row["name"], self._root / row["name"]

    def add(self, name: str, folder: Path, *, source: str, revision: str) -> None:
        """Copy a whole checkpoint; the same one under the same name is there already.

        Raises:
            ValueError: another checkpoint has this name, or the copy is not what was copied.
        """
        target = self._root / name
        if not target.exists():
            partial = Path(tempfile.mkdtemp(dir=self._root, prefix=_PARTIAL))
            try:
                for path in (*manifest_names(folder), MANIFEST):
                    (partial / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / path, partial / path)
                verify_manifest(partial)
                write_json_durably(partial / SOURCE, {"source": source, "revision": revision})
                partial.chmod(0o755)
                move_durably(partial, target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        elif checkpoint_hash(target) != checkpoint_hash(folder):
            raise ValueError(f"there is already another checkpoint hub/{name}")
        self._put(target)

    def remove(self, name: str) -> None:
        """Delete a checkpoint; it vanishes in one step, so a kill leaves no half of it."""
        doomed = self._root / f"{_REMOVED}{name}"
        shutil.rmtree(doomed, ignore_errors=True)
        (self._root / name).rename(doomed)
        self._forget([name])
        shutil.rmtree(doomed, ignore_errors=True)

    def _recover(self) -> None:
        known = {name for name, _ in self.places()}
        found = set()
        for directory in sorted(self._root.iterdir()):
            if directory.name.startswith((_PARTIAL, _REMOVED)):
                shutil.rmtree(directory, ignore_errors=True)
            elif (directory / MANIFEST).is_file():
                found.add(directory.name)
                if directory.name not in known:
                    self._put_if_readable(directory)
        self._forget(sorted(known - found))

    def _put_if_readable(self, directory: Path) -> None:
        try:
            self._put(directory)
        except (OSError, LookupError, RecursionError, TypeError, ValueError, *REFUSALS) as error:
            logger.warning("the checkpoint in %s is left out: %s", directory, error)

    def _put(self, directory: Path) -> None:
        source, revision = origin(directory)
        row: Row = {
            "name": directory.name,
            "source": source,
            "revision": revision,
            "hash": checkpoint_hash(directory),
            "created": time.time(),
        }
        self._database.write(
            lambda cursor: cursor.insert(
                "adopted_checkpoints", [row], conflict="on conflict do nothing"
            )
        )

    def _forget(self, names: list[str]) -> None:
        def change(cursor: Cursor) -> None:
            cursor.rows(
                "delete from adopted_checkpoints where name in (select unnest(?::text[]))", [names]
            )

        self._database.write(change)
