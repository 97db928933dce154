"""The index of downloads and registered folders in the database, rebuilt from their files."""

import logging
import re
import shutil
import time
from pathlib import Path
from typing import Any

from storage.damage import REFUSALS
from storage.database import Cursor, Database, Row
from storage.documents import Document
from storage.downloads.download_room import Room
from storage.downloads.plans import DownloadPlan

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REMOVED = ".removed-"


class DownloadIndex:
    """One row a download, and the room behind it.

    Args:
        root: holds one room per download; opening the index brings the rows up to date with it.
        folders: the file of registered folders.
    """

    def __init__(self, database: Database, root: Path, folders: Path) -> None:
        self._database, self._root = database, root
        self._folders = Document(folders, first=lambda: _first_folders(database))
        root.mkdir(parents=True, exist_ok=True)
        self._recover()

    @property
    def root(self) -> Path:
        """Where the rooms are."""
        return self._root

    def room(self, key: str) -> Room:
        """The room of a download, which may not exist.

        Raises:
            LookupError: no download can have this key.
        """
        if not _KEY.fullmatch(key):
            raise LookupError(f"there is no download {key!r}")
        return Room(self._root / key)

    def plan(self, key: str) -> DownloadPlan:
        """The plan of a download that was begun.

        Raises:
            LookupError: there is none of this key.
        """
        try:
            return self.room(key).plan()
        except ValueError as error:
            raise LookupError(f"there is no download {key!r}") from error

    def rows(self) -> list[Row]:
        """Every download, the one that changed last first."""
        return self._database.read("select * from downloads order by changed desc, key")

    def row(self, key: str) -> Row:
        """One download.

        Raises:
            LookupError: there is none of this key.
        """
        rows = self._database.read("select * from downloads where key = ?", [key])
        if not rows:
            raise LookupError(f"there is no download {key!r}")
        return rows[0]

    def put(self, plan: DownloadPlan, state: str, error: str = "") -> None:
        """Write the state of a download."""
        row: Row = {
            "key": plan.key,
            "source": plan.source,
            "revision": plan.revision,
            "task": plan.task,
            "files": len(plan.files),
            "bytes": plan.bytes,
            "state": state,
            "error": error,
            "changed": time.time(),
        }
        conflict = (
            "on conflict (key) do update set "
            "state = excluded.state, error = excluded.error, changed = excluded.changed"
        )
        self._database.write(lambda cursor: cursor.insert("downloads", [row], conflict=conflict))

    def remove(self, key: str) -> None:
        """Delete a room and its row. The room vanishes in one step: a kill leaves no half of it."""
        doomed = self._root / f"{_REMOVED}{key}"
        shutil.rmtree(doomed, ignore_errors=True)
        self.room(key).directory.rename(doomed)
        self._forget([key])
        shutil.rmtree(doomed, ignore_errors=True)

    def complete_plans(self) -> list[DownloadPlan]:
        """Plans of the complete downloads, the newest first."""
        keys = [row["key"] for row in self.rows() if row["state"] == "complete"]
        plans = [self.plan(key) for key in keys if self.room(key).exists()]
        return [plan for plan in plans if self.room(plan.key).is_complete(plan)]

    def fetched_bytes(self, row: Row) -> int:
        """Bytes of a download that are here; none when somebody deleted its room."""
        if row["state"] == "complete":
            return int(row["bytes"])
        room = self.room(row["key"])
        return room.fetched_bytes(room.plan()) if room.exists() else 0

    def whole_files(self) -> dict[str, Path]:
        """{SHA-256: path} of the files of complete downloads."""
        found: dict[str, Path] = {}
        for plan in self.complete_plans():
            room = self.room(plan.key)
            found |= {sha: room.files(plan) / path for path, sha in room.hashes().items() if sha}
        return found

    def register_folder(self, name: str, directory: Path) -> None:
        """Remember a local folder under a name, in place of what had that name."""
        self._folders.change(lambda known: known.update({name: str(directory)}))

    def folders(self) -> dict[str, Path]:
        """Registered folders by name."""
        known = sorted(self._folders.read().items())
        return {name: Path(path) for name, path in known if isinstance(path, str)}

    def _recover(self) -> None:
        """Make the rows say what the rooms hold: nothing runs when the index is opened."""
        rows = {row["key"]: row for row in self.rows()}
        found = set()
        for directory in sorted(self._root.iterdir()):
            if directory.name.startswith(_REMOVED):
                shutil.rmtree(directory, ignore_errors=True)
                continue
            try:
                plan = self.plan(directory.name)
            except LookupError:
                logger.warning("%s is not a download that was begun", directory)
                continue
            found.add(plan.key)
            known = rows.get(plan.key, {"state": "", "error": ""})
            ended = known["state"] in ("cancelled", "failed")
            state, error = (known["state"], known["error"]) if ended else ("interrupted", "")
            if Room(directory).is_complete(plan):
                state, error = "complete", ""
            if state != known["state"]:
                try:
                    self.put(plan, state, error)
                except REFUSALS as refusal:
                    logger.warning("%s is left out: %s", directory, refusal)
        self._forget(sorted(rows.keys() - found))

    def _forget(self, keys: list[str]) -> None:
        def change(cursor: Cursor) -> None:
            cursor.rows("delete from downloads where key in (select unnest(?::text[]))", [keys])

        self._database.write(change)


def _first_folders(database: Database) -> dict[str, Any]:
    """What a studio registered before there was a file for it."""
    rows = database.read("select name, directory from registered_folders")
    return {row["name"]: row["directory"] for row in rows}
